package nano_test

import (
	"context"
	"testing"

	"stargate/lm/local"
	"stargate/nano"
	"stargate/prompt"
)

// The loop rests on these abilities: without them there is nothing to select and nothing to
// learn. docs/nano/base.md has the figures of the full measurement.
func TestBuiltInModelCanPlayEveryRole(t *testing.T) {
	dir, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	m, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w, err := nano.Default()
	if err != nil {
		t.Fatal(err)
	}
	prompts, err := prompt.Embedded("nano")
	if err != nil {
		t.Fatal(err)
	}
	a, err := nano.Measure(context.Background(), m, w, prompts, nano.MeasureOptions{Seed: 1, Samples: 60})
	if err != nil {
		t.Fatal(err)
	}
	if a.WellForm < 0.95 {
		t.Errorf("well-formed questions: %.2f", a.WellForm)
	}
	if a.Relevant > 1.6*a.Chance || a.Relevant < 0.5*a.Chance {
		t.Errorf("relevant questions: %.2f; the base model must ask as chance does, %.2f", a.Relevant, a.Chance)
	}
	if a.Copied < 0.95 {
		t.Errorf("answers with the persona's value: %.2f", a.Copied)
	}
	for k, u := range a.Known {
		if k > 0 && u.Right < 0.9 {
			t.Errorf("%d relevant facts told: %.2f of them used", k, u.Right)
		}
		if k > 0 && u.LogProb < a.Known[k-1].LogProb+2 {
			t.Errorf("log p(gold) with %d relevant facts is %.1f, with %d %.1f; want a rise of at least 2 nats", k, u.LogProb, k-1, a.Known[k-1].LogProb)
		}
	}
}
