package eval

import (
	"context"
	"fmt"

	"stargate"
)

// Ask makes the calls that [Run] will make for the pairs from..to-1 of the test split, and
// keeps nothing. Where every model is journaled, Run then finds their results on record: this
// is how an evaluation is shared among machines. in is the whole evaluation's. The ratings of
// tasks are left to Run, since they are not of pairs.
func Ask(ctx context.Context, in Input, from, to int) error {
	if err := in.validate(); err != nil {
		return err
	}
	if from < 0 || to > len(in.Test.Pairs) || from > to {
		return fmt.Errorf("evaluation: pairs %d to %d of %d", from, to, len(in.Test.Pairs))
	}
	in.only = &span{from, to}
	// A pair is also scored after the conversations of another one.
	spoken := map[int]bool{}
	for i, other := range in.others() {
		if in.only.has(i) {
			spoken[i] = true
			if other >= 0 {
				spoken[other] = true
			}
		}
	}
	e := &Evaluation{Result: &Result{Dropped: map[string]int{}, Redrawn: map[string]int{}}}
	for _, m := range in.Models {
		rated := make([]stargate.Candidates, len(in.Test.Pairs))
		err := in.each(ctx, "simulate "+m.Name, len(rated), func(ctx context.Context, i int) (err error) {
			if spoken[i] {
				rated[i], err = in.converse(ctx, m, in.Test.Pairs[i])
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("evaluate %s: %w", m.Name, err)
		}
		e.Rated = append(e.Rated, rated)
	}
	return e.measure(ctx, in)
}

// span are the pairs from..to-1 of the test split.
type span struct{ from, to int }

// has tells whether pair i is in the span; nil has all.
func (s *span) has(i int) bool { return s == nil || s.from <= i && i < s.to }

// eachPair is each over the test split, or over those of its pairs that are asked about.
func (in Input) eachPair(ctx context.Context, stage string, do func(ctx context.Context, i int) error) error {
	return in.each(ctx, stage, len(in.Test.Pairs), func(ctx context.Context, i int) error {
		if !in.only.has(i) {
			return nil
		}
		return do(ctx, i)
	})
}

// inTurn is for stages in which a pair makes one call after the other: as many pairs are under
// way as make the calls of a simulation, where all samples of a pair talk at once.
func (in Input) inTurn() Input {
	in.Config.Concurrency *= in.Config.Samples
	return in
}

// converse has a model talk about a pair, and scores what was said.
func (in Input) converse(ctx context.Context, m Model, p stargate.Pair) (stargate.Candidates, error) {
	sims, err := stargate.Simulate(ctx, in.Config, Scope, m.Policy, in.Roleplayer, p)
	if err != nil {
		return stargate.Candidates{}, err
	}
	return stargate.Choose(ctx, in.Config, in.Base, p, sims)
}

// measure does everything that is measured pair by pair on the conversations.
func (e *Evaluation) measure(ctx context.Context, in Input) error {
	in = in.inTurn()
	for _, step := range []func(context.Context, Input) error{e.gold, e.optimum, e.wins, e.baselines, e.credit, e.whenToAsk} {
		if err := step(ctx, in); err != nil {
			return err
		}
	}
	return nil
}
