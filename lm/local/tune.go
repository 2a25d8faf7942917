package local

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/internal/optim"
	"stargate/lm"
	"stargate/lm/trainset"
)

// Tune implements [lm.Tuner]: supervised fine-tuning of all weights (paper section 5). The
// returned Generator is a *Model on the same engine, with a cache of its own; close it when
// done.
//
// Examples are encoded, shuffled and split by their keys: the same set in another order
// gives the same model.
func (m *Model) Tune(ctx context.Context, name string, examples []lm.Example, h lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	return m.TuneWithCheckpoints(ctx, name, examples, h, Checkpoints{})
}

// TuneWithCheckpoints is Tune that goes on where an earlier call with the same model,
// examples and hyperparameters was stopped, and ends with the same bits as one that never was.
func (m *Model) TuneWithCheckpoints(ctx context.Context, name string, examples []lm.Example, h lm.Hyper, c Checkpoints) (lm.Generator, lm.TuneLog, error) {
	if err := checkHyper(h); err != nil {
		return nil, lm.TuneLog{}, fmt.Errorf("tune %s: %w", name, err)
	}
	set, err := trainset.New(m, examples, m.opts.Context, h.HeldOut, h.Seed)
	if err != nil {
		return nil, lm.TuneLog{}, fmt.Errorf("tune %s: %w", name, err)
	}
	tuned, log, err := m.TuneSet(ctx, name, set, h, c, c.Step)
	if err != nil { // a nil *Model is no nil Generator
		return nil, log, err
	}
	return tuned, log, nil
}

// TuneSet is TuneWithCheckpoints for examples in tokens, with the held-out ones apart. each, if
// set, is told of every step as it is done, and of how many there are.
func (m *Model) TuneSet(ctx context.Context, name string, set trainset.Set, h lm.Hyper, c Checkpoints, each func(s lm.TuneStep, steps int)) (*Model, lm.TuneLog, error) {
	tuned, log, err := m.tune(ctx, set, h, c, each)
	if err != nil {
		return nil, log, fmt.Errorf("tune %s: %w", name, err)
	}
	return tuned, log, nil
}

func (m *Model) tune(ctx context.Context, set trainset.Set, h lm.Hyper, c Checkpoints, each func(lm.TuneStep, int)) (*Model, lm.TuneLog, error) {
	log := set.Log()
	if err := checkHyper(h); err != nil {
		return nil, log, err
	}
	if err := m.engine.retain(); err != nil { // the model may be closed meanwhile
		return nil, log, err
	}
	defer m.engine.release()
	if len(set.Train) == 0 {
		return nil, log, fmt.Errorf("nothing to train on: of %d examples %d are held out and %d do not fit the context of %d tokens", len(set.Held)+len(set.Dropped), len(set.Held), len(set.Dropped), m.opts.Context)
	}
	held := sequences(set.Held)

	f, err := m.newFit(h)
	if err != nil {
		return nil, log, err
	}
	saved, err := c.open(m, set, h)
	if err != nil {
		return nil, log, err
	}
	if found, err := saved.restore(f, &log); err != nil {
		return nil, log, err
	} else if !found {
		if log.EvalLossBase, err = f.mean(ctx, held); err != nil {
			return nil, log, fmt.Errorf("held-out loss: %w", err)
		}
	}
	perEpoch, total := set.StepsPerEpoch(h), set.Steps(h)
	schedule := optim.Schedule{Base: h.LearningRate, Warmup: int(math.Ceil(h.WarmupRatio * float64(total))), Total: total}
	for epoch := range h.Epochs {
		rows := sequences(set.Epoch(h.Seed, epoch))
		for i, batch := range slices.Collect(slices.Chunk(rows, h.BatchSize)) {
			if epoch*perEpoch+i < len(log.Steps) {
				continue // done before the checkpoint
			}
			step := lm.TuneStep{Step: len(log.Steps) + 1, LearningRate: schedule.LR(len(log.Steps))}
			f.nameMasks(batch, step.Step)
			if step.Loss, step.GradNorm, err = f.step(ctx, batch, step.LearningRate); err != nil {
				return nil, log, fmt.Errorf("step %d of %d: %w", step.Step, total, err)
			}
			log.Steps = append(log.Steps, step)
			if each != nil {
				each(step, total)
			}
			if err := saved.write(f, log, step.Step == total); err != nil {
				return nil, log, err
			}
		}
	}
	if log.EvalLoss, err = f.mean(ctx, held); err != nil {
		return nil, log, fmt.Errorf("held-out loss: %w", err)
	}
	o := m.opts
	o.Engine = m.engine
	full, err := f.result(m)
	if err != nil {
		return nil, log, err
	}
	tuned, err := assemble(fullWeights(full), m.codec, m.files, o)
	if err != nil {
		return nil, log, err
	}
	tuned.adapter = f.adapter
	return tuned, log, nil
}

