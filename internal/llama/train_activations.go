package llama

// activations is what a microbatch of N rows keeps between forward and backward, and the
// scratch of both. Attention weights are not kept: backward computes them again, which
// costs a few per cent of time and saves memory quadratic in the length.
type activations struct {
	rows      int
	tokens    []int32            // (N)
	positions []int32            // (N) in their sequences
	rowName   []uint64           // (N) of dropout masks
	layers    []layerActivations // one when only the loss is wanted
	last      []float32          // (N, D) output of the last layer

	// Gradients flowing back.
	dx      []float32 // (N, D) of a layer's output, then of its input
	dmid    []float32 // (N, D) of the residual stream between attention and feed-forward
	dnorm   []float32 // (N, D) of a normalised row
	dheads  []float32 // (N, H*HD) of the attention output
	dhidden []float32 // (N, F) of the feed-forward hidden layer
	dscale1 []float32 // (row blocks, D) parts of the gradient of AttnNorm
	dscale2 []float32 // (row blocks, D) parts of the gradient of MLPNorm or Norm
	du      layerU    // gradients of the low-rank products
	dqNorm  []float32 // (row blocks, HD) parts of the gradient of QNorm
	dkNorm  []float32 // (row blocks, HD) parts of the gradient of KNorm

	// Predictions, R in number, C of them per chunk.
	rowOf  []int32   // (R) row that makes the prediction
	target []int32   // (R) token to predict
	nll    []float64 // (R)
	final  []float32 // (C, D) normalised rows
	finalR []float32 // (C) their 1/rms
	dfinal []float32 // (C, D)
	logits []float32 // (C, V); overwritten by their gradient
}

type layerActivations struct {
	x      []float32 // (N, D) input of the block
	norm1  []float32 // (N, D)
	r1     []float32 // (N) 1/rms
	qk     []float32 // (N, (H+HK)*HD) queries and keys before their norms, if they have any
	rqk    []float32 // (N, H+HK) their 1/rms
	qkv    []float32 // (N, (H+2*HK)*HD), rotated; backward overwrites it with its gradient
	heads  []float32 // (N, H*HD) attention output
	mid    []float32 // (N, D) residual stream between attention and feed-forward
	norm2  []float32 // (N, D)
	r2     []float32 // (N)
	gateUp []float32 // (N, 2*F) adjacent halves; backward overwrites it with its gradient
	hidden []float32 // (N, F) silu(gate)*up
	u      layerU    // low-rank products
}

// layerU is what the updates of a layer's matrices have as rows of u: (N, columns) each.
type layerU struct{ qkv, out, gateUp, down []float32 }

// grow makes room for n rows of a layer's columns.
func (u *layerU) grow(l *trainLayer, n int) {
	for _, x := range []struct {
		rows *[]float32
		low  *lowWeight
	}{{&u.qkv, l.qkv.low}, {&u.out, l.out.low}, {&u.gateUp, l.gateUp.low}, {&u.down, l.down.low}} {
		*x.rows = grow(*x.rows, max(len(*x.rows), n*x.low.columns()))
	}
}

// chunkRows bounds the memory of logits to a few MiB, but keeps products large.
func chunkRows(vocab int) int { return min(max(1<<20/vocab, 256), microbatchRows) }

// prepare sizes the buffers for one microbatch. Without gradient all layers share one set.
func (t *Trainer) prepare(batch []span, gradient bool) {
	c, a, n := t.model.Config, &t.act, rowsOf(batch)
	a.rows = n
	a.tokens, a.positions = grow(a.tokens, n), grow(a.positions, n)
	for _, s := range batch {
		for i := range s.tokens {
			a.positions[s.start+i] = int32(i)
		}
	}
	layers := 1
	if gradient {
		layers = c.NumHiddenLayers
	}
	if len(a.layers) < layers {
		a.layers = append(a.layers, make([]layerActivations, layers-len(a.layers))...)
	}
	for i := range t.weights.layers {
		a.layer(i, gradient && !t.recompute).u.grow(&t.weights.layers[i], n)
	}
	d, f := c.HiddenSize, c.IntermediateSize
	normed := 0 // heads with a norm
	if c.family().qkNorm {
		normed = c.NumAttentionHeads + c.NumKeyValueHeads
	}
	for i := range a.layers[:layers] {
		l := &a.layers[i]
		if t.recompute && i > 0 { // all share the first layer's, but for their input
			x := l.x
			*l = a.layers[0]
			l.x = grow(x, n*d)
			continue
		}
		for _, b := range []struct {
			buffer *[]float32
			width  int
		}{
			{&l.x, d}, {&l.norm1, d}, {&l.r1, 1}, {&l.qk, normed * c.HeadDim}, {&l.rqk, normed}, {&l.qkv, c.qkv()}, {&l.heads, c.attn()},
			{&l.mid, d}, {&l.norm2, d}, {&l.r2, 1}, {&l.gateUp, 2 * f}, {&l.hidden, f},
		} {
			*b.buffer = grow(*b.buffer, n*b.width)
		}
	}
	a.last = grow(a.last, n*d)

	a.rowOf, a.target = a.rowOf[:0], a.target[:0]
	for _, s := range batch {
		for i, id := range s.targets {
			if id >= 0 {
				a.rowOf, a.target = append(a.rowOf, int32(s.start+i)), append(a.target, id)
			}
		}
	}
	chunk := min(chunkRows(c.VocabSize), len(a.rowOf))
	a.nll = grow(a.nll, len(a.rowOf))
	a.final = grow(a.final, chunk*d)
	a.finalR = grow(a.finalR, chunk)
	a.logits = grow(a.logits, chunk*c.VocabSize)
	if t.dropping {
		a.rowName = grow(a.rowName, n)
		for _, s := range batch {
			for i := range s.tokens {
				a.rowName[s.start+i] = rowName(s.dropout, i)
			}
		}
	}
	if gradient {
		for i := range t.weights.layers {
			a.du.grow(&t.weights.layers[i], n)
		}
		a.dx = grow(a.dx, n*d)
		a.dmid = grow(a.dmid, n*d)
		a.dnorm = grow(a.dnorm, n*d)
		a.dheads = grow(a.dheads, n*c.attn())
		a.dhidden = grow(a.dhidden, n*f)
		a.dscale1 = grow(a.dscale1, rowBlocks(n)*d)
		a.dscale2 = grow(a.dscale2, rowBlocks(n)*d)
		if normed > 0 {
			a.dqNorm = grow(a.dqNorm, rowBlocks(n)*c.HeadDim)
			a.dkNorm = grow(a.dkNorm, rowBlocks(n)*c.HeadDim)
		}
		a.dfinal = grow(a.dfinal, chunk*d)
	}
}

// layer is where layer i's activations are: without keep, all layers use the same memory.
func (a *activations) layer(i int, keep bool) *layerActivations {
	if !keep {
		i = 0
	}
	return &a.layers[i]
}

// grow returns a slice of n elements with any contents, s itself when it is large enough.
func grow[E any](s []E, n int) []E {
	if cap(s) >= n {
		return s[:n]
	}
	return make([]E, n)
}
