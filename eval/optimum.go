package eval

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"stargate"
	"stargate/eval/stats"
	"stargate/lm"
)

// optimum simulates a Questioner that knows which attributes matter and asks for nothing
// else, each once before any is repeated, with the same Roleplayer, lengths, guards and
// scorer as the models.
func (e *Evaluation) optimum(ctx context.Context, in Input) error {
	if in.Truth == nil {
		return nil
	}
	n := len(in.Test.Pairs)
	best := newCell(n)
	fresh, asked, flaws := make([]int, n), make([]int, n), make([][]stargate.Flaw, n)
	err := in.eachPair(ctx, "optimum", func(ctx context.Context, i int) error {
		p := in.Test.Pairs[i]
		attributes := in.Truth.Relevant(p.Task)
		if len(attributes) == 0 {
			return nil
		}
		var all []stargate.Scored
		for sample := range in.Config.Samples {
			s, flaw, err := in.knowing(ctx, p, attributes, sample)
			if err != nil {
				return fmt.Errorf("optimum, pair %s: %w", p.Key(), err)
			}
			if flaw != "" {
				flaws[i] = append(flaws[i], flaw)
				continue
			}
			asked[i] += len(s)
			fresh[i] += min(len(s), len(attributes))
			scored, err := best.keep(i, "optimum", p, func() (lm.LogProb, error) {
				return in.Base.LogProb(ctx, p.Persona.Name, p.Task, s, p.Gold)
			})
			if err != nil {
				return err
			}
			if scored == nil {
				flaws[i] = append(flaws[i], stargate.TooLong)
			}
			all = append(all, scored...)
		}
		summarise(best, newCell(n), i, all)
		return nil
	})
	if err != nil {
		return err
	}
	for _, of := range flaws {
		for _, f := range of {
			e.Result.Dropped["optimum: "+string(f)]++
		}
	}
	est := stats.Mean(best.observations(in, nil, 0))
	if est.N == 0 {
		return nil
	}
	o := &Optimum{GoldLogProb: est.Mean, SEM: est.SEM, N: est.N, ChanceRelevant: in.Truth.Chance(), Gaps: []Gap{}}
	r, a := 0, 0
	for i := range fresh {
		r, a = r+fresh[i], a+asked[i]
	}
	o.Relevant = float64(r) / float64(a)
	for m, model := range in.Models {
		own := newCell(n)
		for i := range own.ok {
			summarise(own, newCell(n), i, e.Rated[m][i].Scored)
		}
		d := stats.Mean(own.observations(in, &best, 0))
		if d.N == 0 {
			continue
		}
		g := Gap{Model: model.Name, Mean: d.Mean, SEM: d.SEM}
		g.Low, g.High = d.Interval()
		o.Gaps = append(o.Gaps, g)
		if o.Reached == "" && g.Reached() {
			o.Reached = model.Name
		}
	}
	e.Result.Optimum = o
	return nil
}

// knowing draws one conversation about attributes. A flaw is an answer that stays
// malformed, which drops a model's conversation just so.
func (in Input) knowing(ctx context.Context, p stargate.Pair, attributes []string, sample int) (s []stargate.Turn, flaw stargate.Flaw, err error) {
	from := int(stargate.Seed(in.Config.Seed, "optimum", p.Key(), sample) % uint64(len(attributes)))
	for k := range in.turns(p) {
		q := in.Truth.Ask(attributes[(from+k)%len(attributes)], stargate.Seed(in.Config.Seed, "optimum", p.Key(), sample, k))
		answer, flaw, err := in.answer(ctx, p, s, q, sample, k)
		if err != nil || flaw != "" {
			return nil, flaw, err
		}
		s = append(s, stargate.Turn{Question: q, Answer: answer})
	}
	return s, "", nil
}

// answer draws the Roleplayer's answer to q, again while it is malformed.
func (in Input) answer(ctx context.Context, p stargate.Pair, s []stargate.Turn, q string, sample, k int) (text string, flaw stargate.Flaw, err error) {
	return in.answerNamed(ctx, p, s, q, "optimum answer", p.Key(), sample, k)
}

// answerNamed is answer with a draw named by the caller.
func (in Input) answerNamed(ctx context.Context, p stargate.Pair, s []stargate.Turn, q string, draw ...any) (text string, flaw stargate.Flaw, err error) {
	for attempt := range 1 + in.Config.Redraws {
		c, err := in.Roleplayer.Answer(ctx, p.Persona, p.Task, s, q, stargate.Seed(in.Config.Seed, append(append([]any{}, draw...), attempt)...))
		switch {
		case errors.Is(err, lm.ErrContextLength):
			return "", stargate.TooLong, nil
		case errors.Is(err, lm.ErrRefused):
			flaw = stargate.Refused
		case err != nil:
			return "", "", err
		default:
			if flaw = stargate.CheckAnswer(c, p); flaw == "" {
				return strings.TrimSpace(c.Text), "", nil
			}
		}
	}
	return "", flaw, nil
}
