package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"stargate"
	"stargate/lm"
	"stargate/prompt"
)

// PilotInput is what a pilot runs with: the run's own models and seed.
type PilotInput struct {
	Config     stargate.Config
	Prompts    *prompt.Set
	Base       stargate.Base
	Roleplayer stargate.Roleplayer
	A          stargate.Split
	Pairs      int
	Judge      lm.Generator // nil: no model judges
	Count      Counter
	Tune       lm.Tuner // nil: no fine-tune is timed
	Observe    func(done, total int)
}

// pilotLine is the part of Algorithm 1 that a pilot is: lines 3 to 5 of its first
// iteration, with the seeds the run will use. A run in the same directory finds its calls in
// the ledger and does not pay for them again.
const pilotScope = "iteration 1"

// Pilot runs lines 3 to 5 of Algorithm 1 on some pairs of split A and measures what they
// say. The parts are run one after the other, each with all its calls at once, so that each
// can be timed.
func Pilot(ctx context.Context, in PilotInput) (Shape, error) {
	var s Shape
	if in.Pairs < 1 {
		return s, fmt.Errorf("pilot: %d pairs, want at least 1", in.Pairs)
	}
	if in.Observe == nil {
		in.Observe = func(int, int) {}
	}
	pairs := in.choose()
	policy := in.Base.Questioner(in.Config)
	sims, best, selected := make([][]stargate.Conversation, len(pairs)), make([]stargate.Candidates, len(pairs)), make([][]stargate.Selected, len(pairs))
	var seconds Seconds
	step := 0
	timed := func(into *float64, do func(ctx context.Context, i int) error) error {
		began := time.Now()
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(in.Config.Concurrency)
		for i := range pairs {
			g.Go(func() error { return do(ctx, i) })
		}
		err := g.Wait()
		*into = time.Since(began).Seconds()
		step++
		in.Observe(step, 4)
		return err
	}
	err := timed(&seconds.Simulate, func(ctx context.Context, i int) (err error) {
		sims[i], err = stargate.Simulate(ctx, in.Config, pilotScope, policy, in.Roleplayer, pairs[i])
		return err
	})
	if err != nil {
		return s, fmt.Errorf("pilot: %w", err)
	}
	err = timed(&seconds.Score, func(ctx context.Context, i int) (err error) {
		best[i], err = stargate.Choose(ctx, in.Config, in.Base, pairs[i], sims[i])
		return err
	})
	if err != nil {
		return s, fmt.Errorf("pilot: %w", err)
	}
	cfg := in.Config
	cfg.TrainOn = stargate.OwnResponse // the evaluation wants responses whatever is trained on
	err = timed(&seconds.Respond, func(ctx context.Context, i int) (err error) {
		selected[i], err = stargate.Respond(ctx, cfg, policy, best[i])
		return err
	})
	if err != nil {
		return s, fmt.Errorf("pilot: %w", err)
	}
	if s, err = shapeOf(in.Config, in.Prompts, in.Count, pairs, sims, selected); err != nil {
		return s, err
	}
	verdicts, err := in.judge(ctx, pairs, selected, timed, &seconds)
	if err != nil {
		return s, fmt.Errorf("pilot: %w", err)
	}
	for i := range pairs {
		for _, c := range sims[i] {
			seconds.Turns += len(c.Turns)
		}
		seconds.Scores += len(best[i].Scored)
		seconds.Responses += len(selected[i])
	}
	if err := in.tune(ctx, selected, &seconds); err != nil {
		return s, fmt.Errorf("pilot: %w", err)
	}
	s.Judge, s.Seconds, s.Pairs, s.Source = verdicts, seconds, len(pairs), fmt.Sprintf("a pilot on %d pairs with the base model", len(pairs))
	return s, nil
}

// choose takes pairs by hash, so that a larger pilot holds a smaller one.
func (in PilotInput) choose() []stargate.Pair {
	pairs := slices.Clone(in.A.Pairs)
	rank := func(p stargate.Pair) uint64 { return stargate.Seed(in.Config.Seed, "pilot", p.Key()) }
	slices.SortFunc(pairs, func(a, b stargate.Pair) int { return cmp.Compare(rank(a), rank(b)) })
	return pairs[:min(in.Pairs, len(pairs))]
}

// judge lets the judge compare each response with itself: what it says is as long as any
// verdict. It returns the mean tokens of a verdict.
func (in PilotInput) judge(ctx context.Context, pairs []stargate.Pair, selected [][]stargate.Selected, timed func(*float64, func(context.Context, int) error) error, seconds *Seconds) (float64, error) {
	if in.Judge == nil {
		return 0, nil
	}
	tokens := make([]int, len(pairs))
	err := timed(&seconds.Judge, func(ctx context.Context, i int) error {
		for _, sel := range selected[i][:min(1, len(selected[i]))] {
			chat, err := in.Prompts.Judge(pairs[i].Persona.Name, pairs[i].Persona.Text, pairs[i].Task.Text, sel.Response, sel.Response)
			if err != nil {
				return err
			}
			c, err := in.Judge.Generate(ctx, chat, lm.Sampling{MaxTokens: in.Config.Response.MaxTokens})
			if err != nil && !errors.Is(err, lm.ErrRefused) && !errors.Is(err, lm.ErrContextLength) {
				return err
			}
			tokens[i] = in.Count.Text(c.Text)
		}
		return nil
	})
	sum := 0
	for _, n := range tokens {
		sum += n
		if n > 0 {
			seconds.Verdicts++
		}
	}
	return float64(sum) / float64(max(seconds.Verdicts, 1)), err
}

// tune times a fine-tune on what the pilot selected; the model is thrown away.
func (in PilotInput) tune(ctx context.Context, selected [][]stargate.Selected, seconds *Seconds) error {
	if in.Tune == nil {
		return nil
	}
	var all []stargate.Selected
	for _, of := range selected {
		all = append(all, of...)
	}
	examples, err := stargate.Examples(in.Prompts, all)
	if err != nil || len(examples) < 2 {
		return err
	}
	h := in.Config.Tune
	h.Epochs, h.HeldOut = 1, 0
	began := time.Now()
	tuned, _, err := in.Tune.Tune(ctx, "pilot", examples, h)
	if err != nil {
		return err
	}
	if c, ok := tuned.(interface{ Close() }); ok {
		c.Close()
	}
	seconds.Tune = time.Since(began).Seconds()
	for _, e := range examples {
		seconds.TunedTokens += in.Count.Chat(e.Messages)
	}
	return nil
}