func checkHyper(h lm.Hyper) error {
	switch {
	case !(h.LearningRate > 0):
		return fmt.Errorf("learning_rate is %g, want a positive number", h.LearningRate)
	case h.Epochs < 1:
		return fmt.Errorf("epochs is %d, want at least 1", h.Epochs)
	case h.BatchSize < 1:
		return fmt.Errorf("batch_size is %d, want at least 1", h.BatchSize)
	case !(h.WarmupRatio >= 0 && h.WarmupRatio <= 1):
		return fmt.Errorf("warmup_ratio is %g, want a number in [0, 1]", h.WarmupRatio)
	case !(h.HeldOut >= 0 && h.HeldOut < 1):
		return fmt.Errorf("held_out is %g, want a number in [0, 1)", h.HeldOut)
	case !(h.Beta1 >= 0 && h.Beta1 < 1 && h.Beta2 >= 0 && h.Beta2 < 1):
		return fmt.Errorf("beta1 and beta2 are %g and %g, want numbers in [0, 1)", h.Beta1, h.Beta2)
	case !(h.Epsilon > 0):
		return fmt.Errorf("epsilon is %g, want a positive number", h.Epsilon)
	case h.Storage.Validate() != nil:
		return h.Storage.Validate()
	case h.LoRA != nil && !(h.LoRA.Dropout >= 0 && h.LoRA.Dropout < 1):
		return fmt.Errorf("lora: dropout is %g, want a number in [0, 1)", h.LoRA.Dropout)
	case !(h.ClipNorm >= 0), !(h.WeightDecay >= 0):
		return fmt.Errorf("clip_norm and weight_decay are %g and %g, want numbers from 0", h.ClipNorm, h.WeightDecay)
	}
	return nil
}

// encoded is an example in tokens.
type encoded struct {
	key string
	llama.Sequence
}

func sequences(rows []trainset.Row) []encoded {
	xs := make([]encoded, len(rows))
	for i, r := range rows {
		xs[i] = encoded{r.Key, llama.Sequence{Tokens: r.Tokens, Loss: r.Loss}}
	}
	return xs
}

// fit is what is in training: a copy of all weights, or an adapter.
type fit struct {
	engine    *Engine
	model     *llama.Model // the copy, nil with an adapter
	adapter   *lora.Adapter
	trainer   *llama.Trainer
	tensors   []optim.Tensor // what is trained
	optimizer *optim.AdamW
	rounded   bool // the model is the masters of rounded weights

	dropout bool
	seed    uint64 // of dropout
}

func (m *Model) newFit(h lm.Hyper) (*fit, error) {
	f := &fit{engine: m.engine, seed: h.Seed}
	if h.LoRA != nil {
		if err := f.newLowRank(m, *h.LoRA, h.Storage, h.Seed); err != nil {
			return nil, err
		}
	} else {
		var err error
		if f.model, err = m.copy(); err != nil {
			return nil, err
		}
		f.engine.do(func(p *kernel.Pool) { f.trainer = llama.NewTrainer(f.model, p) })
		if f.rounded = h.Storage == lm.BF16; f.rounded {
			f.trainer.RoundWeights()
		}
		gradient := f.trainer.Gradient().Params()
		for i, p := range f.model.Params() {
			f.tensors = append(f.tensors, optim.Tensor{Param: p.Data, Grad: gradient[i].Data, Decay: p.Decay})
		}
	}
	f.trainer.Recompute(h.GradientCheckpointing)
	f.optimizer = optim.NewAdamW(optim.Options{Beta1: h.Beta1, Beta2: h.Beta2, Eps: h.Epsilon, Decay: h.WeightDecay, MaxNorm: h.ClipNorm}, f.tensors)
	return f, nil
}

