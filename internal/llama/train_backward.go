package llama

import "stargate/internal/kernel"

// backwardPass adds the gradients of one microbatch, given act.dx, that of the last layer's
// output. Like the forward pass it alternates between attention and chains of row-wise
// steps; the gradients of weights are sums over all rows and come in between.
func (t *Trainer) backwardPass(batch []span) {
	m, g, a, n := t.model, t.grad, &t.act, t.act.rows
	c := m.Config
	d, f := c.HiddenSize, c.IntermediateSize
	last := len(m.Layers) - 1
	t.eachRows(n, func(block, lo, hi int) { t.feedForwardBackward(last, block, lo, hi) })
	for i := last; i >= 0; i-- {
		dw, l := &g.Layers[i], &a.layers[i]
		addPartial(dw.MLPNorm, a.dscale2)
		t.attentionBackward(batch, i, l)
		if dw.QNorm != nil {
			t.normHeadsBackward(i, dw, l)
		}

		t.pool.MulTN(dw.Down, f, a.dx, d, l.hidden, f, d, f, n, true)
		t.pool.MulTN(dw.GateUp, d, l.gateUp, 2*f, l.norm2, d, 2*f, d, n, true)
		t.pool.MulTN(dw.Out, c.attn(), a.dmid, d, l.heads, c.attn(), d, c.attn(), n, true)
		t.pool.MulTN(dw.QKV, d, l.qkv, c.qkv(), l.norm1, d, c.qkv(), d, n, true)
		t.sumRows(dw.OutBias, a.dmid, n)
		t.sumRows(dw.QKVBias, l.qkv, n)

		t.eachRows(n, func(block, lo, hi int) {
			t.projectBackward(i, block, lo, hi)
			if i > 0 {
				t.feedForwardBackward(i-1, block, lo, hi)
			}
		})
		addPartial(dw.AttnNorm, a.dscale1)
	}
	// x = Embed[token]: a token may occur in many rows, so the columns are divided.
	t.pool.For(d, align, func(_, lo, hi int) {
		for i, id := range a.tokens {
			kernel.Add(g.Embed[int(id)*d+lo:int(id)*d+hi], a.dx[i*d+lo:i*d+hi])
		}
	})
}

// feedForwardBackward goes back through [Trainer.feedForward], from dx to dmid and dheads.
// It replaces gateUp by its gradient.
func (t *Trainer) feedForwardBackward(layer, block, lo, hi int) {
	c, w, b := t.model.Config, &t.model.Layers[layer], &t.backward.layers[layer]
	a, l := &t.act, &t.act.layers[layer]
	d, f := c.HiddenSize, c.IntermediateSize
	// next = mid + hidden Downᵀ
	mulRows(a.dhidden, f, a.dx, d, &b.down, lo, hi, false)
	copy(a.dmid[lo*d:hi*d], a.dx[lo*d:hi*d])
	// hidden = silu(gate)*up
	for i := lo; i < hi; i++ {
		gu := l.gateUp[i*2*f:][:2*f]
		kernel.SwiGLUBackward(a.dhidden[i*f:][:f], gu[:f], gu[f:])
	}
	// gateUp = RMSNorm(mid) GateUpᵀ
	mulRows(a.dnorm, d, l.gateUp, 2*f, &b.gateUp, lo, hi, false)
	normBackward(a.dmid, a.dscale2[block*d:][:d], a.dnorm, l.mid, w.MLPNorm, l.r2, lo, hi)
	// mid = x + heads Outᵀ
	mulRows(a.dheads, c.attn(), a.dmid, d, &b.out, lo, hi, false)
}

// projectBackward goes back through [Trainer.project], from dmid and the gradient of qkv
// to dx, that of the layer's input.
func (t *Trainer) projectBackward(layer, block, lo, hi int) {
	c, w := t.model.Config, &t.model.Layers[layer]
	a, l := &t.act, &t.act.layers[layer]
	d := c.HiddenSize
	copy(a.dx[lo*d:hi*d], a.dmid[lo*d:hi*d])
	mulRows(a.dnorm, d, l.qkv, c.qkv(), &t.backward.layers[layer].qkv, lo, hi, false)
	normBackward(a.dx, a.dscale1[block*d:][:d], a.dnorm, l.x, w.AttnNorm, l.r1, lo, hi)
}

// normBackward goes back through y = RMSNorm(x)*w for rows [lo, hi): it adds to dx and sets
// dw to the rows' part of the weight's gradient.
func normBackward(dx, dw, dy, x, w, r []float32, lo, hi int) {
	d := len(w)
	clear(dw)
	for i := lo; i < hi; i++ {
		kernel.RMSNormBackward(dx[i*d:][:d], dw, dy[i*d:][:d], x[i*d:][:d], w, r[i])
	}
}

// addPartial adds the row blocks' parts of a norm's gradient, in order.
func addPartial(dw, partial []float32) {
	for at := 0; at < len(partial); at += len(dw) {
		kernel.Add(dw, partial[at:][:len(dw)])
	}
}
