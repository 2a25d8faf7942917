package llama

import (
	"math"

	"stargate/internal/kernel"
)

// queryBlock is the number of queries whose scores are computed together. Keys behind the
// block's last query are skipped, so about queryBlock/2 columns per row are computed in
// vain; a multiple of the kernel's row tile (6) and panel width (16) wastes nothing else.
const queryBlock = 48

// attention is one worker's scratch. A task is one sequence and one key/value head with
// its G = H/HK query heads; T is the sequence's length, B ≤ queryBlock the block's.
type attention struct {
	keysT   kernel.Packed // K (HD, T): keys as columns, for scores
	keys    kernel.Packed // (T, HD), for dq
	valuesT kernel.Packed // (HD, T), for dp
	values  kernel.Packed // (T, HD), for the output
	block   kernel.Packed // (G*B, columns) of p or ds, for dv and dk

	p, ds  []float32 // (G*B, stride): softmax weights and the scores' gradient
	qT, oT []float32 // (HD, G*B): queries and output gradients, transposed
	dkT    []float32 // (HD, stride)
	dvT    []float32 // (HD, stride)
}

// attentionShape is where the heads lie in rows of qkv and of the output.
type attentionShape struct {
	group, headDim int     // G, HD
	qkv, out       int     // row widths
	q, k, v        int     // first columns, for one key/value head
	o              int     // first column of the output
	window         int     // keys a query sees, its own included; 0: all
	scale          float32 // 1/sqrt(HD)
}

// first is the position of the first key that the query at position t sees.
func (a attentionShape) first(t int) int {
	if a.window == 0 {
		return 0
	}
	return max(0, t-a.window+1)
}

func (c Config) attentionShape(layer, kvHead int) attentionShape {
	g, hd := c.NumAttentionHeads/c.NumKeyValueHeads, c.HeadDim
	return attentionShape{
		group: g, headDim: hd, qkv: c.qkv(), out: c.attn(),
		q: kvHead * g * hd, k: (c.NumAttentionHeads + kvHead) * hd,
		v: (c.NumAttentionHeads + c.NumKeyValueHeads + kvHead) * hd,
		o: kvHead * g * hd, window: c.window(layer), scale: float32(1 / math.Sqrt(float64(hd))),
	}
}

// eachHead runs fn for every sequence and key/value head of a layer: tasks of disjoint rows or
// columns.
func (t *Trainer) eachHead(batch []span, layer int, fn func(w *attention, s span, shape attentionShape)) {
	c := t.model.Config
	heads := c.NumKeyValueHeads
	t.each(len(batch)*heads, func(worker, task int) {
		fn(&t.attn[worker], batch[task/heads], c.attentionShape(layer, task%heads))
	})
}

// attentionForward writes l.heads from l.qkv.
func (t *Trainer) attentionForward(batch []span, layer int, l *layerActivations) {
	t.eachHead(batch, layer, func(w *attention, s span, a attentionShape) {
		w.forward(l.heads[s.start*a.out:], l.qkv[s.start*a.qkv:], len(s.tokens), a)
	})
}

// attentionBackward replaces l.qkv by its gradient, given act.dheads, that of l.heads.
func (t *Trainer) attentionBackward(batch []span, layer int, l *layerActivations) {
	t.eachHead(batch, layer, func(w *attention, s span, a attentionShape) {
		qkv := l.qkv[s.start*a.qkv:]
		w.backward(qkv, t.act.dheads[s.start*a.out:], len(s.tokens), a)
		t.rotateBack(qkv, len(s.tokens), a)
	})
}

// rotateBack makes of the gradient of the task's rotated queries and key that of those before.
func (t *Trainer) rotateBack(qkv []float32, n int, a attentionShape) {
	for pos := range n {
		row := qkv[pos*a.qkv:]
		t.rope.apply(row[a.q:a.q+a.group*a.headDim], a.group, a.headDim, pos, -1)
		t.rope.apply(row[a.k:a.k+a.headDim], 1, a.headDim, pos, -1)
	}
}

// forward computes out = softmax(causal(q kᵀ / sqrt(HD))) v for one task of n rows.
func (w *attention) forward(out, qkv []float32, n int, a attentionShape) {
	w.keysT.PackTransposed(qkv[a.k:], n, a.headDim, a.qkv)
	w.values.Pack(qkv[a.v:], n, a.headDim, a.qkv)
	stride := panels(n) * kernel.PanelWidth
	w.p = grow(w.p, queryBlock*stride)
	for from := 0; from < n; from += queryBlock {
		to := min(from+queryBlock, n)
		seen := a.firstColumn(from)
		for g := range a.group {
			w.weights(w.p, qkv, from, to, stride, g, a)
			mulRange(out[from*a.out+a.o+g*a.headDim:], a.out, w.p, stride, &w.values, to-from, seen, to)
		}
	}
}

// firstColumn is the first key computed for a block of queries from position from on: no query
// sees one before it, and it begins a panel.
func (a attentionShape) firstColumn(from int) int {
	return a.first(from) / kernel.PanelWidth * kernel.PanelWidth
}

