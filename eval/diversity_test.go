package eval

import (
	"math"
	"strings"
	"testing"

	"stargate"
)

func split(texts ...string) [][]string {
	var out [][]string
	for _, t := range texts {
		out = append(out, wordsIn(t))
	}
	return out
}

// Six words of which four differ; four pairs, three differ; two triples, both differ.
func TestDistinctByHand(t *testing.T) {
	texts := split("Where do you?", "Do you eat!")
	for n, want := range []float64{4. / 6, 3. / 4, 1} {
		if got := distinct(texts, n+1); math.Abs(got-want) > 1e-12 {
			t.Errorf("distinct-%d is %g, want %g", n+1, got, want)
		}
	}
	if got := distinct(nil, 1); got != 0 {
		t.Errorf("of nothing: %g", got)
	}
}

// The same sentences are fully alike, sentences without a common word not at all; and one
// by hand: "a b c d" against "a b c e" has precisions 3/4, 2/3, 1/2 and, smoothed, 1/2 of 1.
func TestSelfBLEU(t *testing.T) {
	if got := selfBLEU(split("what is your favourite colour?", "What is your favourite colour")); math.Abs(got-1) > 1e-12 {
		t.Errorf("the same: %g", got)
	}
	if got := selfBLEU(split("one two three four", "five six seven eight")); got != 0 {
		t.Errorf("nothing in common: %g", got)
	}
	want := math.Pow(3./4*2./3*1./2*1./2, 0.25)
	if got := selfBLEU(split("a b c d", "a b c e")); math.Abs(got-want) > 1e-12 {
		t.Errorf("by hand: %g, want %g", got, want)
	}
	// "a a" is matched by one a only, and is as long as its reference: √(1/2 · 1/2).
	if got := selfBLEU(split("a a", "a b")); math.Abs(got-(math.Sqrt(0.5*0.5)+math.Sqrt(0.5*0.5))/2) > 1e-12 {
		t.Errorf("clipped: %g", got)
	}
	if got := selfBLEU(split("alone")); got != 0 {
		t.Errorf("one text: %g", got)
	}
}

// Two questions alike and one that is half of all: exp(½ln2 + 2·¼ln4) = 2^1.5.
func TestEffective(t *testing.T) {
	if got := effective(map[string]int{"a": 2, "b": 1, "c": 1}); math.Abs(got-math.Pow(2, 1.5)) > 1e-12 {
		t.Errorf("%g", got)
	}
	if got := effective(map[string]int{"a": 7}); got != 1 {
		t.Errorf("one: %g", got)
	}
	if got := effective(nil); got != 0 {
		t.Errorf("none: %g", got)
	}
}

// A model that always asks the same, whatever the task, raises alarms; the knowing one,
// which asks few questions per task but those that matter, raises none.
func TestModeCollapse(t *testing.T) {
	stuck := func(string, int, uint64) string { return question("pet") }
	d := newWorld(t, 20, 3, mixed, knowing, stuck, clumsy).run(t).Result.Diversity
	if len(d) != 4 {
		t.Fatalf("%+v", d)
	}
	m0, know, bad, mal := d[0], d[1], d[2], d[3]
	if len(m0.Alarms) != 0 || len(know.Alarms) != 0 {
		t.Errorf("false alarms: %v, %v", m0.Alarms, know.Alarms)
	}
	all := strings.Join(bad.Alarms, "; ")
	for _, want := range []string{`one question is 100 % of all: "Which pet do you like?"`, "effectively 1.0 different questions, m0 has 4.0", "effectively 1.0 attributes are asked for, m0 asks for 4.0"} {
		if !strings.Contains(all, want) {
			t.Errorf("alarms %q lack %q", all, want)
		}
	}
	if bad.SelfBLEU < 0.999 || bad.PerPair > 0.34 || m0.PerPair < 0.6 || know.PerPair > 0.34 {
		t.Errorf("m0 %+v\nstuck %+v", m0, bad)
	}
	if s := strings.Join(mal.Alarms, "; "); !strings.Contains(s, "of the questions drawn are malformed, of m0 0 %") || mal.Malformed["no-question"] < 0.2 {
		t.Errorf("malformed: %q, %v", s, mal.Malformed)
	}
	if m0.Sample != mal.Sample || mal.N >= m0.N {
		t.Errorf("samples %d and %d of %d and %d", m0.Sample, mal.Sample, m0.N, mal.N)
	}
}

// Every kind of malformed question is told; what only an answer can be is not.
func TestMalformedKinds(t *testing.T) {
	p := testSplit(1, 1).Pairs[0]
	c := said(p, []string{"pet", "food"})
	c.Scored[0].Redrawn = []stargate.Flaw{stargate.NoQuestion, stargate.Truncated}
	c.Dropped = []stargate.Conversation{{Outcome: stargate.Outcome(stargate.AnswerLeak), Redrawn: []stargate.Flaw{stargate.AnswerLeak}}}
	got := malformed([]stargate.Candidates{c})
	if len(got) != 2 || got["no-question"] != 0.2 || got["answer-leak"] != 0.4 {
		t.Errorf("%v", got)
	}
}
