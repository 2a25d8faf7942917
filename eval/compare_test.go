package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"stargate/eval/judge"
	"stargate/eval/stats"
)

// records are a run of m0 and m1 on 3 tasks and 4 personas: m1's Q-experimental on pair i is
// score(i), its verdict verdict(i).
func records(name string, score func(i int) float64, verdict func(i int) judge.Verdict) Records {
	r := Records{Name: name, Result: &Result{Models: []string{"m0", "m1"}}}
	for i := range 12 {
		p := PairRecord{Pair: fmt.Sprintf("t%d/u%d", i%3, i/3), Task: fmt.Sprint("t", i%3), Persona: fmt.Sprint("u", i/3), Digest: fmt.Sprint("texts ", i)}
		p.Models = []ModelRecord{{Model: "m0", LogProbs: []float64{-9}, Asked: 2, Relevant: 1},
			{Model: "m1", LogProbs: []float64{score(i) - 1, score(i) + 1}, Asked: 4, Relevant: 2, Verdict: verdict(i)}}
		r.Pairs = append(r.Pairs, p)
	}
	return r
}

func always(v judge.Verdict) func(int) judge.Verdict { return func(int) judge.Verdict { return v } }

func rowOf(t *testing.T, c *Contrast, what, model string) ContrastRow {
	t.Helper()
	for _, r := range c.Rows {
		if r.What == what && r.ModelB == model {
			return r
		}
	}
	t.Fatalf("%s of %s was not compared: %+v", what, model, c.Rows)
	return ContrastRow{}
}

// What pairs have in common falls out of a difference: scores that spread over 12 nats differ
// by 2, give or take the half by which every second pair differs.
func TestRunsAreComparedPairByPair(t *testing.T) {
	a := records("a", func(i int) float64 { return -float64(i) }, always(judge.Second))
	b := records("b", func(i int) float64 { return -float64(i) + 2 + float64(i%2) - 0.5 }, func(i int) judge.Verdict {
		if i < 5 {
			return judge.First
		}
		return judge.Second
	})
	slices.Reverse(b.Pairs) // the order of a split is nothing
	c, err := Compare(a, b, CompareOptions{Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Paired || c.Shared != 12 || c.OnlyA+c.OnlyB+c.Other != 0 {
		t.Errorf("%+v", c)
	}
	q := rowOf(t, c, QExperimental, "m1")
	var diff []stats.Observation
	for i := range 12 {
		diff = append(diff, stats.Observation{Task: fmt.Sprint("t", i%3), Persona: fmt.Sprint("u", i/3), Value: 2 + float64(i%2) - 0.5})
	}
	want := stats.Mean(diff)
	if math.Abs(q.Test.Diff-2) > 1e-12 || math.Abs(q.Test.SEM-want.SEM) > 1e-12 || q.Test.N != 12 || math.Abs(q.MeanA+5.5) > 1e-12 || math.Abs(q.MeanB+3.5) > 1e-12 {
		t.Errorf("%+v, want a difference of 2 ± %g", q, want.SEM)
	}
	w := rowOf(t, c, Wins, "m1")
	if *w.Test.OnlyA != 0 || *w.Test.OnlyB != 5 || math.Abs(*w.Test.McNemar-2./32) > 1e-12 { // 5 of 5 one way
		t.Errorf("wins: %+v", w.Test)
	}
	if m0 := rowOf(t, c, QExperimental, "m0"); m0.Test.Diff != 0 || m0.Test.P != 1 {
		t.Errorf("the same numbers differ: %+v", m0)
	}
	for _, r := range c.Rows {
		if r.Holm < r.Test.P {
			t.Errorf("%s: Holm's %g is below p %g", r.What, r.Holm, r.Test.P)
		}
	}
}

// A pair whose texts have changed is another pair; runs without a pair in common are
// compared as independent, with the larger errors that this means.
func TestOtherTextsAreOtherPairs(t *testing.T) {
	score := func(i int) float64 { return -float64(i) }
	a, b := records("a", score, always(judge.Tie)), records("b", score, always(judge.Tie))
	b.Pairs[3].Digest = "edited"
	b.Pairs[4].Pair = "new/u1"
	c, err := Compare(a, b, CompareOptions{Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if c.Shared != 10 || c.Other != 1 || c.OnlyA != 1 || c.OnlyB != 1 || rowOf(t, c, QExperimental, "m1").Test.N != 10 {
		t.Errorf("%+v", c)
	}
	for i := range b.Pairs {
		b.Pairs[i].Digest = "edited"
	}
	if c, err = Compare(a, b, CompareOptions{}); err != nil {
		t.Fatal(err)
	}
	q := rowOf(t, c, QExperimental, "m1")
	var own []stats.Observation
	for i, p := range a.Pairs {
		own = append(own, stats.Observation{Task: p.Task, Persona: p.Persona, Value: score(i)})
	}
	if want := math.Sqrt2 * stats.Mean(own).SEM; c.Paired || q.Test.Diff != 0 || math.Abs(q.Test.SEM-want) > 1e-12 || q.Test.N != 24 {
		t.Errorf("independent runs: %+v, want an error of %g", q, want)
	}
}

// A comparison can be had of some models and quantities only; what is in neither run is said.
func TestComparisonsAreChosen(t *testing.T) {
	a := records("a", func(int) float64 { return -3 }, always(judge.First))
	c, err := Compare(a, a, CompareOptions{Models: map[string]string{"m0": "m1"}, What: []string{QExperimental, Relevance}, Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Rows) != 2 || c.Rows[0].ModelA != "m0" || c.Rows[0].ModelB != "m1" || c.Rows[0].Test.Diff != 6 || c.Rows[1].Test.Diff != 0 {
		t.Errorf("%+v", c.Rows)
	}
	for want, o := range map[string]CompareOptions{
		"models m0 and m7":           {Models: map[string]string{"m0": "m7"}},
		"nothing measured in common": {What: []string{QRandom}},
	} {
		if _, err := Compare(a, a, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
