package llama

import "stargate/internal/kernel"

// backwardPass adds the gradients of one microbatch, given act.dx, that of the last layer's
// output. Like the forward pass it alternates between attention and chains of row-wise
// steps; the gradients of weights are sums over all rows and come in between.
func (t *Trainer) backwardPass(batch []span) {
	a, n := &t.act, t.act.rows
	last := len(t.model.Layers) - 1
	for i := last; i >= 0; i-- {
		l := &a.layers[i]
		if t.recompute && i < last { // the last layer's activations are there
			t.activate(batch, i, l)
		}
		if t.recompute || i == last { // else done with the layer above
			t.eachRows(n, func(worker, lo, hi int) { t.feedForwardBackward(i, worker, lo, hi) })
		}
		t.attentionBackward(batch, i, l)
		if t.model.Layers[i].QNorm != nil {
			t.normHeadsBackward(i, l)
		}
		if t.low != nil {
			t.addUpdates(i)
		} else {
			t.addWeights(i)
		}
		t.eachRows(n, func(worker, lo, hi int) {
			if i > 0 || t.low == nil { // nothing below layer 0 is trained but the embedding
				t.queriesKeysValuesBackward(i, worker, lo, hi)
			}
			if i > 0 && !t.recompute {
				t.feedForwardBackward(i-1, worker, lo, hi)
			}
		})
		if t.low == nil {
			addPartial(t.grad.Layers[i].AttnNorm, a.dscale1)
		}
	}
	if t.low == nil {
		t.addEmbedding()
	}
}

// addWeights adds to the gradient of layer i's weights, but that of AttnNorm.
func (t *Trainer) addWeights(i int) {
	c, dw, a, l, n := t.model.Config, &t.grad.Layers[i], &t.act, &t.act.layers[i], t.act.rows
	d, f := c.HiddenSize, c.IntermediateSize
	addPartial(dw.MLPNorm, a.dscale2)
	addPartial(dw.QNorm, a.dqNorm)
	addPartial(dw.KNorm, a.dkNorm)
	t.pool.MulTN(dw.Down, f, a.dx, d, l.hidden, f, d, f, n, true)
	t.pool.MulTN(dw.GateUp, d, l.gateUp, 2*f, l.norm2, d, 2*f, d, n, true)
	t.pool.MulTN(dw.Out, c.attn(), a.dmid, d, l.heads, c.attn(), d, c.attn(), n, true)
	t.pool.MulTN(dw.QKV, d, l.qkv, c.qkv(), l.norm1, d, c.qkv(), d, n, true)
	t.sumRows(dw.OutBias, a.dmid, n)
	t.sumRows(dw.QKVBias, l.qkv, n)
}

// addUpdates adds to the gradient of layer i's low-rank updates.
func (t *Trainer) addUpdates(i int) {
	c, w, a, l := t.model.Config, &t.weights.layers[i], &t.act, &t.act.layers[i]
	d, f := c.HiddenSize, c.IntermediateSize
	if w.qkv.low != nil {
		t.eachRows(a.rows, func(_, lo, hi int) { w.qkv.low.projectBackward(a.du.qkv, l.qkv, c.qkv(), lo, hi) })
	}
	t.addGradient(w.down.low, l.hidden, a.dx, d, l.u.down, a.du.down)
	t.addGradient(w.gateUp.low, l.norm2, l.gateUp, 2*f, l.u.gateUp, a.du.gateUp)
	t.addGradient(w.out.low, l.heads, a.dmid, d, l.u.out, a.du.out)
	t.addGradient(w.qkv.low, l.norm1, l.qkv, c.qkv(), l.u.qkv, a.du.qkv)
}

// addEmbedding adds to the gradient of the embedding, given act.dx, that of layer 0's input.
func (t *Trainer) addEmbedding() {
	g, a, d := t.grad, &t.act, t.model.Config.HiddenSize
	// x = Embed[token]: a token may occur in many rows, so the columns are divided.
	t.pool.For(d, align, func(_, lo, hi int) {
		for i, id := range a.tokens {
			kernel.Add(g.Embed[int(id)*d+lo:int(id)*d+hi], a.dx[i*d+lo:i*d+hi])
		}
	})
}

