package local

import (
	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/internal/optim"
	"stargate/lm"
)

// lowRank trains an adapter through the model it is merged into: the derivatives of the merged
// weights give those of A and B, and after each step the weights are merged anew. It costs what
// full fine-tuning costs in time, and the optimiser's moments are those of the adapter alone.
type lowRank struct {
	adapter, gradient *lora.Adapter
	base, merged      []lora.Weight
	dMerged           []lora.Weight
}

func newLowRank(l lm.LoRA, seed uint64, base, merged, gradient *llama.Model) (*lowRank, error) {
	f := &lowRank{base: matrices(base), merged: matrices(merged), dMerged: matrices(gradient)}
	var err error
	f.adapter, err = lora.New(lora.Config{Rank: l.Rank, Alpha: l.Alpha, Targets: l.Targets}, f.base, seed)
	if err != nil {
		return nil, err
	}
	f.gradient = f.adapter.Zero()
	return f, nil
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

func (f *lowRank) tensors() []optim.Tensor {
	var ts []optim.Tensor
	for i, m := range f.adapter.Matrices {
		g := f.gradient.Matrices[i]
		ts = append(ts, optim.Tensor{Param: m.A, Grad: g.A, Decay: true}, optim.Tensor{Param: m.B, Grad: g.B, Decay: true})
	}
	return ts
}

func (f *lowRank) backward(p *kernel.Pool) error { return f.adapter.Gradient(p, f.gradient, f.dMerged) }

func (f *lowRank) merge(p *kernel.Pool) error { return f.adapter.Merge(p, f.merged, f.base) }

// merge brings the model up to what has been trained.
func (f *fit) merge() (err error) {
	if f.low != nil {
		f.engine.do(func(p *kernel.Pool) { err = f.low.merge(p) })
	}
	return err
}

// adapter is what was trained, nil after full fine-tuning.
func (f *fit) adapter() *lora.Adapter {
	if f.low == nil {
		return nil
	}
	return f.low.adapter
}

// Adapter is the low-rank update that made this model from the one it was tuned from, or nil.
func (m *Model) Adapter() *lora.Adapter { return m.adapter }

// adapterDir is where Save puts the adapter beside the merged weights, in PEFT's format. It is a
// directory of its own: transformers takes a model directory with an adapter in it for the
// adapter alone.
const adapterDir = "adapter"
