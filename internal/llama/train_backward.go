package llama

import "stargate/internal/kernel"

// backwardPass adds the gradients of one microbatch, given act.dx, the gradient of the last
// layer's output. The forward pass is quoted above each step.
func (t *Trainer) backwardPass(batch []span) {
	m, g, a, n := t.model, t.grad, &t.act, t.act.rows
	c := m.Config
	d, f := c.HiddenSize, c.IntermediateSize
	for i := len(m.Layers) - 1; i >= 0; i-- {
		w, b, dw, l := &m.Layers[i], &t.backward.layers[i], &g.Layers[i], &a.layers[i]

		// next = mid + hidden Downᵀ
		t.pool.Mul(a.dhidden, f, a.dx, d, &b.down, n, false)
		t.pool.MulTN(dw.Down, f, a.dx, d, l.hidden, f, d, f, n, true)
		// hidden = silu(gate)*up
		t.pool.For(n, 1, func(_, lo, hi int) {
			for r := lo; r < hi; r++ {
				gu := l.gateUp[r*2*f:][:2*f]
				kernel.SwiGLUBackward(a.dhidden[r*f:][:f], gu[:f], gu[f:])
			}
		})
		// gateUp = norm2 GateUpᵀ
		t.pool.Mul(a.dnorm, d, l.gateUp, 2*f, &b.gateUp, n, false)
		t.pool.MulTN(dw.GateUp, d, l.gateUp, 2*f, l.norm2, d, 2*f, d, n, true)
		// norm2 = RMSNorm(mid)
		t.normaliseBackward(a.dx, dw.MLPNorm, a.dnorm, l.mid, w.MLPNorm, l.r2)

		// mid = x + heads Outᵀ
		t.pool.Mul(a.dheads, c.attn(), a.dx, d, &b.out, n, false)
		t.pool.MulTN(dw.Out, c.attn(), a.dx, d, l.heads, c.attn(), d, c.attn(), n, true)
		// heads = attention(qkv)
		t.attentionBackward(batch, l)
		// qkv = norm1 QKVᵀ
		t.pool.Mul(a.dnorm, d, l.qkv, c.qkv(), &b.qkv, n, false)
		t.pool.MulTN(dw.QKV, d, l.qkv, c.qkv(), l.norm1, d, c.qkv(), d, n, true)
		// norm1 = RMSNorm(x)
		t.normaliseBackward(a.dx, dw.AttnNorm, a.dnorm, l.x, w.AttnNorm, l.r1)
	}
	// x = Embed[token]: a token may occur in many rows, so the columns are divided.
	t.pool.For(d, align, func(_, lo, hi int) {
		for _, s := range batch {
			for i, id := range s.tokens {
				kernel.Add(g.Embed[int(id)*d+lo:int(id)*d+hi], a.dx[(s.start+i)*d+lo:(s.start+i)*d+hi])
			}
		}
	})
}

// normaliseBackward adds to dx the gradient through y = RMSNorm(x)*w, and to dw that of w.
func (t *Trainer) normaliseBackward(dx, dw, dy, x, w, r []float32) {
	n, d := len(r), len(w)
	blocks := (n + rowBlock - 1) / rowBlock
	partial := t.act.dscale[:blocks*d]
	t.pool.For(blocks, 1, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			sum := partial[b*d:][:d]
			clear(sum)
			for i := b * rowBlock; i < min((b+1)*rowBlock, n); i++ {
				kernel.RMSNormBackward(dx[i*d:][:d], sum, dy[i*d:][:d], x[i*d:][:d], w, r[i])
			}
		}
	})
	for b := range blocks {
		kernel.Add(dw, partial[b*d:][:d])
	}
}