// weights writes the softmax rows of queries [from, to) of the group's head g to p, with
// zeros for the keys that a query does not see; columns before firstColumn are left as they are.
func (w *attention) weights(p, qkv []float32, from, to, stride, g int, a attentionShape) {
	seen := a.firstColumn(from)
	kernel.Mul(p, stride, qkv[from*a.qkv+a.q+g*a.headDim:], a.qkv, &w.keysT, to-from, false, seen/kernel.PanelWidth, panels(to))
	for i := from; i < to; i++ {
		row := p[(i-from)*stride:][:to]
		kernel.Softmax(row[a.first(i):i+1], a.scale)
		a.hide(row, seen, i)
	}
}

// hide sets the columns of query i's row, from seen on, to zero where it sees no key.
func (a attentionShape) hide(row []float32, seen, i int) {
	clear(row[seen:a.first(i)])
	clear(row[i+1:])
}

// backward replaces queries, key and value of one task by their gradients, given dout,
// that of the output.
//
// With s = q kᵀ / sqrt(HD), p = softmax(s), o = p v:
//
//	dv = pᵀ do    dp = do vᵀ    ds = p*(dp - Σ dp*p) / sqrt(HD)    dq = ds k    dk = dsᵀ q
//
// dk and dv are sums over queries; they are computed transposed, so that p and ds are
// right-hand sides, which need packing but no transposition.
func (w *attention) backward(qkv, dout []float32, n int, a attentionShape) {
	hd := a.headDim
	w.keysT.PackTransposed(qkv[a.k:], n, hd, a.qkv)
	w.keys.Pack(qkv[a.k:], n, hd, a.qkv)
	w.valuesT.PackTransposed(qkv[a.v:], n, hd, a.qkv)
	stride := panels(n) * kernel.PanelWidth
	w.p, w.ds = grow(w.p, a.group*queryBlock*stride), grow(w.ds, a.group*queryBlock*stride)
	w.qT, w.oT = grow(w.qT, hd*a.group*queryBlock), grow(w.oT, hd*a.group*queryBlock)
	w.dkT, w.dvT = grow(w.dkT, hd*stride), grow(w.dvT, hd*stride)
	clear(w.dkT)
	clear(w.dvT)
	for from := 0; from < n; from += queryBlock {
		to := min(from+queryBlock, n)
		b, seen := to-from, a.firstColumn(from)
		for g := range a.group {
			p, ds := w.p[g*b*stride:], w.ds[g*b*stride:]
			q, do := qkv[from*a.qkv+a.q+g*hd:], dout[from*a.out+a.o+g*hd:]
			w.weights(p, qkv, from, to, stride, g, a)
			kernel.Mul(ds, stride, do, a.out, &w.valuesT, b, false, seen/kernel.PanelWidth, panels(to))
			for i := from; i < to; i++ {
				row, first := ds[(i-from)*stride:][:to], a.first(i)
				kernel.SoftmaxBackward(row[first:i+1], p[(i-from)*stride:][first:i+1], a.scale)
				a.hide(row, seen, i)
			}
			transpose(w.qT[g*b:], a.group*b, q, a.qkv, b, hd)
			transpose(w.oT[g*b:], a.group*b, do, a.out, b, hd)
			// The block's queries have been read for the last time.
			mulRange(q, a.qkv, ds, stride, &w.keys, b, seen, to)
		}
		w.block.Pack(w.p[seen:], a.group*b, to-seen, stride)
		kernel.Mul(w.dvT[seen:], stride, w.oT, a.group*b, &w.block, hd, true, 0, panels(to-seen))
		w.block.Pack(w.ds[seen:], a.group*b, to-seen, stride)
		kernel.Mul(w.dkT[seen:], stride, w.qT, a.group*b, &w.block, hd, true, 0, panels(to-seen))
	}
	transpose(qkv[a.k:], a.qkv, w.dkT, stride, hd, n)
	transpose(qkv[a.v:], a.qkv, w.dvT, stride, hd, n)
}

// mulRange computes C = A B for columns [from, to) of A and those rows of B, panel by panel: a
// block of queries does not look behind its last query, nor before its window.
func mulRange(c []float32, ldc int, a []float32, lda int, b *kernel.Packed, m, from, to int) {
	for p := range panels(b.N) {
		at := p * b.K * kernel.PanelWidth
		view := kernel.Packed{
			K: to - from, N: min(b.N-p*kernel.PanelWidth, kernel.PanelWidth),
			Data: b.Data[at+from*kernel.PanelWidth : at+to*kernel.PanelWidth],
		}
		kernel.Mul(c[p*kernel.PanelWidth:], ldc, a[from:], lda, &view, m, false, 0, 1)
	}
}

// transpose writes dst (n, m) = srcᵀ of src (m, n), four rows at a time.
func transpose(dst []float32, ldd int, src []float32, lds, m, n int) {
	i := 0
	for ; i+4 <= m; i += 4 {
		s0, s1, s2, s3 := src[i*lds:][:n], src[(i+1)*lds:][:n], src[(i+2)*lds:][:n], src[(i+3)*lds:][:n]
		for j := range n {
			d := (*[4]float32)(dst[j*ldd+i:])
			d[0], d[1], d[2], d[3] = s0[j], s1[j], s2[j], s3[j]
		}
	}
	for ; i < m; i++ {
		for j, x := range src[i*lds:][:n] {
			dst[j*ldd+i] = x
		}
	}
}

// panels is the number of kernel panels that hold n columns.
func panels(n int) int { return (n + kernel.PanelWidth - 1) / kernel.PanelWidth }