// result is the tuned weights of m: an adapter merged, masters rounded to what was evaluated.
func (f *fit) result(m *Model) (*llama.Model, error) {
	switch {
	case f.rounded:
		return f.model.Rounded(), nil
	case f.adapter == nil:
		return f.model, nil
	}
	full, err := m.copy()
	if err != nil {
		return nil, err
	}
	f.engine.do(func(p *kernel.Pool) { err = f.adapter.Merge(p, matrices(full), matrices(full)) })
	return full, err
}

// float32 is the model's weights in float32, not to be changed.
func (m *Model) float32() (full *llama.Model, err error) {
	m.engine.do(func(p *kernel.Pool) { full, err = m.weights.float32(p) })
	return full, err
}

// copy is the model's weights in float32, the caller's own.
func (m *Model) copy() (*llama.Model, error) {
	full, err := m.float32()
	if err != nil || m.weights.copied() {
		return full, err
	}
	return full.Clone(), nil
}

// turnTokens is how many tokens are computed before other models of the engine get a turn.
const turnTokens = 2048

// turns cuts examples into parts of about turnTokens tokens, in order.
func turns(xs []encoded) [][]llama.Sequence {
	var parts [][]llama.Sequence
	tokens := turnTokens
	for _, x := range xs {
		if tokens+len(x.Tokens) > turnTokens {
			parts, tokens = append(parts, nil), 0
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], x.Sequence)
		tokens += len(x.Tokens)
	}
	return parts
}

// step is one optimiser step on the mean loss per trained token of the batch.
func (f *fit) step(ctx context.Context, batch []encoded, rate float64) (loss, norm float64, err error) {
	parts := turns(batch)
	n := 0
	for _, p := range parts {
		n += llama.Predictions(p)
	}
	f.trainer.ZeroGradient()
	for _, p := range parts {
		sum, err := f.run(ctx, func() (float64, error) {
			sum, _, err := f.trainer.Accumulate(p, 1/float64(n))
			return sum, err
		})
		if err != nil {
			return 0, 0, f.blame(ctx, batch, err)
		}
		loss += sum
	}
	f.engine.do(func(p *kernel.Pool) { norm, err = f.optimizer.Step(p, rate) })
	return loss / float64(n), norm, err
}

// blame adds the key of the first example whose loss is not finite to an error about the batch.
func (f *fit) blame(ctx context.Context, batch []encoded, err error) error {
	if !errors.Is(err, lm.ErrNonFinite) {
		return err
	}
	for _, x := range batch {
		if _, own := f.mean(ctx, []encoded{x}); errors.Is(own, lm.ErrNonFinite) {
			return fmt.Errorf("example %q: %w", x.key, own)
		}
	}
	return err
}

// nameMasks names what drops out of each example in a step.
func (f *fit) nameMasks(batch []encoded, step int) {
	if !f.dropout {
		return
	}
	for i := range batch {
		h := sha256.Sum256(fmt.Appendf(nil, "dropout/%d/%d/%s", f.seed, step, batch[i].key))
		batch[i].Dropout = binary.BigEndian.Uint64(h[:])
	}
}

// mean is the mean loss per trained token, 0 of nothing.
func (f *fit) mean(ctx context.Context, xs []encoded) (float64, error) {
	loss, n := 0.0, 0
	for _, p := range turns(xs) {
		sum, err := f.run(ctx, func() (float64, error) {
			sum, k, err := f.trainer.Loss(p)
			n += k
			return sum, err
		})
		if err != nil {
			return 0, err
		}
		loss += sum
	}
	return loss / float64(max(n, 1)), nil
}

// run takes one turn on the engine, unless ctx is done.
func (f *fit) run(ctx context.Context, fn func() (float64, error)) (sum float64, err error) {
	f.engine.do(func(*kernel.Pool) {
		if err = ctx.Err(); err == nil {
			sum, err = fn()
		}
	})
	return sum, err
}
