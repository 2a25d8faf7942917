package local

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/internal/optim"
	"stargate/lm"
	"stargate/lm/trainset"
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

// Training A and B from activations goes where training them through the gradient of the merged
// weights goes: the same losses and, up to what AdamW makes of rounding, the same adapter.
func TestLoRAIsItsTwin(t *testing.T) {
	m := newTestModel(t, Options{Workers: 2})
	h := hyper()
	h.LearningRate, h.HeldOut = 1e-3, 0
	h.LoRA = &lm.LoRA{Rank: 4, Alpha: 8}
	f, err := m.newFit(h)
	if err != nil {
		t.Fatal(err)
	}
	set, err := trainset.New(m, examples(16), m.opts.Context, 0, h.Seed)
	if err != nil {
		t.Fatal(err)
	}
	batch := sequences(set.Train)
	var seqs []llama.Sequence
	for _, x := range batch {
		seqs = append(seqs, x.Sequence)
	}

	p := kernel.NewPool(2)
	defer p.Close()
	base, merged := m.weights.full, m.weights.full.Clone()
	trainer := llama.NewTrainer(merged, p)
	low, err := lora.New(lora.Config{Rank: 4, Alpha: 8}, matrices(base), h.Seed)
	if err != nil {
		t.Fatal(err)
	}
	gradient := low.Zero()
	var tensors []optim.Tensor
	for i, x := range low.Matrices {
		g := gradient.Matrices[i]
		tensors = append(tensors, optim.Tensor{Param: x.A, Grad: g.A, Decay: true}, optim.Tensor{Param: x.B, Grad: g.B, Decay: true})
	}
	twin := optim.NewAdamW(optim.Options{Beta1: h.Beta1, Beta2: h.Beta2, Eps: h.Epsilon, Decay: h.WeightDecay, MaxNorm: h.ClipNorm}, tensors)
	for step := range 8 {
		loss, norm, err := f.step(t.Context(), batch, h.LearningRate)
		if err != nil {
			t.Fatal(err)
		}
		trainer.ZeroGradient()
		sum, n, err := trainer.Accumulate(seqs, 1/float64(llama.Predictions(seqs)))
		if err != nil {
			t.Fatal(err)
		}
		if err := low.Gradient(p, gradient, matrices(trainer.Gradient())); err != nil {
			t.Fatal(err)
		}
		twinNorm, err := twin.Step(p, h.LearningRate)
		if err != nil {
			t.Fatal(err)
		}
		if err := low.Merge(p, matrices(merged), matrices(base)); err != nil {
			t.Fatal(err)
		}
		if want := sum / float64(n); math.Abs(loss-want) > 1e-4*want || math.Abs(norm-twinNorm) > 1e-3*twinNorm {
			t.Errorf("step %d: loss %.7f and norm %.6f, the twin's %.7f and %.6f", step, loss, norm, want, twinNorm)
		}
	}
	for i, x := range f.adapter.Matrices {
		for what, pair := range map[string][2][]float32{"A": {x.A, low.Matrices[i].A}, "B": {x.B, low.Matrices[i].B}} {
			diff, size := 0.0, 0.0
			for k, v := range pair[0] {
				diff += math.Pow(float64(v-pair[1][k]), 2)
				size += math.Pow(float64(pair[1][k]), 2)
			}
			if e := math.Sqrt(diff / size); e > 1e-2 {
				t.Errorf("%s of %s: relative difference %.2g", what, x.Name, e)
			}
		}
	}
}

// Dropout changes what is trained, the same way on any number of workers, and nothing that is
// evaluated before the first step; the adapter's file names it.
func TestLoRADropout(t *testing.T) {
	h := hyper()
	h.LearningRate = 1e-2
	tune := func(workers int, dropout float64) (*Model, lm.TuneLog) {
		h.LoRA = &lm.LoRA{Rank: 4, Alpha: 8, Dropout: dropout}
		g, log, err := newTestModel(t, Options{Workers: workers}).Tune(t.Context(), "m1", examples(24), h)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.(*Model).Close)
		return g.(*Model), log
	}
	plain, plainLog := tune(1, 0)
	one, log := tune(1, 0.3)
	two, _ := tune(2, 0.3)
	if one.Digest() != two.Digest() || one.Digest() == plain.Digest() {
		t.Error("dropout changes nothing, or what the number of workers says")
	}
	if log.EvalLossBase != plainLog.EvalLossBase || !(log.EvalLoss < 0.9*log.EvalLossBase) {
		t.Errorf("held-out loss %.4f → %.4f, without dropout from %.4f", log.EvalLossBase, log.EvalLoss, plainLog.EvalLossBase)
	}
	files, err := one.Adapter().Files()
	if err != nil || !strings.Contains(string(files[lora.ConfigFile]), `"lora_dropout": 0.3`) {
		t.Errorf("%s, %v", files[lora.ConfigFile], err)
	}
}

func TestLoRAOfNothing(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	h := hyper()
	for _, l := range []lm.LoRA{{Rank: 0, Alpha: 1}, {Rank: 2}, {Rank: 2, Alpha: 2, Targets: []string{"wq"}}, {Rank: 2, Alpha: 2, Dropout: 1}} {
		h.LoRA = &l
		if _, _, err := m.Tune(t.Context(), "m1", examples(8), h); err == nil {
			t.Errorf("%+v was accepted", l)
		}
	}
}
