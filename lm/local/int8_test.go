package local

import (
	"math"
	"strings"
	"testing"

	"stargate/internal/safetensors"
	"stargate/lm"
	"stargate/nano"
)

// A model that predicts with rounded weights has another name, and is tuned and saved as the one
// it was read from.
func TestInt8(t *testing.T) {
	dir := savedModel(t, safetensors.BF16)
	exact, err := OpenDir(dir, Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer exact.Close()
	rounded, err := OpenDir(dir, Options{Workers: 2, Weights: Int8})
	if err != nil {
		t.Fatal(err)
	}
	defer rounded.Close()
	if exact.Digest() == rounded.Digest() {
		t.Error("rounded weights have the digest of exact ones")
	}
	_, want := answers(t, exact, 4)
	_, got := answers(t, rounded, 4)
	for i := range want {
		if got[i].Sum == want[i].Sum || math.Abs(got[i].Sum-want[i].Sum) > 0.05*math.Abs(want[i].Sum) {
			t.Errorf("request %d: log-probability %g rounded, %g exact", i, got[i].Sum, want[i].Sum)
		}
	}
	for _, low := range []*lm.LoRA{nil, {Rank: 2, Alpha: 4}} {
		h := hyper()
		h.Epochs, h.LoRA = 1, low
		var weights []string
		for _, m := range []*Model{exact, rounded} {
			g, _, err := m.Tune(t.Context(), "m1", examples(8), h)
			if err != nil {
				t.Fatal(err)
			}
			tuned := g.(*Model)
			if tuned.weights.bytes != m.weights.bytes {
				t.Error("the tuned model predicts otherwise")
			}
			tuned.weights.bytes = false // name it by its weights
			weights = append(weights, tuned.computeDigest())
			tuned.Close()
		}
		if weights[0] != weights[1] {
			t.Errorf("LoRA %v: other weights are trained", low != nil)
		}
	}
	if _, err := OpenDir(dir, Options{Weights: "int4"}); err == nil || !strings.Contains(err.Error(), "int4") {
		t.Errorf("unknown weights: %v", err)
	}
}

// What rounding costs the built-in model: docs/bench/models.md quotes the log of this test.
func TestInt8OfTheBuiltInModel(t *testing.T) {
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	var models [2]*Model
	for i, w := range []Weights{Exact, Int8} {
		if models[i], err = Open(files, Options{Workers: 2, Weights: w}); err != nil {
			t.Fatal(err)
		}
		defer models[i].Close()
	}
	tokens, mean, most := 0, 0.0, 0.0
	for _, question := range []string{"What should I cook tonight?", "Plan a trip for me.", "Which book should I read?", "How do I get fit?",
		"What gift should I buy for my sister?", "Help me to choose a film.", "What can I do on Sunday?", "Which sport suits me?"} {
		chat := lm.Chat{{Role: lm.User, Content: "My name is Ada. " + question}}
		answer, err := models[0].Generate(t.Context(), chat, lm.Sampling{MaxTokens: 60})
		if err != nil {
			t.Fatal(err)
		}
		var scores [2]lm.LogProb
		for i, m := range models {
			if scores[i], err = m.LogProb(t.Context(), chat, answer.Text); err != nil {
				t.Fatal(err)
			}
		}
		for i, x := range scores[0].Tokens {
			d := math.Abs(x.LogProb - scores[1].Tokens[i].LogProb)
			tokens, mean, most = tokens+1, mean+d, max(most, d)
		}
	}
	mean /= float64(tokens)
	t.Logf("%d tokens: log-probabilities differ by %.4f in the mean, %.4f at most", tokens, mean, most)
	if mean == 0 || mean > 0.05 {
		t.Errorf("log-probabilities differ by %g in the mean", mean)
	}
}
