package eval

import (
	"context"
	"errors"
	"fmt"

	"stargate"
	"stargate/eval/stats"
	"stargate/lm"
)

// gold measures the five conditions of PROTOCOL §4.
func (e *Evaluation) gold(ctx context.Context, in Input) error {
	neg, pos, err := in.controls(ctx)
	if err != nil {
		return err
	}
	e.cells = map[cellKey]cell{{in.Models[0].Name, Negative, All}: neg, {in.Models[0].Name, Positive, All}: pos}
	e.add(in, Negative, All, in.Models[0].Name, neg, nil)
	e.add(in, Positive, All, in.Models[0].Name, pos, nil)
	other := in.others()
	base := map[string]*cell{}
	for m, model := range in.Models {
		cells, err := e.conditions(ctx, in, m, other)
		if err != nil {
			return err
		}
		for _, c := range cells {
			key := c.condition + "/" + c.subset
			e.cells[cellKey{model.Name, c.condition, c.subset}] = c.cell
			e.add(in, c.condition, c.subset, model.Name, c.cell, base[key])
			if m == 0 {
				base[key] = &c.cell
			}
		}
	}
	return nil
}

// controls scores the golds without any conversation: without and with the persona.
func (in Input) controls(ctx context.Context) (neg, pos cell, err error) {
	n := len(in.Test.Pairs)
	neg, pos = newCell(n), newCell(n)
	err = in.eachPair(ctx, "controls", func(ctx context.Context, i int) error {
		p := in.Test.Pairs[i]
		for _, c := range []struct {
			name  string
			into  cell
			score func() (lm.LogProb, error)
		}{
			{Negative, neg, func() (lm.LogProb, error) { return in.Base.LogProb(ctx, p.Persona.Name, p.Task, nil, p.Gold) }},
			{Positive, pos, func() (lm.LogProb, error) { return in.Base.LogProbKnowing(ctx, p.Persona, p.Task, nil, p.Gold) }},
		} {
			scored, err := c.into.keep(i, c.name, p, c.score)
			if err != nil {
				return err
			}
			summarise(c.into, newCell(n), i, scored)
		}
		return nil
	})
	return neg, pos, err
}

type condition struct {
	condition, subset string
	cell
}

// conditions scores a model's conversations: its own pair's, another persona's, and its
// own with the persona told. A pair's value is the mean over its complete conversations;
// top-1 is the best of them.
func (e *Evaluation) conditions(ctx context.Context, in Input, m int, other []int) ([]condition, error) {
	n := len(in.Test.Pairs)
	out := []condition{
		{QExperimental, All, newCell(n)}, {QExperimental, Top1, newCell(n)},
		{QRandom, All, newCell(n)}, {QRandom, Top1, newCell(n)},
		{PositiveExperiment, All, newCell(n)}, {PositiveExperiment, Top1, newCell(n)},
	}
	own, random, told := out[:2], out[2:4], out[4:]
	rated := e.Rated[m]
	err := in.eachPair(ctx, "score "+in.Models[m].Name, func(ctx context.Context, i int) error {
		p := in.Test.Pairs[i]
		summarise(own[0].cell, own[1].cell, i, rated[i].Scored)
		var all []stargate.Scored
		for _, s := range rated[i].Scored {
			scored, err := told[0].keep(i, PositiveExperiment, p, func() (lm.LogProb, error) {
				return in.Base.LogProbKnowing(ctx, p.Persona, p.Task, s.Turns, p.Gold)
			})
			if err != nil {
				return err
			}
			all = append(all, scored...)
		}
		summarise(told[0].cell, told[1].cell, i, all)
		if other[i] < 0 {
			return nil
		}
		all = nil
		for _, s := range rated[other[i]].Scored {
			scored, err := random[0].keep(i, QRandom, p, func() (lm.LogProb, error) {
				return in.Base.LogProb(ctx, p.Persona.Name, p.Task, s.Turns, p.Gold)
			})
			if err != nil {
				return err
			}
			all = append(all, scored...)
		}
		summarise(random[0].cell, random[1].cell, i, all)
		return nil
	})
	return out, err
}

// keep is the one score that score gives, or none and a count where the context does not
// fit the base model: a long persona must not end an evaluation of hours.
func (c cell) keep(i int, condition string, p stargate.Pair, score func() (lm.LogProb, error)) ([]stargate.Scored, error) {
	lp, err := score()
	switch {
	case errors.Is(err, lm.ErrContextLength):
		c.lost[i]++
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("condition %s, pair %s: %w", condition, p.Key(), err)
	}
	return []stargate.Scored{{LogProb: lp.Sum, Tokens: len(lp.Tokens)}}, nil
}

func summarise(all, top cell, i int, scored []stargate.Scored) {
	if len(scored) == 0 {
		return
	}
	sum, best := 0.0, scored[0].LogProb
	for _, s := range scored {
		sum += s.LogProb
		best = max(best, s.LogProb)
	}
	all.set(i, sum/float64(len(scored)), scored[0].Tokens)
	top.set(i, best, scored[0].Tokens)
}

// others gives for each pair the pair of the same task and length with another persona
// ("r ≠ j indicates a random different test persona"), drawn by hash; -1 if there is none.
// The lengths are matched so that Q-random differs by the persona alone; where no persona
// has the same length, any other is taken. The draw depends on names, not on the order of
// the split.
func (in Input) others() []int {
	byTask := map[string][]int{}
	for i, p := range in.Test.Pairs {
		byTask[p.Task.ID] = append(byTask[p.Task.ID], i)
	}
	out := make([]int, len(in.Test.Pairs))
	for i, p := range in.Test.Pairs {
		out[i] = -1
		matched, lowest := false, uint64(0)
		for _, j := range byTask[p.Task.ID] {
			q := in.Test.Pairs[j]
			if q.Persona.ID == p.Persona.ID {
				continue
			}
			same, hash := in.turns(p) == in.turns(q), stargate.Seed(in.Config.Seed, "other persona", p.Key(), q.Key())
			if out[i] < 0 || same && !matched || same == matched && hash < lowest {
				out[i], matched, lowest = j, same, hash
			}
		}
	}
	return out
}

// add appends a condition's estimate; base is m0's cell for the paired difference. A
// condition that no pair has (one persona only: nobody to take Q-random from) is left out.
func (e *Evaluation) add(in Input, name, subset, model string, c cell, base *cell) {
	if lost := c.totalLost(); lost > 0 {
		e.Result.Dropped[name+": "+string(stargate.TooLong)] += lost
	}
	est := stats.Mean(c.observations(in, nil, 0))
	if est.N == 0 {
		return
	}
	g := GoldLogProb{Condition: name, Subset: subset, Model: model, Mean: est.Mean, SEM: est.SEM, PairsSEM: est.PairsSEM, N: est.N, PerToken: c.meanPerToken(), ByTurns: []GoldTurns{}}
	for k := 1; k <= in.Config.MaxTurns; k++ {
		if at := stats.Mean(c.observations(in, nil, k)); at.N > 0 {
			g.ByTurns = append(g.ByTurns, GoldTurns{k, at.Mean, at.SEM, at.N})
		}
	}
	if base != nil {
		d := stats.Mean(c.observations(in, base, 0))
		g.Delta, g.DeltaSEM = d.Mean, d.SEM
		g.DeltaLow, g.DeltaHigh = d.Interval()
	}
	e.Result.GoldLogProb = append(e.Result.GoldLogProb, g)
}
