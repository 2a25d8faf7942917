package eval

import (
	"math"
	"testing"

	"stargate"
)

// said builds a pair's conversations from the attributes asked in each.
func said(p stargate.Pair, conversations ...[]string) stargate.Candidates {
	c := stargate.Candidates{Pair: p, Best: []int{0}}
	for i, asked := range conversations {
		s := stargate.Scored{Conversation: stargate.Conversation{Pair: p.Key(), Sample: i, Outcome: stargate.Complete}, LogProb: float64(-i)}
		for _, a := range asked {
			s.Turns = append(s.Turns, stargate.Turn{Question: question(a), Answer: "…"})
		}
		c.Scored = append(c.Scored, s)
	}
	return c
}

// Colour and pet matter to the first task. Of six questions three are relevant and new,
// one repeats, one is beside the point, and one is none of the world's.
func TestQuestionsByHand(t *testing.T) {
	w := newWorld(t, 2, 1, mixed)
	c := said(w.Test.Pairs[0], []string{"colour", "colour", "pet"}, []string{"pet", "food", "weather"})
	c.Scored[0].Redrawn = []stargate.Flaw{stargate.NoQuestion, stargate.Truncated} // the second may be an answer's
	c.Dropped = []stargate.Conversation{{Outcome: stargate.Outcome(stargate.SeveralQuestions), Redrawn: []stargate.Flaw{stargate.SeveralQuestions}}}
	q := w.describe("m0", []stargate.Candidates{c})
	if q.N != 6 || q.Relevant != 3./6 || q.Redundant != 1./6 || q.Distinct != 4./6 || q.Words != 5 {
		t.Errorf("%+v", q)
	}
	if math.Abs(q.Wellformed-5./9) > 1e-12 { // 6 kept, 3 thrown away for what they asked
		t.Errorf("well-formed %g, want 5/9", q.Wellformed)
	}
	w.Truth = nil // then only repetitions word for word can be known
	if q := w.describe("m0", []stargate.Candidates{c}); q.Relevant != -1 || q.Redundant != 1./6 || math.Abs(q.Wellformed-6./9) > 1e-12 {
		t.Errorf("without a truth: %+v", q)
	}
}

// All candidates against the selected one: selection is what teaches to ask.
func TestSelectionStatistics(t *testing.T) {
	p := testSplit(1, 1).Pairs[0]
	rated := []stargate.Candidates{said(p, []string{"colour", "pet"}, []string{"sport", "food"}, []string{"pet", "pet"})}
	all, selected := RelevantShare(truth{}, rated)
	if all != 3./6 || selected != 1 {
		t.Errorf("relevant: %g of all, %g of the selected", all, selected)
	}
	if m := Margin(rated); m != 1 { // scores 0, -1, -2
		t.Errorf("margin %g, want 1", m)
	}
	if all, selected := RelevantShare(nil, rated); all != -1 || selected != -1 {
		t.Errorf("without a truth: %g, %g", all, selected)
	}
	if m := Margin(nil); m != 0 {
		t.Errorf("nothing rated: %g", m)
	}
}
