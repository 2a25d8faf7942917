package judge

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stargate/eval/reply"
	"stargate/lm"
	"stargate/prompt"
)

// ModelJudge asks a language model (the paper: GPT-4).
type ModelJudge struct {
	Model    lm.Generator
	Prompts  *prompt.Set
	Sampling lm.Sampling
	Retries  int // attempts after the first; 0 = 2, negative = none
}

// Biased is true: models prefer a position.
func (ModelJudge) Biased() bool { return true }

// defaultRetries is how often a judge is asked again by default.
const defaultRetries = 2

// again is what a judge is told that answered without a verdict.
const again = `Your answer did not end with a verdict. Reply with one line and nothing else: "Final Response: A" or "Final Response: B".`

// warmer is the least temperature of a new attempt that could otherwise only repeat the
// last one.
const warmer = 0.7

// Compare implements [Judge]. An answer without a verdict is shown to the model again with
// the request for the verdict line; a refusal or an empty answer is drawn again. What is
// still no verdict after all attempts, or does not fit the model's context, is [Invalid].
func (j ModelJudge) Compare(ctx context.Context, c Comparison) (Opinion, error) {
	chat, err := j.Prompts.Judge(c.Pair.Persona.Name, c.Pair.Persona.Text, c.Pair.Task.Text, c.A, c.B)
	if err != nil {
		return Opinion{Verdict: Invalid}, err
	}
	retries := j.Retries
	switch {
	case retries == 0:
		retries = defaultRetries
	case retries < 0:
		retries = 0
	}
	o := Opinion{Verdict: Invalid}
	next, sampling := chat, j.Sampling
	for attempt := range 1 + retries {
		o.Attempts++
		out, err := j.Model.Generate(ctx, next, sampling)
		switch {
		case errors.Is(err, lm.ErrContextLength):
			o.Unparsable++
			return o, nil // the next attempt is no shorter
		case errors.Is(err, lm.ErrRefused):
			o.Refused++
			out.Text = ""
		case err != nil:
			return o, fmt.Errorf("judge, pair %s: %w", c.Pair.Key(), err)
		default:
			v, reason := Parse(out.Text)
			if v != Invalid {
				o.Verdict = v
				return o, nil
			}
			if reason == Refusal {
				o.Refused++
			} else {
				o.Unparsable++
			}
		}
		next, sampling = chat, j.Sampling
		if visible := reply.Visible(out.Text); visible != "" {
			next = append(slices.Clone(chat), lm.Message{Role: lm.Assistant, Content: visible}, lm.Message{Role: lm.User, Content: again})
		} else {
			sampling.Temperature = max(sampling.Temperature, warmer)
			sampling.Seed += uint64(attempt) + 1
		}
	}
	return o, nil
}
