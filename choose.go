package stargate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"stargate/lm"
)

// Choose scores the conversations of a pair under Q_BASE and takes the top-k
// (Algorithm 1, line 4). Only complete conversations compete; equal scores go to the lower
// sample number. A gold that does not fit the base model's context after a conversation
// drops that conversation, with the flaw recorded.
func Choose(ctx context.Context, cfg Config, base Base, p Pair, sims []Conversation) (Candidates, error) {
	scores := make([]lm.LogProb, len(sims))
	flaws := make([]Flaw, len(sims))
	g, gctx := errgroup.WithContext(ctx)
	for c, s := range sims {
		if s.Outcome != Complete {
			continue
		}
		g.Go(func() error {
			var err error
			scores[c], err = base.LogProb(gctx, p.Persona.Name, p.Task, s.Turns, p.Gold)
			if errors.Is(err, lm.ErrContextLength) {
				flaws[c] = TooLong
				return nil
			}
			return s.wrap(err, "score", len(s.Turns)-1)
		})
	}
	if err := g.Wait(); err != nil {
		return Candidates{}, err
	}
	out := Candidates{Pair: p}
	for c, s := range sims {
		if s = s.end(flaws[c]); s.Outcome != Complete {
			out.Dropped = append(out.Dropped, s)
			continue
		}
		out.Scored = append(out.Scored, Scored{Conversation: s, LogProb: scores[c].Sum, Tokens: len(scores[c].Tokens)})
	}
	out.Best = best(out.Scored, cfg.TopK)
	return out, nil
}

// best gives the indices of the k highest scores, best first.
func best(scored []Scored, k int) []int {
	order := make([]int, len(scored))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scored[a].LogProb > scored[b].LogProb:
			return -1
		case scored[a].LogProb < scored[b].LogProb:
			return 1
		}
		return 0
	})
	return order[:min(k, len(order))]
}

// Respond completes the selected conversations with what training shall put after them
// (Algorithm 1, line 5): the greedy response of the policy that asked, or what the
// ablations put in its place.
func Respond(ctx context.Context, cfg Config, policy Questioner, c Candidates) ([]Selected, error) {
	var out []Selected
	for _, i := range c.Best {
		s := Selected{Pair: c.Pair, Best: c.Scored[i], Outcome: Complete}
		switch cfg.TrainOn {
		case NoResponse:
		case GoldResponse:
			s.Response = c.Pair.Gold
		default:
			r, err := policy.Respond(ctx, c.Pair.Persona.Name, c.Pair.Task, s.Best.Turns)
			switch {
			case errors.Is(err, lm.ErrContextLength):
				s.Outcome = Outcome(TooLong)
			case errors.Is(err, lm.ErrRefused):
				s.Outcome = Outcome(Refused)
			case err != nil:
				return nil, fmt.Errorf("pair %s, response: %w", c.Pair.Key(), err)
			default:
				if flaw := CheckResponse(r); flaw != "" {
					s.Outcome = Outcome(flaw)
				}
				s.Response = trim(r.Text)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func trim(s string) string { return strings.TrimSpace(s) }

// tellDropped says how often conversations were dropped for which flaw, the most frequent first.
func tellDropped(counts map[Outcome]int) string {
	outcomes := slices.SortedFunc(maps.Keys(counts), func(a, b Outcome) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
	var parts []string
	for _, o := range outcomes {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[o], o))
	}
	return strings.Join(parts, ", ")
}
