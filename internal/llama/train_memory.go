package llama

import "stargate/internal/kernel"

// Recompute says whether the trainer keeps only each layer's input and computes the layer's
// activations once more when the backward pass comes to it (gradient checkpointing: Chen et al.,
// 2016, with a checkpoint per layer). For a batch of N rows that saves about
// (L-1)·N·(3·D + qkv + heads + 3·F) numbers and costs a forward pass without the head and the
// down projections. Gradients have the same bits.
func (t *Trainer) Recompute(on bool) {
	if t.recompute != on {
		t.recompute, t.act = on, activations{} // layers share memory one way and not the other
	}
}

// activate computes layer i's activations again, from its input.
func (t *Trainer) activate(batch []span, i int, l *layerActivations) {
	t.eachRowsAlone(t.act.rows, func(worker, lo, hi int) { t.queriesKeysValues(i, l, worker, lo, hi) })
	t.attentionForward(batch, i, l)
	t.eachRowsAlone(t.act.rows, func(worker, lo, hi int) { t.feedForward(i, l, nil, worker, lo, hi) })
}

// RoundWeights makes products read the matrices rounded to bf16, from a copy of two bytes per
// number instead of two packed ones of four each. The model itself stays in float32: it is the
// master that gradients are for and that an optimiser changes, so that updates far below bf16's
// precision add up (Micikevicius et al., 2018). Vectors are not rounded. Losses and gradients
// are those of [Model.Rounded].
func (t *Trainer) RoundWeights() {
	if t.low != nil || t.rounded != nil { // a low-rank trainer's weights are its decoder's
		return
	}
	m := t.model
	size := 0
	t.weights.eachOf(m, func(_ *weight, data []float32, _, _ int) { size += 2 * len(data) })
	t.rounded = make([]byte, size)
	rest := t.rounded
	t.weights.eachOf(m, func(x *weight, data []float32, out, in int) {
		n := 2 * len(data)
		*x = weight{stored: storedSide{{N: out, K: in, Format: kernel.BF16, Data: rest[:n:n]}}}
		rest = rest[n:]
	})
	d := m.Config.HiddenSize
	t.embed = func(x []float32, id int32) { kernel.RoundBF16(x, m.Embed[int(id)*d:][:d]) }
}

// round brings the copies up to the masters.
func (t *Trainer) round() {
	t.weights.eachOf(t.model, func(x *weight, data []float32, out, in int) {
		to := x.stored[0].Data
		t.pool.For(out, 8, func(_, lo, hi int) { kernel.EncodeBF16(to[2*lo*in:2*hi*in], data[lo*in:hi*in]) })
	})
}

// Rounded is a copy of the model with its matrices rounded to bf16.
func (m *Model) Rounded() *Model {
	c := m.Clone()
	for _, p := range c.Params() {
		if len(p.Shape) == 2 {
			kernel.RoundBF16(p.Data, p.Data)
		}
	}
	return c
}

// StoreBF16 is the model for inference, or to train low-rank updates of, with its matrices rounded
// to bf16 and held in two bytes per number. Vectors are copied as they are.
func (m *Model) StoreBF16() *Stored {
	vectors, err := newModel(m.Config, false)
	if err != nil { // the config was valid when m was made
		panic(err)
	}
	s := &Stored{vectors: vectors, matrices: map[string]*kernel.Stored{}}
	from := m.Params()
	for i, p := range vectors.Params() {
		if len(p.Shape) == 1 {
			copy(p.Data, from[i].Data)
			continue
		}
		w := &kernel.Stored{N: p.Shape[0], K: p.Shape[1], Format: kernel.BF16, Data: make([]byte, 2*len(from[i].Data))}
		kernel.EncodeBF16(w.Data, from[i].Data)
		s.matrices[p.Name] = w
	}
	return s
}
