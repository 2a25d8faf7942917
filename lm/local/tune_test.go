package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"stargate/lm"
)

func examples(n int) []lm.Example {
	var xs []lm.Example
	for i := range n {
		xs = append(xs, lm.Example{Key: fmt.Sprintf("pair-%02d", i), Loss: []int{1}, Messages: append(user(fmt.Sprintf("Help me plan thing %d.", i)),
			lm.Message{Role: lm.Assistant, Content: "What would you like to cook?"})})
	}
	return xs
}

func hyper() lm.Hyper {
	h := lm.PaperHyper()
	h.LearningRate, h.Epochs, h.BatchSize, h.HeldOut = 3e-3, 4, 8, 0.2
	return h
}

func TestTuneLearnsAndLeavesTheBaseAlone(t *testing.T) {
	m := newTestModel(t, Options{Workers: 2})
	before := m.computeDigest()
	xs := examples(40)
	g, log, err := m.Tune(t.Context(), "m1", xs, hyper())
	if err != nil {
		t.Fatal(err)
	}
	tuned := g.(*Model)
	defer tuned.Close()
	if m.computeDigest() != before {
		t.Error("tuning changed the base model")
	}
	if log.HeldOut < 2 || log.HeldOut > 16 || log.Examples+log.HeldOut != 40 || len(log.Steps) != 4*((log.Examples+7)/8) {
		t.Errorf("%d trained, %d held out, %d steps", log.Examples, log.HeldOut, len(log.Steps))
	}
	if !(log.EvalLoss < 0.7*log.EvalLossBase) || !(log.Steps[len(log.Steps)-1].Loss < 0.7*log.Steps[0].Loss) {
		t.Errorf("held-out loss %.3f → %.3f, training loss %.3f → %.3f: nothing learnt", log.EvalLossBase, log.EvalLoss, log.Steps[0].Loss, log.Steps[len(log.Steps)-1].Loss)
	}
	// What was learnt shows in a conversation it has not seen.
	chat := user("Help me plan thing 99.")
	a, errA := m.LogProb(t.Context(), chat, "What would you like to cook?")
	b, errB := tuned.LogProb(t.Context(), chat, "What would you like to cook?")
	if err := errors.Join(errA, errB); err != nil || b.Sum <= a.Sum {
		t.Errorf("log p of the trained question %v before, %v after (%v)", a.Sum, b.Sum, err)
	}

	// The order of the examples and the number of workers change nothing.
	slices.Reverse(xs)
	other := newTestModel(t, Options{Workers: 3})
	g, _, err = other.Tune(t.Context(), "m1", xs, hyper())
	if err != nil {
		t.Fatal(err)
	}
	defer g.(*Model).Close()
	if g.(*Model).Digest() != tuned.Digest() {
		t.Error("the same examples in another order, on another number of workers, gave another model")
	}
}

func TestTuneRefusesAndDrops(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1, Context: 64})
	long := examples(12)
	long[7].Messages[0].Content = strings.Repeat("party ", 200)
	h := hyper()
	h.Epochs = 1
	g, log, err := m.Tune(t.Context(), "m1", long, h)
	if err != nil || !slices.Equal(log.Dropped, []string{"pair-07"}) || log.Examples+log.HeldOut != 11 {
		t.Fatalf("dropped %v of 12, %v", log.Dropped, err)
	}
	g.(*Model).Close()

	masked := examples(3)
	masked[1].Loss = nil
	if _, _, err := m.Tune(t.Context(), "m1", masked, h); !errors.Is(err, lm.ErrNoLoss) || !strings.Contains(err.Error(), "pair-01") {
		t.Errorf("a masked example: %v", err)
	}
	wrong := examples(3)
	wrong[2].Loss = []int{0}
	if _, _, err := m.Tune(t.Context(), "m1", wrong, h); err == nil || !strings.Contains(err.Error(), "pair-02") {
		t.Errorf("loss on a user message: %v", err)
	}
	if _, _, err := m.Tune(t.Context(), "m1", append(examples(2), examples(1)...), h); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("one key twice: %v", err)
	}
	h.LearningRate = 1e30
	h.Epochs = 9
	if _, _, err := m.Tune(t.Context(), "m1", examples(12), h); !errors.Is(err, lm.ErrNonFinite) {
		t.Errorf("an absurd learning rate: %v, want ErrNonFinite", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := m.Tune(ctx, "m1", examples(3), hyper()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A tuned model and its parent work at the same time, on one engine.
func TestModelsShareAnEngine(t *testing.T) {
	engine := NewEngine(2)
	m := newTestModel(t, Options{Engine: engine})
	engine.Close()
	h := hyper()
	h.Epochs = 1
	g, _, err := m.Tune(t.Context(), "m1", examples(8), h)
	if err != nil {
		t.Fatal(err)
	}
	tuned := g.(*Model)
	want, _ := answers(t, tuned, 1)
	done := make(chan struct{})
	go func() { defer close(done); answers(t, m, 8) }()
	got, _ := answers(t, tuned, 8)
	<-done
	for i := range want {
		if got[i].Text != want[i].Text {
			t.Errorf("completion %d changed beside another model's work", i)
		}
	}
	m.Close()
	if _, err := m.Generate(t.Context(), user("Hello"), lm.Sampling{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed model says %v", err)
	}
	if _, err := tuned.Generate(t.Context(), user("Hello"), lm.Sampling{MaxTokens: 3}); err != nil {
		t.Errorf("the other model of the engine says %v", err)
	}
	tuned.Close()
}

// Gradient checkpointing changes no bit; bf16 storage trains the rounded model, whose weights the
// result has, and learns as well.
func TestTuneWithLessMemory(t *testing.T) {
	m := newTestModel(t, Options{Workers: 2})
	tune := func(change func(h *lm.Hyper)) (*Model, lm.TuneLog) {
		t.Helper()
		h := hyper()
		change(&h)
		g, log, err := m.Tune(t.Context(), "m1", examples(24), h)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.(*Model).Close)
		return g.(*Model), log
	}
	for what, low := range map[string]*lm.LoRA{"all weights": nil, "LoRA": {Rank: 4, Alpha: 8, Dropout: 0.1}} {
		plain, plainLog := tune(func(h *lm.Hyper) { h.LoRA = low })
		again, _ := tune(func(h *lm.Hyper) { h.LoRA, h.GradientCheckpointing = low, true })
		if again.Digest() != plain.Digest() {
			t.Errorf("%s: gradient checkpointing changed the result", what)
		}
		rounded, log := tune(func(h *lm.Hyper) { h.LoRA, h.Storage, h.GradientCheckpointing = low, lm.BF16, true })
		if rounded.Digest() == plain.Digest() || math.Abs(log.EvalLoss-plainLog.EvalLoss) > 0.1*plainLog.EvalLossBase {
			t.Errorf("%s: held-out loss %.4f → %.4f in bf16, %.4f → %.4f in float32", what, log.EvalLossBase, log.EvalLoss, plainLog.EvalLossBase, plainLog.EvalLoss)
		}
		if low == nil && !slices.Equal(rounded.weights.full.Rounded().Flat(), rounded.weights.full.Flat()) {
			t.Error("a model trained in bf16 is not rounded")
		}
	}
	h := hyper()
	h.Storage = "int4"
	if _, _, err := m.Tune(t.Context(), "m1", examples(4), h); err == nil || !strings.Contains(err.Error(), "int4") {
		t.Errorf("an unknown storage: %v", err)
	}
}
