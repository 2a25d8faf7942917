package llama

import (
	"sync/atomic"

	"stargate/internal/kernel"
)

// rowBlock is the number of rows that one task carries through a chain of row-wise steps:
// norms, products and activations. It is constant because the gradient of a norm's weight
// is summed block by block; a multiple of the kernel's row tile (6), small enough to divide
// a microbatch evenly and large enough to read a weight's panel rarely.
const rowBlock = 48

func rowBlocks(n int) int { return (n + rowBlock - 1) / rowBlock }

// each runs fn for tasks 0..n-1, a worker taking the next one as it becomes free. Tasks
// write to disjoint memory, so it does not matter who runs which.
func (t *Trainer) each(n int, fn func(worker, task int)) {
	var next atomic.Int64
	t.pool.Run(func(worker int) {
		for {
			task := int(next.Add(1)) - 1
			if task >= n {
				return
			}
			fn(worker, task)
		}
	})
}

// eachRows runs fn for rows [lo, hi) of n rows: whole row blocks, one, or where weights are
// packed anew for each call, as many as leave every worker some calls.
func (t *Trainer) eachRows(n int, fn func(worker, lo, hi int)) {
	size := rowBlock
	if t.weights.head.stored != nil {
		size *= max(1, min(10, n/(2*rowBlock*t.pool.Workers())))
	}
	t.each((n+size-1)/size, func(worker, task int) { fn(worker, task*size, min((task+1)*size, n)) })
}

// eachRowsAlone is eachRows for steps that compute each row alone, so that it does not matter how
// rows are divided: towards the end there are fewer of them in a task, and no worker waits long
// for the last one.
func (t *Trainer) eachRowsAlone(n int, fn func(worker, lo, hi int)) {
	if t.weights.head.stored != nil {
		t.eachRows(n, fn)
		return
	}
	const tile = 6 // rows of the kernel's
	t.cuts = append(t.cuts[:0], 0)
	for at := 0; at < n; {
		size := (n - at) / (2 * t.pool.Workers()) / tile * tile
		at = min(at+min(max(size, 2*tile), rowBlock), n)
		t.cuts = append(t.cuts, at)
	}
	t.each(len(t.cuts)-1, func(worker, task int) { fn(worker, t.cuts[task], t.cuts[task+1]) })
}

// forwardPass computes the decoder's layers on one microbatch. With keep, every layer's
// activations stay for the backward pass. Only attention couples rows, so there are two
// phases per layer: attention, and everything up to the next attention.
func (t *Trainer) forwardPass(batch []span, keep bool) {
	a, layers := &t.act, len(t.model.Layers)
	for _, s := range batch {
		copy(a.tokens[s.start:], s.tokens)
	}
	t.eachRowsAlone(a.rows, func(worker, lo, hi int) {
		t.embedRows(a.layer(0, keep).x, lo, hi)
		t.queriesKeysValues(0, a.layer(0, keep), worker, lo, hi)
	})
	for i := range layers {
		l, next := a.layer(i, keep), a.last
		if i+1 < layers {
			next = a.layer(i+1, keep).x
		}
		t.attentionForward(batch, i, l)
		t.eachRowsAlone(a.rows, func(worker, lo, hi int) {
			t.feedForward(i, l, next, worker, lo, hi)
			if i+1 < layers {
				t.queriesKeysValues(i+1, a.layer(i+1, keep), worker, lo, hi)
			}
		})
	}
}

// embedRows writes rows [lo, hi) of x = Embed[token].
func (t *Trainer) embedRows(x []float32, lo, hi int) {
	d := t.model.Config.HiddenSize
	for i := lo; i < hi; i++ {
		t.embed(x[i*d:][:d], t.act.tokens[i])
	}
}

// multiply computes rows [lo, hi) of y = x Wᵀ, or y += x Wᵀ, with the updates of W; u is theirs.
func (t *Trainer) multiply(w *weight, worker int, y []float32, ldy int, x []float32, ldx int, u []float32, lo, hi int, accumulate bool) {
	w.apply(y, ldy, x, ldx, lo, hi, accumulate)
	if w.low != nil {
		t.project(w.low, worker, u, x, lo, hi)
		w.low.add(y, ldy, u, lo, hi)
	}
}

// queriesKeysValues computes qkv = RMSNorm(x) QKVᵀ + bias for rows [lo, hi), with heads normalised where
// the family does, and rotates queries and keys.
func (t *Trainer) queriesKeysValues(layer int, l *layerActivations, worker, lo, hi int) {
	c, w := t.model.Config, &t.model.Layers[layer]
	d, eps := c.HiddenSize, float32(c.RMSNormEps)
	for i := lo; i < hi; i++ {
		l.r1[i] = kernel.RMSNorm(l.norm1[i*d:][:d], l.x[i*d:][:d], w.AttnNorm, eps)
	}
	t.multiply(&t.weights.layers[layer].qkv, worker, l.qkv, c.qkv(), l.norm1, d, l.u.qkv, lo, hi, false)
	addBias(l.qkv, w.QKVBias, lo, hi)
	if w.QNorm != nil {
		t.normHeads(layer, l, lo, hi)
	}
	heads := c.NumAttentionHeads + c.NumKeyValueHeads
	for i := lo; i < hi; i++ {
		t.rope.apply(l.qkv[i*c.qkv():][:heads*c.HeadDim], heads, c.HeadDim, int(t.act.positions[i]), 1)
	}
}

// feedForward computes, for rows [lo, hi), mid = x + heads Outᵀ + bias and
// next = mid + (silu(gate)*up) Downᵀ with gate and up from RMSNorm(mid) GateUpᵀ. Without next it
// computes what the backward pass needs.
func (t *Trainer) feedForward(layer int, l *layerActivations, next []float32, worker, lo, hi int) {
	c, w, b := t.model.Config, &t.model.Layers[layer], &t.weights.layers[layer]
	d, f, eps := c.HiddenSize, c.IntermediateSize, float32(c.RMSNormEps)
	copy(l.mid[lo*d:hi*d], l.x[lo*d:hi*d])
	t.multiply(&b.out, worker, l.mid, d, l.heads, c.attn(), l.u.out, lo, hi, true)
	addBias(l.mid, w.OutBias, lo, hi)
	for i := lo; i < hi; i++ {
		l.r2[i] = kernel.RMSNorm(l.norm2[i*d:][:d], l.mid[i*d:][:d], w.MLPNorm, eps)
	}
	t.multiply(&b.gateUp, worker, l.gateUp, 2*f, l.norm2, d, l.u.gateUp, lo, hi, false)
	for i := lo; i < hi; i++ {
		gu := l.gateUp[i*2*f:][:2*f]
		kernel.SwiGLU(l.hidden[i*f:][:f], gu[:f], gu[f:])
	}
	if next == nil {
		if b.down.low != nil {
			t.project(b.down.low, worker, l.u.down, l.hidden, lo, hi)
		}
		return
	}
	copy(next[lo*d:hi*d], l.mid[lo*d:hi*d])
	t.multiply(&b.down, worker, next, d, l.hidden, f, l.u.down, lo, hi, true)
}