// multiplyBackward computes rows [lo, hi) of dx from dy, those of y = x Wᵀ with the updates of W.
// Those of du are computed too, unless they have been.
func (t *Trainer) multiplyBackward(w *weight, worker int, dx []float32, ldx int, dy []float32, ldy int, du []float32, lo, hi int, known bool) {
	w.applyBackward(dx, ldx, dy, ldy, lo, hi)
	if w.low != nil {
		if !known {
			w.low.projectBackward(du, dy, ldy, lo, hi)
		}
		t.addBackward(w.low, worker, dx, du, lo, hi)
	}
}

// feedForwardBackward goes back through [Trainer.feedForward], from dx to dmid and dheads.
// It replaces gateUp by its gradient.
func (t *Trainer) feedForwardBackward(layer, worker, lo, hi int) {
	c, w, b := t.model.Config, &t.model.Layers[layer], &t.weights.layers[layer]
	a, l := &t.act, &t.act.layers[layer]
	d, f := c.HiddenSize, c.IntermediateSize
	// next = mid + hidden Downᵀ
	t.multiplyBackward(&b.down, worker, a.dhidden, f, a.dx, d, a.du.down, lo, hi, false)
	copy(a.dmid[lo*d:hi*d], a.dx[lo*d:hi*d])
	// hidden = silu(gate)*up
	for i := lo; i < hi; i++ {
		gu := l.gateUp[i*2*f:][:2*f]
		kernel.SwiGLUBackward(a.dhidden[i*f:][:f], gu[:f], gu[f:])
	}
	// gateUp = RMSNorm(mid) GateUpᵀ
	t.multiplyBackward(&b.gateUp, worker, a.dnorm, d, l.gateUp, 2*f, a.du.gateUp, lo, hi, false)
	normBackward(a.dmid, a.dscale2, a.dnorm, l.mid, w.MLPNorm, l.r2, lo, hi)
	// mid = x + heads Outᵀ
	t.multiplyBackward(&b.out, worker, a.dheads, c.attn(), a.dmid, d, a.du.out, lo, hi, false)
}

// queriesKeysValuesBackward goes back through [Trainer.queriesKeysValues], from dmid and the
// gradient of qkv to dx, that of the layer's input.
func (t *Trainer) queriesKeysValuesBackward(layer, worker, lo, hi int) {
	c, w := t.model.Config, &t.model.Layers[layer]
	a, l := &t.act, &t.act.layers[layer]
	d := c.HiddenSize
	copy(a.dx[lo*d:hi*d], a.dmid[lo*d:hi*d])
	t.multiplyBackward(&t.weights.layers[layer].qkv, worker, a.dnorm, d, l.qkv, c.qkv(), a.du.qkv, lo, hi, true)
	normBackward(a.dx, a.dscale1, a.dnorm, l.x, w.AttnNorm, l.r1, lo, hi)
}

// normBackward goes back through y = RMSNorm(x)*w for rows [lo, hi), which begin with a row
// block: it adds to dx and sets each block's part of the weight's gradient.
func normBackward(dx, parts, dy, x, w, r []float32, lo, hi int) {
	d := len(w)
	for i := lo; i < hi; i++ {
		dw := parts[i/rowBlock*d:][:d]
		if i%rowBlock == 0 {
			clear(dw)
		}
		kernel.RMSNormBackward(dx[i*d:][:d], dw, dy[i*d:][:d], x[i*d:][:d], w, r[i])
	}
}

// addPartial adds the row blocks' parts of a norm's gradient, in order.
func addPartial(dw, partial []float32) {
	for at := 0; at < len(partial); at += len(dw) {
		kernel.Add(dw, partial[at:][:len(dw)])
	}
}
