package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"stargate"
	"stargate/eval/judge"
	"stargate/eval/stats"
	"stargate/lm"
)

// compared is a pair of the test split whose responses were judged.
type compared struct {
	pair      int      // index in the test split
	responses []string // by model; "" where there is none
	ballots   [][]judge.Ballot
}

// wins compares each model's greedy response on one random conversation of a pair with
// that of m0 on one of its own (§5.2).
func (e *Evaluation) wins(ctx context.Context, in Input) error {
	if in.WinPairs == 0 {
		return nil
	}
	for _, i := range in.winPairs() {
		e.compared = append(e.compared, compared{i, make([]string, len(in.Models)), make([][]judge.Ballot, len(in.Models))})
	}
	panel := in.panel()
	for m, model := range in.Models {
		err := in.each(ctx, "judge "+model.Name, len(e.compared), func(ctx context.Context, k int) error {
			c := &e.compared[k]
			responder := model.Policy
			if in.BaseResponds {
				responder = in.Models[0].Policy
			}
			var err error
			if c.responses[m], err = e.respond(ctx, in, responder, m, c.pair); err != nil || m == 0 {
				return err
			}
			c.ballots[m], err = in.vote(ctx, panel, model.Name, in.Test.Pairs[c.pair], c.responses[m], c.responses[0])
			return err
		})
		if err != nil {
			return fmt.Errorf("win rate of %s: %w", model.Name, err)
		}
		if m > 0 {
			pairs, verdicts := e.verdicts(in, m)
			e.Result.WinRate = append(e.Result.WinRate, in.rate(model.Name, pairs, verdicts))
		}
	}
	return nil
}

// panel is the first judge and then the further ones.
func (in Input) panel() judge.Panel {
	name := in.JudgeName
	if name == "" {
		name = defaultJudge
	}
	return append(judge.Panel{{Name: name, Judge: in.Judge, Self: in.JudgeSelf}}, in.Panel...)
}

// defaultJudge names the judge of the win rates where the input does not.
const defaultJudge = "judge"

// vote asks every judge about two responses. A response that is none is no judge's matter:
// the comparison is invalid without asking.
func (in Input) vote(ctx context.Context, panel judge.Panel, model string, p stargate.Pair, response, base string) ([]judge.Ballot, error) {
	ballots := make([]judge.Ballot, len(panel))
	for j, of := range panel {
		if response == "" || base == "" {
			ballots[j] = judge.Ballot{Verdict: judge.Invalid}
			continue
		}
		b, err := judge.Vote(ctx, of.Judge, judge.Comparison{Pair: p, A: response, B: base}, in.orders(), judge.Coin(in.Config.Seed, model, p.Key()))
		if err != nil {
			return nil, fmt.Errorf("judge %s: %w", of.Name, err)
		}
		ballots[j] = b
	}
	return ballots, nil
}

func (in Input) orders() judge.Orders {
	if in.Orders == "" {
		return judge.Both
	}
	return in.Orders
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
	out = slices.DeleteFunc(out, func(i int) bool { return !in.only.has(i) })
	slices.Sort(out)
	return out
}

// respond gives the greedy response on a random complete conversation of model m with
// pair i; "" when there is none, or no response.
func (e *Evaluation) respond(ctx context.Context, in Input, responder stargate.Questioner, m, i int) (string, error) {
	p := in.Test.Pairs[i]
	s, ok := e.judgedConversation(in, m, i)
	if !ok {
		return "", nil
	}
	c, err := responder.Respond(ctx, p.Persona.Name, p.Task, s.Turns)
	switch {
	case errors.Is(err, lm.ErrRefused), errors.Is(err, lm.ErrContextLength):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("response, pair %s: %w", p.Key(), err)
	}
	return c.Text, nil
}

// judgedConversation is the random complete conversation of model m with pair i whose
// response is judged; ok is false when there is none.
func (e *Evaluation) judgedConversation(in Input, m, i int) (s stargate.Scored, ok bool) {
	scored := e.Rated[m][i].Scored
	if len(scored) == 0 {
		return s, false
	}
	return scored[stargate.Seed(in.Config.Seed, "win conversation", in.Models[m].Name, in.Test.Pairs[i].Key())%uint64(len(scored))], true
}

// verdicts are what counts in the win rate of model m: what the first judge says, or the
// majority.
func (e *Evaluation) verdicts(in Input, m int) (pairs []int, verdicts []judge.Verdict) {
	for _, c := range e.compared {
		v := c.ballots[m][0].Verdict
		if in.Majority {
			v = judge.Majority(c.ballots[m])
		}
		pairs, verdicts = append(pairs, c.pair), append(verdicts, v)
	}
	return pairs, verdicts
}

// rate turns verdicts into a rate; a tie is half a win. In the authors' way of counting ties
// are left out.
func (in Input) rate(model string, chosen []int, verdicts []judge.Verdict) WinRate {
	w := WinRate{Model: model, ByTurns: []Turns{}}
	var obs []stats.Observation
	byTurns := make([][]stats.Observation, in.Config.MaxTurns+1)
	for k, v := range verdicts {
		switch v {
		case judge.First:
			w.Wins++
		case judge.Tie:
			w.Ties++
		case judge.Second:
			w.Losses++
		default:
			w.Invalid++
		}
		value, ok := in.counted(v)
		if !ok {
			continue
		}
		p := in.Test.Pairs[chosen[k]]
		o := stats.Observation{Task: p.Task.ID, Persona: p.Persona.ID, Value: value}
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

// counted is what a verdict counts in a win rate; ok is false where it is left out.
func (in Input) counted(v judge.Verdict) (value float64, ok bool) {
	if v == judge.Tie && in.orders() == judge.CoinFlip {
		return 0, false
	}
	return v.Value()
}

// audit describes the judges: what order, length and their own texts did, and how far they
// agree.
func (e *Evaluation) audit(in Input) {
	records := JudgeRecords(e.Compared)
	if len(records) == 0 {
		return
	}
	for _, j := range in.panel() {
		e.Result.Judges = append(e.Result.Judges, judge.AuditOf(records, j.Name, j.Self, in.Config.Seed))
	}
	e.Result.Agreement = judge.AgreementOf(records, in.resampling("agreement"))
}

// resampling names the draws of one bootstrap.
func (in Input) resampling(names ...any) stats.Resampling {
	return stats.Resampling{Resamples: in.Resamples, Seed: stargate.Seed(in.Config.Seed, append([]any{"bootstrap"}, names...)...)}
}
