package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"stargate/eval"
)

// The loop is not made for one world: with a world, a tokenizer and a base model of its
// own it learns to ask as well.
func TestSoakSecondWorldLearns(t *testing.T) {
	soak(t)
	world, err := filepath.Abs("../../nano/testdata/world2.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stargate := func(args ...string) []byte {
		c := exec.Command(program(t), args...)
		c.Args[0] = "stargate"
		var errors bytes.Buffer
		c.Dir, c.Stderr = dir, &errors
		out, err := c.Output()
		if err != nil {
			t.Fatalf("stargate %v: %v\n%s", args, err, errors.Bytes())
		}
		return out
	}
	stargate("nano", "pretrain", "--world", world, "--out", "model")
	t.Logf("the base model:\n%s", stargate("nano", "measure", "--world", world, "--model", "model"))
	t.Logf("the loop:\n%s", stargate("run", "--world", world, "--model", "model", "--out", "run"))

	data, err := os.ReadFile(filepath.Join(dir, "run", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r eval.Result
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if r.Optimum == nil {
		t.Fatal("the truth of the world is not known")
	}
	last := r.Models[len(r.Models)-1]
	asked, gained := false, false
	for _, q := range r.Questions {
		if q.Model == last {
			asked = true
			if chance := r.Optimum.ChanceRelevant; q.Relevant < 1.5*chance {
				t.Errorf("%.3f of %s's questions are relevant; chance is %.3f", q.Relevant, last, chance)
			}
		}
	}
	for _, g := range r.GoldLogProb {
		if g.Model == last && g.Condition == eval.QExperimental && g.Subset == eval.All {
			gained = true
			if g.Delta <= 0 || g.DeltaLow <= 0 {
				t.Errorf("the right answer is %.2f nats (from %.2f) more probable after %s's questions", g.Delta, g.DeltaLow, last)
			}
		}
	}
	if !asked || !gained {
		t.Errorf("report.json says nothing about %s", last)
	}
}
