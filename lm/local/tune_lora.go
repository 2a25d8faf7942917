package local

import (
	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/internal/optim"
	"stargate/lm"
)

// newLowRank makes f train an adapter beside the frozen weights of m, which it shares: what it
// takes beside activations is the adapter, its gradient and its moments, and the weights packed
// for the backward pass where they are packed for the forward one, or in bf16 a copy of them.
func (f *fit) newLowRank(m *Model, l lm.LoRA, storage lm.Storage, seed uint64) error {
	decoder, err := m.frozen(storage)
	if err != nil {
		return err
	}
	shapes, err := m.shapes()
	if err != nil {
		return err
	}
	f.adapter, err = lora.New(lora.Config{Rank: l.Rank, Alpha: l.Alpha, Dropout: l.Dropout, Targets: l.Targets}, shapes, seed)
	if err != nil {
		return err
	}
	f.dropout = l.Dropout > 0
	f.engine.do(func(*kernel.Pool) { f.trainer, err = llama.NewLowRankTrainer(decoder, updates(f.adapter), l.Dropout) })
	if err != nil {
		return err
	}
	for i, g := range f.trainer.Updates() {
		x := f.adapter.Matrices[i]
		f.tensors = append(f.tensors, optim.Tensor{Param: x.A, Grad: g.A, Decay: true}, optim.Tensor{Param: x.B, Grad: g.B, Decay: true})
	}
	return nil
}

// frozen is a decoder with the weights of m, an adapter merged, in the storage: the model's own
// where that will do.
func (m *Model) frozen(storage lm.Storage) (*llama.Decoder, error) {
	narrow := m.weights.stored != nil && m.weights.stored.Narrow()
	if m.weights.low == nil && (storage != lm.BF16 || narrow) {
		if !m.weights.bytes {
			return m.sched.decoder, nil
		}
		var d *llama.Decoder
		m.engine.do(func(p *kernel.Pool) { d = m.weights.exact(p, llama.NewCache(m.weights.Config, 1)) })
		return d, nil
	}
	full, err := m.float32()
	if err != nil {
		return nil, err
	}
	var d *llama.Decoder
	m.engine.do(func(p *kernel.Pool) {
		cache := llama.NewCache(full.Config, 1) // nothing is generated
		if storage == lm.BF16 {
			d = llama.NewStoredDecoder(full.StoreBF16(), p, cache)
		} else {
			d = llama.NewDecoder(full, p, cache)
		}
	})
	return d, nil
}

// matrices are a model's matrices by name.
func matrices(m *llama.Model) []lora.Weight {
	var ws []lora.Weight
	for _, p := range m.Params() {
		if len(p.Shape) == 2 {
			ws = append(ws, lora.Weight{Name: p.Name, Out: p.Shape[0], In: p.Shape[1], Data: p.Data})
		}
	}
	return ws
}

// Adapter is the low-rank update that made this model from the one it was tuned from, or nil.
func (m *Model) Adapter() *lora.Adapter { return m.adapter }

// adapterDir is where Save puts the adapter beside the merged weights, in PEFT's format. It is a
// directory of its own: transformers takes a model directory with an adapter in it for the
// adapter alone.
const adapterDir = "adapter"
