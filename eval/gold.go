package eval

import (
	"context"
	"fmt"

	"stargate"
)

// gold measures the five conditions of PROTOCOL §4.
func (e *Evaluation) gold(ctx context.Context, in Input) error {
	n := len(in.Test.Pairs)
	neg, pos := newCell(n), newCell(n)
	err := in.each(ctx, "controls", n, func(ctx context.Context, i int) error {
		p := in.Test.Pairs[i]
		lp, err := in.Base.LogProb(ctx, p.Persona.Name, p.Task, nil, p.Gold)
		if err != nil {
			return fmt.Errorf("negative control, pair %s: %w", p.Key(), err)
		}
		neg.set(i, lp.Sum, len(lp.Tokens))
		if lp, err = in.Base.LogProbKnowing(ctx, p.Persona, p.Task, nil, p.Gold); err != nil {
			return fmt.Errorf("positive control, pair %s: %w", p.Key(), err)
		}
		pos.set(i, lp.Sum, len(lp.Tokens))
		return nil
	})
	if err != nil {
		return err
	}
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
			e.add(in, c.condition, c.subset, model.Name, c.cell, base[key])
			if m == 0 {
				base[key] = &c.cell
			}
		}
	}
	return nil
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
	rated := e.Rated[m]
	err := in.each(ctx, "score "+in.Models[m].Name, n, func(ctx context.Context, i int) error {
		p := in.Test.Pairs[i]
		summarise(out[0].cell, out[1].cell, i, rated[i].Scored)
		var told []stargate.Scored
		for _, s := range rated[i].Scored {
			lp, err := in.Base.LogProbKnowing(ctx, p.Persona, p.Task, s.Turns, p.Gold)
			if err != nil {
				return fmt.Errorf("persona and conversation, pair %s: %w", p.Key(), err)
			}
			told = append(told, stargate.Scored{LogProb: lp.Sum, Tokens: len(lp.Tokens)})
		}
		summarise(out[4].cell, out[5].cell, i, told)
		if other[i] < 0 {
			return nil
		}
		var random []stargate.Scored
		for _, s := range rated[other[i]].Scored {
			lp, err := in.Base.LogProb(ctx, p.Persona.Name, p.Task, s.Turns, p.Gold)
			if err != nil {
				return fmt.Errorf("Q-random, pair %s: %w", p.Key(), err)
			}
			random = append(random, stargate.Scored{LogProb: lp.Sum, Tokens: len(lp.Tokens)})
		}
		summarise(out[2].cell, out[3].cell, i, random)
		return nil
	})
	return out, err
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
// has the same length, any other is taken.
func (in Input) others() []int {
	byTask := map[string][]int{}
	for i, p := range in.Test.Pairs {
		byTask[p.Task.ID] = append(byTask[p.Task.ID], i)
	}
	length := func(i int) int {
		return stargate.Length(in.Config.Seed, Scope, in.Test.Pairs[i].Key(), in.Config.MaxTurns)
	}
	out := make([]int, len(in.Test.Pairs))
	for i, p := range in.Test.Pairs {
		var same, any []int
		for _, j := range byTask[p.Task.ID] {
			if in.Test.Pairs[j].Persona.ID == p.Persona.ID {
				continue
			}
			any = append(any, j)
			if length(i) == length(j) {
				same = append(same, j)
			}
		}
		if len(same) > 0 {
			any = same
		}
		out[i] = -1
		if len(any) > 0 {
			out[i] = any[stargate.Seed(in.Config.Seed, "other persona", p.Key())%uint64(len(any))]
		}
	}
	return out
}

// add appends a condition's estimate; base is m0's cell for the paired difference.
func (e *Evaluation) add(in Input, name, subset, model string, c cell, base *cell) {
	est := c.estimate(in)
	g := GoldLogProb{Condition: name, Subset: subset, Model: model, Mean: est.Mean, SEM: est.SEM, N: est.N}
	for i, ok := range c.ok {
		if ok {
			g.PerToken += c.perToken[i] / float64(est.N)
		}
	}
	if base != nil {
		d := clustered(c.observations(in, base))
		g.Delta, g.DeltaSEM = d.Mean, d.SEM
	}
	e.Result.GoldLogProb = append(e.Result.GoldLogProb, g)
}

// optimum simulates a Questioner that knows which attributes matter and asks for each of
// them once, with the same Roleplayer, lengths and scorer.
func (e *Evaluation) optimum(ctx context.Context, in Input) error {
	if in.Truth == nil {
		return nil
	}
	n := len(in.Test.Pairs)
	best := newCell(n)
	relevant, asked := make([]int, n), make([]int, n)
	err := in.each(ctx, "optimum", n, func(ctx context.Context, i int) error {
		p := in.Test.Pairs[i]
		attributes := in.Truth.Relevant(p.Task)
		if len(attributes) == 0 {
			return nil
		}
		var scored []stargate.Scored
		for sample := range in.Config.Samples {
			var so []stargate.Turn
			from := int(stargate.Seed(in.Config.Seed, "optimum", p.Key(), sample) % uint64(len(attributes)))
			for k := range stargate.Length(in.Config.Seed, Scope, p.Key(), in.Config.MaxTurns) {
				a := attributes[(from+k)%len(attributes)]
				asked[i]++
				if k < len(attributes) {
					relevant[i]++
				}
				q := in.Truth.Ask(a, stargate.Seed(in.Config.Seed, "optimum", p.Key(), sample, k))
				h, err := in.Roleplayer.Answer(ctx, p.Persona, p.Task, so, q, stargate.Seed(in.Config.Seed, "optimum answer", p.Key(), sample, k))
				if err != nil {
					return fmt.Errorf("optimum, pair %s: %w", p.Key(), err)
				}
				so = append(so, stargate.Turn{Question: q, Answer: h.Text})
			}
			lp, err := in.Base.LogProb(ctx, p.Persona.Name, p.Task, so, p.Gold)
			if err != nil {
				return fmt.Errorf("optimum, pair %s: %w", p.Key(), err)
			}
			scored = append(scored, stargate.Scored{LogProb: lp.Sum, Tokens: len(lp.Tokens)})
		}
		summarise(best, newCell(n), i, scored)
		return nil
	})
	if err != nil {
		return err
	}
	est := best.estimate(in)
	o := &Optimum{GoldLogProb: est.Mean, SEM: est.SEM, ChanceRelevant: in.Truth.Chance()}
	r, a := 0, 0
	for i := range relevant {
		r, a = r+relevant[i], a+asked[i]
	}
	o.Relevant = float64(r) / float64(max(a, 1))
	for m := range in.Models {
		own := newCell(n)
		for i := range own.ok {
			summarise(own, newCell(n), i, e.Rated[m][i].Scored)
		}
		if _, high := clustered(own.observations(in, &best)).Interval(); high >= 0 {
			o.Reached = in.Models[m].Name
			break
		}
	}
	e.Result.Optimum = o
	return nil
}
