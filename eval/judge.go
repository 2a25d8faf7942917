package eval

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"stargate"
	"stargate/lm"
	"stargate/prompt"
)

// Comparison asks which of two responses serves a pair's persona better.
type Comparison struct {
	Pair stargate.Pair
	A, B string
}

// Verdict is a judge's answer.
type Verdict string

// The verdicts. Invalid is counted and shown, never a loss and never dropped.
const (
	First   Verdict = "A"
	Second  Verdict = "B"
	Tie     Verdict = "tie"
	Invalid Verdict = "invalid"
)

// Judge compares responses.
type Judge interface {
	Compare(ctx context.Context, c Comparison) (Verdict, error)
	// Biased tells whether the order of the two can matter; then both orders are asked.
	Biased() bool
}

// Rubric counts the facts of a persona that a response uses rightly and wrongly.
type Rubric interface {
	Points(p stargate.Pair, response string) (right, wrong int)
}

// RubricJudge prefers the response with more right minus wrong facts.
type RubricJudge struct{ Rubric Rubric }

// Biased is false: the two responses are rated apart from each other.
func (RubricJudge) Biased() bool { return false }

// Compare implements [Judge].
func (j RubricJudge) Compare(_ context.Context, c Comparison) (Verdict, error) {
	rightA, wrongA := j.Rubric.Points(c.Pair, c.A)
	rightB, wrongB := j.Rubric.Points(c.Pair, c.B)
	switch a, b := rightA-wrongA, rightB-wrongB; {
	case a > b:
		return First, nil
	case b > a:
		return Second, nil
	}
	return Tie, nil
}

// ModelJudge asks a language model (the paper: GPT-4).
type ModelJudge struct {
	Model    lm.Generator
	Prompts  *prompt.Set
	Sampling lm.Sampling
}

// Biased is true: models prefer a position.
func (ModelJudge) Biased() bool { return true }

// Compare implements [Judge]. A refusal or an answer without a verdict is [Invalid].
func (j ModelJudge) Compare(ctx context.Context, c Comparison) (Verdict, error) {
	chat, err := j.Prompts.Judge(c.Pair.Persona.Name, c.Pair.Persona.Text, c.Pair.Task.Text, c.A, c.B)
	if err != nil {
		return Invalid, err
	}
	out, err := j.Model.Generate(ctx, chat, j.Sampling)
	switch {
	case errors.Is(err, lm.ErrRefused):
		return Invalid, nil
	case err != nil:
		return Invalid, fmt.Errorf("judge, pair %s: %w", c.Pair.Key(), err)
	}
	return ParseVerdict(out.Text), nil
}

var verdictLine = regexp.MustCompile(`(?i)final\s+response\s*(?:is)?\s*[:\-]?\s*[*_"'(\[]*\s*(?:response\s+|reply\s+)?([AB])\b`)

// ParseVerdict reads a judge's text: the last "Final Response: A" or "… B" counts.
func ParseVerdict(text string) Verdict {
	all := verdictLine.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return Invalid
	}
	if strings.EqualFold(all[len(all)-1][1], "A") {
		return First
	}
	return Second
}

// compare asks a judge about two responses, in both orders if it is biased; a judge that
// changes its mind with the order says tie.
func compare(ctx context.Context, j Judge, c Comparison) (Verdict, error) {
	v, err := j.Compare(ctx, c)
	if err != nil || v == Invalid || !j.Biased() {
		return v, err
	}
	w, err := j.Compare(ctx, Comparison{c.Pair, c.B, c.A})
	if err != nil || w == Invalid {
		return Invalid, err
	}
	switch swapped := map[Verdict]Verdict{First: Second, Second: First, Tie: Tie}[w]; {
	case swapped == v:
		return v, nil
	default:
		return Tie, nil
	}
}
