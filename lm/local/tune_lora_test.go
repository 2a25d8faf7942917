package local

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/lora"
	"stargate/lm"
)

// A low-rank fine-tune learns; base plus adapter is the tuned model, bit for bit; workers
// change nothing; and what is saved is read back.
func TestTuneWithLoRA(t *testing.T) {
	h := hyper()
	h.LearningRate = 1e-2
	h.LoRA = &lm.LoRA{Rank: 4, Alpha: 8}
	tune := func(workers int) (*Model, *Model, lm.TuneLog) {
		m := newTestModel(t, Options{Workers: workers})
		g, log, err := m.Tune(t.Context(), "m1", examples(40), h)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.(*Model).Close)
		return m, g.(*Model), log
	}
	base, tuned, log := tune(2)
	if !(log.EvalLoss < 0.8*log.EvalLossBase) {
		t.Errorf("held-out loss %.3f → %.3f: nothing learnt", log.EvalLossBase, log.EvalLoss)
	}
	if _, other, _ := tune(1); other.Digest() != tuned.Digest() {
		t.Error("the number of workers changed the model")
	}

	dir := filepath.Join(t.TempDir(), "m1")
	if err := tuned.Save(dir); err != nil {
		t.Fatal(err)
	}
	a, err := lora.Open(os.DirFS(filepath.Join(dir, adapterDir)))
	if err != nil {
		t.Fatal(err)
	}
	p := kernel.NewPool(1)
	defer p.Close()
	merged := base.weights.full.Clone()
	if err := a.Merge(p, matrices(merged), matrices(base.weights.full)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(merged.Flat(), tuned.weights.full.Flat()) {
		t.Error("base and adapter are not the tuned model")
	}
	again, err := OpenDir(dir, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Digest() != tuned.Digest() {
		t.Error("the saved model is another one")
	}
}

func TestLoRAOfNothing(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	h := hyper()
	for _, l := range []lm.LoRA{{Rank: 0, Alpha: 1}, {Rank: 2}, {Rank: 2, Alpha: 2, Targets: []string{"wq"}}} {
		h.LoRA = &l
		if _, _, err := m.Tune(t.Context(), "m1", examples(8), h); err == nil {
			t.Errorf("%+v was accepted", l)
		}
	}
}
