package judge

import (
	"context"

	"stargate"
)

// Rubric counts the facts of a persona that a response uses rightly and wrongly.
type Rubric interface {
	Points(p stargate.Pair, response string) (right, wrong int)
}

// RubricJudge prefers the response with more right minus wrong facts.
type RubricJudge struct{ Rubric Rubric }

// Biased is false: the two responses are rated apart from each other.
func (RubricJudge) Biased() bool { return false }

// Compare implements [Judge].
func (j RubricJudge) Compare(_ context.Context, c Comparison) (Opinion, error) {
	rightA, wrongA := j.Rubric.Points(c.Pair, c.A)
	rightB, wrongB := j.Rubric.Points(c.Pair, c.B)
	o := Opinion{Verdict: Tie, Attempts: 1}
	switch a, b := rightA-wrongA, rightB-wrongB; {
	case a > b:
		o.Verdict = First
	case b > a:
		o.Verdict = Second
	}
	return o, nil
}
