package llama

import "stargate/internal/kernel"

// forwardPass computes the decoder's layers on one microbatch. With keep, every layer's
// activations stay for the backward pass.
func (t *Trainer) forwardPass(batch []span, keep bool) {
	m, a, n := t.model, &t.act, t.act.rows
	c := m.Config
	d, f := c.HiddenSize, c.IntermediateSize
	eps := float32(c.RMSNormEps)

	x := a.layers[0].x
	for _, s := range batch {
		for i, id := range s.tokens {
			copy(x[(s.start+i)*d:][:d], m.Embed[int(id)*d:])
		}
	}
	for i := range m.Layers {
		w, b := &m.Layers[i], &t.forward.layers[i]
		l, next := &a.layers[0], a.layers[0].x
		if keep {
			l, next = &a.layers[i], a.last
			if i+1 < len(m.Layers) {
				next = a.layers[i+1].x
			}
		}
		// mid = x + Out(attention(QKV(norm(x))))
		t.normalise(l.norm1, l.r1, l.mid, l.x, w.AttnNorm, eps)
		t.pool.Mul(l.qkv, c.qkv(), l.norm1, d, &b.qkv, n, false)
		t.attentionForward(batch, l)
		t.pool.Mul(l.mid, d, l.heads, c.attn(), &b.out, n, true)
		// next = mid + Down(silu(gate)*up)
		t.normalise(l.norm2, l.r2, next, l.mid, w.MLPNorm, eps)
		t.pool.Mul(l.gateUp, 2*f, l.norm2, d, &b.gateUp, n, false)
		t.pool.For(n, 1, func(_, lo, hi int) {
			for r := lo; r < hi; r++ {
				gu := l.gateUp[r*2*f:][:2*f]
				kernel.SwiGLU(l.hidden[r*f:][:f], gu[:f], gu[f:])
			}
		})
		t.pool.Mul(next, d, l.hidden, f, &b.down, n, true)
	}
	if !keep {
		a.last, a.layers[0].x = a.layers[0].x, a.last
	}
}

// normalise writes y = RMSNorm(x)*w and r = 1/rms(x), and copies x to residual, where the
// block's output is then added.
func (t *Trainer) normalise(y, r, residual, x, w []float32, eps float32) {
	d := len(w)
	t.pool.For(len(r), 1, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			row := x[i*d:][:d]
			r[i] = kernel.RMSNorm(y[i*d:][:d], row, w, eps)
			copy(residual[i*d:][:d], row)
		}
	})
}
