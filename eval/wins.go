package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"stargate"
	"stargate/eval/stats"
	"stargate/lm"
)

// wins compares each model's greedy response on one random conversation of a pair with
// that of m0 on one of its own (§5.2).
func (e *Evaluation) wins(ctx context.Context, in Input) error {
	if in.WinPairs == 0 {
		return nil
	}
	chosen := in.winPairs()
	base := make([]string, len(chosen))
	for m, model := range in.Models {
		verdicts := make([]Verdict, len(chosen))
		err := in.each(ctx, "judge "+model.Name, len(chosen), func(ctx context.Context, k int) error {
			i := chosen[k]
			responder := model.Policy
			if in.BaseResponds {
				responder = in.Models[0].Policy
			}
			text, err := e.respond(ctx, in, responder, m, i)
			if err != nil {
				return err
			}
			if m == 0 {
				base[k] = text
				return nil
			}
			if text == "" || base[k] == "" {
				verdicts[k] = Invalid
				return nil
			}
			verdicts[k], err = compare(ctx, in.Judge, Comparison{in.Test.Pairs[i], text, base[k]})
			return err
		})
		if err != nil {
			return fmt.Errorf("win rate of %s: %w", model.Name, err)
		}
		if m > 0 {
			e.Result.WinRate = append(e.Result.WinRate, in.rate(model.Name, chosen, verdicts))
		}
	}
	return nil
}

// winPairs draws the compared pairs by hash, as many of each length; all pairs of a length
// that has fewer.
func (in Input) winPairs() []int {
	byLength := make([][]int, in.Config.MaxTurns+1)
	for i, p := range in.Test.Pairs {
		k := in.turns(p)
		byLength[k] = append(byLength[k], i)
	}
	var out []int
	for k := 1; k <= in.Config.MaxTurns; k++ {
		hash := func(i int) uint64 { return stargate.Seed(in.Config.Seed, "win pair", in.Test.Pairs[i].Key()) }
		slices.SortFunc(byLength[k], func(a, b int) int { return cmp.Compare(hash(a), hash(b)) })
		share := in.WinPairs*k/in.Config.MaxTurns - in.WinPairs*(k-1)/in.Config.MaxTurns
		out = append(out, byLength[k][:min(share, len(byLength[k]))]...)
	}
	slices.Sort(out)
	return out
}

// respond gives the greedy response on a random complete conversation of model m with
// pair i; "" when there is none, or no response.
func (e *Evaluation) respond(ctx context.Context, in Input, responder stargate.Questioner, m, i int) (string, error) {
	p, scored := in.Test.Pairs[i], e.Rated[m][i].Scored
	if len(scored) == 0 {
		return "", nil
	}
	s := scored[stargate.Seed(in.Config.Seed, "win conversation", in.Models[m].Name, p.Key())%uint64(len(scored))]
	c, err := responder.Respond(ctx, p.Persona.Name, p.Task, s.Turns)
	switch {
	case errors.Is(err, lm.ErrRefused), errors.Is(err, lm.ErrContextLength):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("response, pair %s: %w", p.Key(), err)
	}
	return c.Text, nil
}

// rate turns verdicts into a rate; a tie is half a win.
func (in Input) rate(model string, chosen []int, verdicts []Verdict) WinRate {
	w := WinRate{Model: model, ByTurns: []Turns{}}
	var obs []stats.Observation
	byTurns := make([][]stats.Observation, in.Config.MaxTurns+1)
	for k, v := range verdicts {
		p := in.Test.Pairs[chosen[k]]
		o := stats.Observation{Task: p.Task.ID, Persona: p.Persona.ID}
		switch v {
		case First:
			o.Value = 1
			w.Wins++
		case Tie:
			o.Value = 0.5
			w.Ties++
		case Second:
			w.Losses++
		default:
			w.Invalid++
			continue
		}
		obs = append(obs, o)
		byTurns[in.turns(p)] = append(byTurns[in.turns(p)], o)
	}
	for k, of := range byTurns {
		if len(of) > 0 {
			est, low, high := stats.Share(of)
			w.ByTurns = append(w.ByTurns, Turns{k, est.Mean, low, high, est.N})
		}
	}
	est, low, high := stats.Share(obs)
	w.Rate, w.N, w.Low, w.High = est.Mean, est.N, low, high
	return w
}
