package llama

import "stargate/internal/kernel"

// What some families do between the projections of attention and its rotation: a bias, and a
// norm of each head of queries and keys (Henry et al. 2020; with RMSNorm in Qwen3).

// addBias adds bias to rows [lo, hi) of x, which have its width; nil adds nothing.
func addBias(x, bias []float32, lo, hi int) {
	n := len(bias)
	if n == 0 {
		return
	}
	for i := lo; i < hi; i++ {
		kernel.Add(x[i*n:][:n], bias)
	}
}

// sumRows adds the n rows of x to sum, which has their width: the gradient of a bias. Columns
// are divided among the workers, so each has one order of summation.
func (t *Trainer) sumRows(sum, x []float32, n int) {
	width := len(sum)
	if width == 0 {
		return
	}
	t.pool.For(width, align, func(_, lo, hi int) {
		for i := range n {
			kernel.Add(sum[lo:hi], x[i*width+lo:i*width+hi])
		}
	})
}

// finishQKV adds the bias to row i of qkv and normalises its heads, in place.
func (w *Layer) finishQKV(qkv []float32, i int, c Config) {
	addBias(qkv, w.QKVBias, i, i+1)
	if w.QNorm == nil {
		return
	}
	row := qkv[i*c.qkv():]
	w.eachNormedHead(c, func(head int, norm []float32) {
		x := row[head*c.HeadDim:][:c.HeadDim]
		kernel.RMSNorm(x, x, norm, float32(c.RMSNormEps))
	})
}

// eachNormedHead calls fn for the heads of queries, then of keys, with their norm. They are
// adjacent in a row of qkv.
func (w *Layer) eachNormedHead(c Config, fn func(head int, norm []float32)) {
	for head := range c.NumAttentionHeads + c.NumKeyValueHeads {
		if head < c.NumAttentionHeads {
			fn(head, w.QNorm)
		} else {
			fn(head, w.KNorm)
		}
	}
}

// normHeads normalises queries and keys of rows [lo, hi) of l.qkv in place. What they were, and
// 1/rms, stay in l.qk and l.rqk.
func (t *Trainer) normHeads(layer int, l *layerActivations, lo, hi int) {
	c, w := t.model.Config, &t.model.Layers[layer]
	hd, heads := c.HeadDim, c.NumAttentionHeads+c.NumKeyValueHeads
	for i := lo; i < hi; i++ {
		row, was := l.qkv[i*c.qkv():][:heads*hd], l.qk[i*heads*hd:][:heads*hd]
		copy(was, row)
		w.eachNormedHead(c, func(head int, norm []float32) {
			l.rqk[i*heads+head] = kernel.RMSNorm(row[head*hd:][:hd], was[head*hd:][:hd], norm, float32(c.RMSNormEps))
		})
	}
}

// normHeadsBackward replaces the gradient of normalised queries and keys in l.qkv by that of
// what normHeads was given, and sets the row blocks' parts of the gradients of the norms.
func (t *Trainer) normHeadsBackward(layer int, l *layerActivations) {
	c, w, a := t.model.Config, &t.model.Layers[layer], &t.act
	hd, heads := c.HeadDim, c.NumAttentionHeads+c.NumKeyValueHeads
	t.eachRows(a.rows, func(_, lo, hi int) {
		var part Layer
		dx := make([]float32, hd)
		for i := lo; i < hi; i++ {
			if i%rowBlock == 0 {
				part = Layer{QNorm: a.dqNorm[i/rowBlock*hd:][:hd], KNorm: a.dkNorm[i/rowBlock*hd:][:hd]}
				clear(part.QNorm)
				clear(part.KNorm)
			}
			part.eachNormedHead(c, func(head int, dnorm []float32) {
				norm := w.QNorm
				if head >= c.NumAttentionHeads {
					norm = w.KNorm
				}
				dy := l.qkv[i*c.qkv()+head*hd:][:hd]
				clear(dx)
				kernel.RMSNormBackward(dx, dnorm, dy, l.qk[(i*heads+head)*hd:][:hd], norm, l.rqk[i*heads+head])
				copy(dy, dx)
			})
		}
	})
}
