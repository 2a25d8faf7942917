package selection_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"stargate"
	"stargate/export"
	"stargate/export/exporttest"
	"stargate/export/selection"
	"stargate/lm"
	"stargate/prompt"
)

func pair(task, persona string) stargate.Pair {
	return stargate.Pair{Task: stargate.Task{ID: task, Text: "Plan a dinner."}, Persona: stargate.Persona{ID: persona, Name: "Ada", Text: "Likes fish."}, Gold: "Fish."}
}

// scored is a conversation of questions and answers in turn.
func scored(p stargate.Pair, sample int, score float64, words ...string) stargate.Scored {
	s := stargate.Scored{Conversation: stargate.Conversation{Pair: p.Key(), Sample: sample, Outcome: stargate.Complete}, LogProb: score, Tokens: 4}
	for i := 0; i < len(words); i += 2 {
		s.Turns = append(s.Turns, stargate.Turn{Question: words[i], Answer: words[i+1]})
	}
	return s
}

func run(t *testing.T) selection.Run {
	t.Helper()
	prompts, err := prompt.Embedded("nano")
	if err != nil {
		t.Fatal(err)
	}
	return selection.Run{Name: "tiny", Identity: "id", Model: "m", Version: "v", Prompts: prompts}
}

// iteration has two pairs; of the second, one conversation could be scored and its response
// could not be trained on.
func iteration() stargate.Iteration {
	p, q := pair("t1", "u1"), pair("t2", "u1")
	a := []stargate.Scored{
		scored(p, 0, -6, "What do you eat?", "Fish.", "When?", "Tonight."),
		scored(p, 2, -2, "What do you eat?", "Fish.", "With rice?", "Yes."),
		scored(p, 3, -10, "What do you eat?", "Fish.", "Do you drive?", "No."),
	}
	b := []stargate.Scored{scored(q, 1, -3, "Red?", "No.")}
	return stargate.Iteration{N: 2, Split: "B",
		Candidates: []stargate.Candidates{{Pair: p, Scored: a, Best: []int{1, 0}}, {Pair: q, Scored: b, Best: []int{0}}},
		Selected: []stargate.Selected{
			{Pair: p, Best: a[1], Response: "Take fish with rice.", Outcome: stargate.Complete},
			{Pair: p, Best: a[0], Response: "Take fish tonight.", Outcome: stargate.Complete},
			{Pair: q, Best: b[0], Response: "Take", Outcome: stargate.Outcome(stargate.TooLong)},
		}}
}

func collect(t *testing.T, src export.Source) []export.Example {
	t.Helper()
	var out []export.Example
	for e, err := range src {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// The examples are those that the run trained on, and say where they come from.
func TestExamples(t *testing.T) {
	text, it, r := exporttest.Text(t, "nano"), iteration(), run(t)
	src, err := selection.Examples(text, r, it, export.Uniform)
	if err != nil {
		t.Fatal(err)
	}
	got := collect(t, src)
	want, err := stargate.Examples(r.Prompts, it.Selected)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(want) != 2 {
		t.Fatalf("%d examples, the run trained on %d", len(got), len(want))
	}
	for i, e := range got {
		if e.Key != want[i].Key || len(e.Messages) != len(want[i].Messages) || len(e.Loss) != len(want[i].Loss) || !e.Uniform() {
			t.Errorf("%+v, the run has %+v", e, want[i])
		}
	}
	o := got[0].Provenance.Origin
	if *o != (export.Origin{Run: "tiny", Identity: "id", Iteration: 2, Split: "B", Pair: "t1/u1", Sample: 2, Score: -2, GoldToks: 4, Margin: 1}) {
		t.Errorf("origin %+v", *o)
	}
	if again := collect(t, src); len(again) != 2 {
		t.Error("the source cannot be ranged over twice")
	}
	it.Log.Dropped = []string{got[0].Key} // too long for the run's trainer
	if src, err = selection.Examples(text, r, it, export.Uniform); err != nil || len(collect(t, src)) != 1 {
		t.Errorf("what the trainer left out: %v", err)
	}
}

// The better of two conversations counts more, and the mean weight is 1.
func TestWeightedExamples(t *testing.T) {
	src, err := selection.Examples(exporttest.Text(t, "nano"), run(t), iteration(), export.Weighting{Kind: "exp", Temperature: 1, Most: 10})
	if err != nil {
		t.Fatal(err)
	}
	got := collect(t, src)
	var w [2]float64
	for i, e := range got {
		w[i] = float64(e.Weights[len(e.Weights)-1])
		if e.Provenance.Weighting == "" || e.Trained() == 0 {
			t.Errorf("%+v", e.Provenance)
		}
	}
	// Margins 1 and 0, so the ratio is e.
	if math.Abs(w[0]+w[1]-2) > 1e-6 || math.Abs(w[0]/w[1]-math.E) > 1e-5 {
		t.Errorf("weights %v", w)
	}
	if _, err := selection.Examples(exporttest.Text(t, "nano"), run(t), iteration(), export.Weighting{}); err == nil {
		t.Error("no weighting was taken")
	}
}

// The best is held against the worst at the first question in which they differ.
func TestPreferences(t *testing.T) {
	ps, n, err := selection.Preferences(run(t), iteration(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n != (selection.Comparisons{Pairs: 2, Alone: 1}) || len(ps) != 1 {
		t.Fatalf("%+v, %d preferences", n, len(ps))
	}
	p := ps[0]
	if p.Chosen != "With rice?" || p.Rejected != "Do you drive?" || p.Margin != 2 || p.RejectedSample != 3 || p.RejectedScore != -10 || p.Provenance.Origin.Sample != 2 {
		t.Errorf("%+v", p)
	}
	var said []string
	for _, m := range p.Prompt {
		said = append(said, string(m.Role)+": "+m.Content)
	}
	if len(p.Prompt) != 3 || p.Prompt[1] != (lm.Message{Role: lm.Assistant, Content: "What do you eat?"}) || p.Prompt[2] != (lm.Message{Role: lm.User, Content: "Fish."}) {
		t.Errorf("prompt %s", strings.Join(said, " | "))
	}
	if ps, n, err := selection.Preferences(run(t), iteration(), 3); err != nil || len(ps) != 0 || n.Close != 1 {
		t.Errorf("a margin of 3: %v, %+v, %v", ps, n, err)
	}
	it := iteration()
	it.Candidates[0].Scored[2].Turns[0].Answer = "Nothing."
	if ps, n, err := selection.Preferences(run(t), it, 0); err != nil || len(ps) != 0 || n.SameAsk != 1 {
		t.Errorf("answers that part first: %v, %+v, %v", ps, n, err)
	}
}

func TestTemplateThatRefuses(t *testing.T) {
	it := iteration()
	it.Selected = it.Selected[:1]
	text := exporttest.Text(t, "refuses")
	src, err := selection.Examples(text, run(t), it, export.Uniform)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range src {
		if err == nil || !strings.Contains(err.Error(), "t1/u1#2") || errors.Is(err, lm.ErrNoLoss) {
			t.Errorf("got %v", err)
		}
	}
}
