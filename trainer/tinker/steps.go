package tinker

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"stargate/internal/optim"
	"stargate/lm"
	"stargate/lm/trainset"
	"stargate/trainer"
)

// steps trains from the last logged step to the last. A step is sent while the one before is
// computed.
func (r *run) steps(ctx context.Context) error {
	h, set := r.job.Hyper, r.job.Set
	total := set.Steps(h)
	every := r.config.SaveEvery
	if every == 0 {
		every = max(1, total/10)
	}
	schedule := optim.Schedule{Base: h.LearningRate, Warmup: int(math.Ceil(h.WarmupRatio * float64(total))), Total: total}
	batches := r.batches()
	var ahead *step
	for i := len(r.saved.Log.Steps); i < total; i++ {
		now := ahead
		if now == nil {
			var err error
			if now, err = r.submit(ctx, i, total, batches[i], schedule.LR(i), every); err != nil {
				return err
			}
		}
		if ahead = nil; i+1 < total {
			var err error
			if ahead, err = r.submit(ctx, i+1, total, batches[i+1], schedule.LR(i+1), every); err != nil {
				return err
			}
		}
		if err := r.await(ctx, now, total); err != nil {
			return err
		}
	}
	return nil
}

// batches are the rows of every step.
func (r *run) batches() (all [][]trainset.Row) {
	h := r.job.Hyper
	for epoch := range h.Epochs {
		all = slices.AppendSeq(all, slices.Chunk(r.job.Set.Epoch(h.Seed, epoch), h.BatchSize))
	}
	return all
}

// step is an optimiser step that the server is at.
type step struct {
	lm.TuneStep
	parts  []part
	update future
	saving *future // a checkpoint after it; nil: none
}

// part is a request with some of a batch's rows.
type part struct {
	rows []trainset.Row
	future
}

// submit sends the requests of step i, counted from 0.
func (r *run) submit(ctx context.Context, i, total int, batch []trainset.Row, rate float64, every int) (*step, error) {
	s := &step{TuneStep: lm.TuneStep{Step: i + 1, LearningRate: rate}}
	fail := func(route string, err error) (*step, error) {
		return nil, fmt.Errorf("step %d of %d: %s: %w", s.Step, total, route, err)
	}
	scale := 1 / weight(batch)
	for rows := range slices.Chunk(batch, r.config.Examples) {
		data, err := datums(rows, scale)
		if err != nil {
			return fail("forward_backward", err)
		}
		if err := r.pay(ctx, data); err != nil {
			return fail("forward_backward", err)
		}
		f, err := r.send(ctx, "forward_backward", forwardBackwardRequest{r.model, lossRequest{data, "cross_entropy"}, r.next()}, r.again)
		if err != nil {
			return fail("forward_backward", err)
		}
		s.parts = append(s.parts, part{rows, f})
	}
	h := r.job.Hyper
	adam := adamParams{rate, h.Beta1, h.Beta2, h.Epsilon, h.WeightDecay, h.ClipNorm}
	var err error
	if s.update, err = r.send(ctx, "optim_step", optimRequest{r.model, adam, r.next(), "optim_step"}, r.again); err != nil {
		return fail("optim_step", err)
	}
	if s.Step%every == 0 && s.Step < total {
		f, err := r.begin(ctx, "save_weights", r.name(fmt.Sprintf("step-%05d", s.Step)))
		if err != nil {
			return fail("save_weights", err)
		}
		s.saving = &f
	}
	return s, nil
}

