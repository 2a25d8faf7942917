package eval

import (
	"context"
	"fmt"

	"stargate/eval/judge"
)

// Baseline compares every model with another way of answering than m0's own.
type Baseline struct {
	Name    string    `json:"name"`
	WinRate []WinRate `json:"win_rate"` // of m0, m1, … against it
}

// baselines gives the win rates against the extra baselines, each of which responds on m0's
// conversations. It tells, for example, how much of a win rate is the request for a personal
// answer that the authors' code puts before the responses it trains on: m0 with that request.
func (e *Evaluation) baselines(ctx context.Context, in Input) error {
	if in.WinPairs == 0 {
		return nil
	}
	chosen := in.winPairs()
	for _, b := range in.Baselines {
		out := Baseline{Name: b.Name}
		texts := make([]string, len(chosen))
		err := in.each(ctx, "respond "+b.Name, len(chosen), func(ctx context.Context, k int) (err error) {
			texts[k], err = e.respond(ctx, in, b.Policy, 0, chosen[k])
			return err
		})
		if err != nil {
			return fmt.Errorf("baseline %s: %w", b.Name, err)
		}
		for m, model := range in.Models {
			verdicts := make([]judge.Verdict, len(chosen))
			err := in.each(ctx, "judge "+model.Name+" against "+b.Name, len(chosen), func(ctx context.Context, k int) error {
				responder := model.Policy
				if in.BaseResponds {
					responder = in.Models[0].Policy
				}
				text, err := e.respond(ctx, in, responder, m, chosen[k])
				if err != nil {
					return err
				}
				ballots, err := in.vote(ctx, in.panel()[:1], model.Name+" against "+b.Name, in.Test.Pairs[chosen[k]], text, texts[k])
				if err != nil {
					return err
				}
				verdicts[k] = ballots[0].Verdict
				return nil
			})
			if err != nil {
				return fmt.Errorf("win rate of %s against %s: %w", model.Name, b.Name, err)
			}
			out.WinRate = append(out.WinRate, in.rate(model.Name, chosen, verdicts))
		}
		e.Result.Baselines = append(e.Result.Baselines, out)
	}
	return nil
}
