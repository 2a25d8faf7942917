package tinkertest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/internal/optim"
)

// model is an adapter in training.
type model struct {
	trainer   *llama.Trainer
	adapter   *lora.Adapter
	optimizer *optim.AdamW
	options   optim.Options
	dirty     bool  // a gradient is there
	seen      []row // that the gradient is of

	base    *llama.Decoder
	updates []llama.LowRank
	scorer  *llama.Decoder // of the adapter as it is; nil after a step
	cache   *llama.Cache   // of scorer
	pages   []llama.Page
}

// alpha is what the server scales adapters with, whatever the client would like.
const alpha = 32

func newModel(base *llama.Decoder, c llama.Config, shapes []lora.Weight, rank int, seed uint64, attention, mlp bool) (*model, error) {
	var targets []string
	if attention {
		targets = append(targets, "q_proj", "k_proj", "v_proj", "o_proj")
	}
	if mlp {
		targets = append(targets, "gate_proj", "up_proj", "down_proj")
	}
	a, err := lora.New(lora.Config{Rank: rank, Alpha: alpha, Targets: targets}, shapes, seed)
	if err != nil {
		return nil, err
	}
	var updates []llama.LowRank
	for _, m := range a.Matrices {
		updates = append(updates, llama.LowRank{Name: m.Name, Rank: rank, A: m.A, B: m.B, Scale: float32(a.Config.Scale())})
	}
	t, err := llama.NewLowRankTrainer(base, updates, 0)
	return &model{trainer: t, adapter: a, base: base, updates: updates, cache: llama.NewCache(c, llama.Pages(c.Context()))}, err
}

// row is a datum as the engine takes it.
type row struct {
	tokens  []int32
	weights []float64 // of tokens
}

// parse makes a row of inputs, targets and weights, which must be shifted by one.
func parse(inputs, targets []int32, weights []float64) (row, error) {
	if len(inputs) == 0 || len(targets) != len(inputs) || len(weights) != len(inputs) {
		return row{}, fmt.Errorf("%d inputs, %d targets, %d weights", len(inputs), len(targets), len(weights))
	}
	for i, id := range targets[:len(targets)-1] {
		if id != inputs[i+1] {
			return row{}, fmt.Errorf("target %d is %d, but input %d is %d", i, id, i+1, inputs[i+1])
		}
	}
	r := row{append(slices.Clone(inputs), targets[len(targets)-1]), make([]float64, len(inputs)+1)}
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return row{}, fmt.Errorf("weight %d is %g", i, w)
		}
		r.weights[i+1] = w
	}
	return r, nil
}

// masked is the row with loss where its weight is w.
func (r row) masked(w float64) (llama.Sequence, bool) {
	s := llama.Sequence{Tokens: r.tokens, Loss: make([]bool, len(r.tokens))}
	any := false
	for t := range s.Loss {
		s.Loss[t] = r.weights[t] == w
		any = any || s.Loss[t]
	}
	return s, any
}

// turnTokens is how the embedded engine divides a batch: sums of floating-point numbers depend
// on it.
const turnTokens = 2048

// backward adds the gradient of Σ weight·nll, one pass for each distinct weight.
func (m *model) backward(rows []row) error {
	if !m.dirty {
		m.trainer.ZeroGradient()
		m.dirty = true
	}
	var distinct []float64
	for _, r := range rows {
		for _, w := range r.weights {
			if w > 0 && !slices.Contains(distinct, w) {
				distinct = append(distinct, w)
			}
		}
	}
	if len(distinct) == 0 {
		return errors.New("every weight is 0")
	}
	for _, w := range distinct {
		var part []llama.Sequence
		tokens := 0
		flush := func() error {
			if len(part) == 0 {
				return nil
			}
			_, _, err := m.trainer.Accumulate(part, w)
			part, tokens = nil, 0
			return err
		}
		for _, r := range rows {
			if tokens+len(r.tokens) > turnTokens {
				if err := flush(); err != nil {
					return err
				}
			}
			if s, ok := r.masked(w); ok {
				part, tokens = append(part, s), tokens+len(r.tokens)
			}
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// logprobs are those of a row's targets.
func (m *model) logprobs(r row) ([]float64, error) {
	if m.scorer == nil {
		var err error
		if m.scorer, err = m.base.Adapt(m.updates, m.cache); err != nil {
			return nil, err
		}
	}
	inputs := r.tokens[:len(r.tokens)-1]
	for len(m.pages) < llama.Pages(len(inputs)) {
		last := llama.Page(-1)
		if n := len(m.pages); n > 0 {
			last = m.pages[n-1]
		}
		p, ok := m.cache.Alloc(last)
		if !ok {
			return nil, fmt.Errorf("%d tokens are too many", len(r.tokens))
		}
		m.pages = append(m.pages, p)
	}
	s := &llama.Span{Pages: m.pages[:llama.Pages(len(inputs))], Tokens: inputs, Targets: r.tokens[1:]}
	m.scorer.Forward([]*llama.Span{s})
	return s.LogProbs, nil
}

func (m *model) tensors() []optim.Tensor {
	var ts []optim.Tensor
	for i, g := range m.trainer.Updates() {
		x := m.adapter.Matrices[i]
		ts = append(ts, optim.Tensor{Param: x.A, Grad: g.A, Decay: true}, optim.Tensor{Param: x.B, Grad: g.B, Decay: true})
	}
	return ts
}

// step updates the adapter. The optimiser keeps its moments when its settings change.
func (m *model) step(pool *kernel.Pool, o optim.Options, rate float64) (norm float64, err error) {
	if !m.dirty {
		m.trainer.ZeroGradient()
	}
	m.dirty, m.scorer = false, nil
	if m.optimizer == nil || m.options != o {
		before := m.optimizer
		m.optimizer, m.options = optim.NewAdamW(o, m.tensors()), o
		if before != nil {
			if err := m.optimizer.Restore(before.State()); err != nil {
				return 0, err
			}
		}
	}
	return m.optimizer.Step(pool, rate)
}

// checkpoint is a model's state, as save_weights keeps it.
type checkpoint struct {
	A, B    [][]float32
	State   *optim.State
	Options optim.Options
}

func (m *model) save() checkpoint {
	c := checkpoint{Options: m.options}
	for _, x := range m.adapter.Matrices {
		c.A, c.B = append(c.A, slices.Clone(x.A)), append(c.B, slices.Clone(x.B))
	}
	if m.optimizer != nil {
		s := m.optimizer.State()
		s.M, s.V = slices.Clone(s.M), slices.Clone(s.V)
		c.State = &s
	}
	return c
}

func (m *model) load(c checkpoint, optimizer bool) error {
	if len(c.A) != len(m.adapter.Matrices) {
		return errors.New("the checkpoint is of another adapter")
	}
	m.scorer = nil
	for i, x := range m.adapter.Matrices {
		if len(c.A[i]) != len(x.A) || len(c.B[i]) != len(x.B) {
			return errors.New("the checkpoint is of another adapter")
		}
		copy(x.A, c.A[i])
		copy(x.B, c.B[i])
	}
	if optimizer && c.State != nil {
		m.optimizer, m.options = optim.NewAdamW(c.Options, m.tensors()), c.Options
		if err := m.optimizer.Restore(optim.State{Step: c.State.Step, M: slices.Clone(c.State.M), V: slices.Clone(c.State.V)}); err != nil {
			return err
		}
	}
	return nil
}
