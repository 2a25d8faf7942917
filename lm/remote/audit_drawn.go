package remote

import (
	"context"
	"fmt"
	"slices"

	"stargate/lm"
)

// drawnTokens is how much text the audit lets a server draw for each pair.
const drawnTokens = 12

// drawn compares scoring with drawing, which share no code on most servers: a text that the
// server draws comes with the log-probability of each token, and scoring the same tokens
// behind the same prompt has to give the same. Half of the texts are greedy; the others are
// drawn at temperature 1, so that their tokens are not the most probable ones. It finds a
// scorer that is wrong in the same way every time.
func (a *auditor) drawn(ctx context.Context) error {
	check := Check{Name: "drawn", What: "scores of texts that the server drew, against what it said of them then"}
	if a.scores == nil {
		return nil
	}
	if a.c.facts.Server == TGI {
		return a.skip(check, "the server takes no token ids")
	}
	var names []string
	var said, scored [][]float64
	for i, s := range a.sequences {
		check.Pair = a.out.Pairs[i].Name
		r, err := a.draw(ctx, s.ids[:s.from], i)
		if err != nil {
			return a.fail(check, err)
		}
		if len(r.Tokens) == 0 || len(r.logprobs) != len(r.Tokens) {
			if r.Tokens == nil {
				check.Pair = ""
				return a.skip(check, "the server does not tell the ids and log-probabilities of what it draws")
			}
			continue // the model has nothing to say here
		}
		back, err := a.c.score(ctx, a.c.scorings[0], []sequence{{ids: append(slices.Clone(s.ids[:s.from]), r.Tokens...), from: s.from}})
		if err != nil {
			return a.fail(check, err)
		}
		names, said, scored = append(names, check.Pair), append(said, r.logprobs), append(scored, back.scores[0])
	}
	check.Pair = ""
	if len(names) < len(a.sequences)/2 {
		return a.skip(check, fmt.Sprintf("the model drew a text for %d of %d prompts only", len(names), len(a.sequences)))
	}
	// Scoring is on trial.
	a.out.Checks = append(a.out.Checks, judge(check, names, scored, said, a.o.Tolerance))
	return nil
}

// draw asks for a text behind a prompt, as it is drawn, reasoning and all; a model that ends at
// once is asked with other seeds.
func (a *auditor) draw(ctx context.Context, prompt []int32, i int) (reply, error) {
	c := *a.c
	c.role.Thinking = KeepThinking
	s := lm.Sampling{MaxTokens: drawnTokens, Temperature: float64(i % 2), Seed: uint64(i)}
	for {
		q, err := c.continuation(prompt, s, true)
		if err != nil {
			return reply{}, err
		}
		r, err := c.ask(ctx, q)
		if err != nil || len(r.Tokens) > 0 || r.Tokens == nil || s.Seed >= 64 {
			return r, err
		}
		s.Temperature, s.Seed = 1, s.Seed+16
	}
}