// await takes the results of a step, and writes down what a checkpoint makes safe.
func (r *run) await(ctx context.Context, s *step, total int) error {
	sum, n := 0.0, 0.0
	for _, p := range s.parts {
		nll, err := r.losses(ctx, p)
		if err != nil {
			return fmt.Errorf("step %d of %d: %w", s.Step, total, err)
		}
		sum, n = sum+nll, n+weight(p.rows)
	}
	var updated optimResult
	if err := r.result(ctx, s.update, &updated); err != nil {
		return fmt.Errorf("step %d of %d: optim_step: %w", s.Step, total, err)
	}
	s.Loss, s.GradNorm = sum/n, gradNorm(updated.Metrics)
	r.saved.Log.Steps = append(r.saved.Log.Steps, s.TuneStep)
	r.job.Notify(trainer.Progress{Step: s.Step, Steps: total, Loss: s.Loss, LearningRate: s.LearningRate, GradNorm: s.GradNorm})
	if s.saving == nil {
		return nil
	}
	var at saveResult
	if err := r.result(ctx, *s.saving, &at); err != nil {
		return fmt.Errorf("step %d of %d: save_weights: %w", s.Step, total, err)
	}
	before := r.saved.Checkpoint
	r.saved.Checkpoint = at.Path
	if err := r.work.Write(savedFile, r.saved); err != nil {
		return err
	}
	r.discard(ctx, before)
	return nil
}

// gradNorm is the norm that a server tells among its metrics, 0 if none.
func gradNorm(metrics map[string]float64) float64 {
	for name, v := range metrics {
		if name = name[strings.LastIndexByte(name, '/')+1:]; strings.HasPrefix(name, "grad_norm") || strings.HasPrefix(name, "gradient_norm") {
			return v
		}
	}
	return 0
}

func datums(rows []trainset.Row, scale float64) ([]datum, error) {
	data := make([]datum, len(rows))
	for i, row := range rows {
		var err error
		if data[i], err = newDatum(row, scale); err != nil {
			return nil, fmt.Errorf("example %q: %w", row.Key, err)
		}
	}
	return data, nil
}

// weight is the sum of the rows' weights: the number of trained tokens, if none is weighed.
func weight(rows []trainset.Row) float64 {
	sum := 0.0
	for _, row := range rows {
		for t := range row.Tokens {
			sum += row.Weight(t)
		}
	}
	return sum
}

// losses is the weighted sum of a part's losses in nats.
func (r *run) losses(ctx context.Context, p part) (float64, error) {
	var out lossResult
	if err := r.result(ctx, p.future, &out); err != nil {
		return 0, err
	}
	if len(out.Outputs) != len(p.rows) {
		return 0, fmt.Errorf("%d losses of %d rows", len(out.Outputs), len(p.rows))
	}
	sum := 0.0
	for i, row := range p.rows {
		d, err := newDatum(row, 1)
		if err != nil {
			return 0, err
		}
		weights, logprobs := d.Inputs.Weights.Data, out.Outputs[i].LogProbs.Data
		// SkyRL's PyTorch backends tell only the tail, from the first token with a weight.
		skip := len(weights) - len(logprobs)
		if skip < 0 || slices.ContainsFunc(weights[:skip], func(w float64) bool { return w != 0 }) {
			return 0, fmt.Errorf("example %q: %d log-probabilities of %d targets", row.Key, len(logprobs), len(weights))
		}
		for k, lp := range logprobs {
			if w := weights[skip+k]; w != 0 {
				sum -= w * lp
			}
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return 0, fmt.Errorf("example %q: %w", row.Key, lm.ErrNonFinite)
		}
	}
	return sum, nil
}

// heldOut is the mean loss per trained token of the held-out rows; 0 if there are none, or the
// server cannot tell.
func (r *run) heldOut(ctx context.Context) (float64, error) {
	if !r.forwards || len(r.job.Set.Held) == 0 {
		return 0, nil
	}
	sum := 0.0
	for rows := range slices.Chunk(r.job.Set.Held, r.config.Examples) {
		data, err := datums(rows, 1)
		if err != nil {
			return 0, err
		}
		if err := r.pay(ctx, data); err != nil {
			return 0, err
		}
		f, err := r.send(ctx, "forward", forwardRequest{r.model, lossRequest{data, "cross_entropy"}, r.next()}, harmless)
		if err != nil {
			return 0, err
		}
		nll, err := r.losses(ctx, part{rows, f})
		if err != nil {
			return 0, err
		}
		sum += nll
	}
	return sum / weight(r.job.Set.Held), nil
}

// note adds a sentence to the result, once.
func (r *run) note(text string) {
	if text != "" && !slices.Contains(r.saved.Notes, text) {
		r.saved.Notes = append(r.saved.Notes, text)
	}
}
