package llama

import "stargate/internal/kernel"

// weight is a matrix W (out, in) as training multiplies with it: packed for both directions, or
// as its file holds it; and its low-rank updates, where there are some.
type weight struct {
	forward  *kernel.Packed // Wᵀ, for y = x Wᵀ
	backward kernel.Packed  // W, for dx = dy W
	stored   storedSide     // instead of both
	low      *lowWeight     // nil: none
}

// trainWeights are a model's matrices in training.
type trainWeights struct {
	layers []trainLayer
	head   weight
}

type trainLayer struct{ qkv, out, gateUp, down weight }

func newTrainWeights(layers int) trainWeights {
	w := trainWeights{layers: make([]trainLayer, layers)}
	w.each(func(_ int, x *weight) { x.forward = new(kernel.Packed) })
	return w
}

// each calls fn for all matrices; the layer of the head is the number of layers.
func (w *trainWeights) each(fn func(layer int, x *weight)) {
	for i := range w.layers {
		l := &w.layers[i]
		for _, x := range []*weight{&l.qkv, &l.out, &l.gateUp, &l.down} {
			fn(i, x)
		}
	}
	fn(len(w.layers), &w.head)
}

// eachOf is each with the rows of the same matrices in a model, and their widths.
func (w *trainWeights) eachOf(m *Model, fn func(x *weight, data []float32, out, in int)) {
	c := m.Config
	d, f := c.HiddenSize, c.IntermediateSize
	for i := range m.Layers {
		l, x := &m.Layers[i], &w.layers[i]
		fn(&x.qkv, l.QKV, c.qkv(), d)
		fn(&x.out, l.Out, d, c.attn())
		fn(&x.gateUp, l.GateUp, 2*f, d)
		fn(&x.down, l.Down, d, f)
	}
	fn(&w.head, m.Head, c.VocabSize, d)
}

func (w *trainWeights) packForward(p *kernel.Pool, m *Model) {
	w.eachOf(m, func(x *weight, data []float32, out, in int) { p.PackTransposed(x.forward, data, out, in, in) })
}

func (w *trainWeights) packBackward(p *kernel.Pool, m *Model) {
	w.eachOf(m, func(x *weight, data []float32, out, in int) { p.Pack(&x.backward, data, out, in, in) })
}

// apply computes rows [lo, hi) of y = x Wᵀ, or y += x Wᵀ, without low-rank updates.
func (w *weight) apply(y []float32, ldy int, x []float32, ldx, lo, hi int, accumulate bool) {
	if w.stored != nil {
		w.stored.mul(nil, y[lo*ldy:], ldy, x[lo*ldx:], ldx, hi-lo, accumulate)
		return
	}
	mulRows(y, ldy, x, ldx, w.forward, lo, hi, accumulate)
}

// applyBackward computes rows [lo, hi) of dx = dy W without low-rank updates.
func (w *weight) applyBackward(dx []float32, ldx int, dy []float32, ldy, lo, hi int) {
	if w.stored != nil {
		kernel.MulStoredNN(dx[lo*ldx:], ldx, dy[lo*ldy:], ldy, w.stored, hi-lo, false, 0, panels(w.stored[0].K))
		return
	}
	mulRows(dx, ldx, dy, ldy, &w.backward, lo, hi, false)
}

// mulRows computes rows [lo, hi) of C = A B, or C += A B.
func mulRows(c []float32, ldc int, a []float32, lda int, b *kernel.Packed, lo, hi int, accumulate bool) {
	kernel.Mul(c[lo*ldc:], ldc, a[lo*lda:], lda, b, hi-lo, accumulate, 0, panels(b.N))
}
