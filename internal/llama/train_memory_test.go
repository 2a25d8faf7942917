package llama

import (
	"slices"
	"testing"

	"stargate/internal/kernel"
)

// Activations computed again are the same: no gradient has another bit, of whole weights, of
// low-rank updates, with dropout.
func TestRecomputeChangesNoBit(t *testing.T) {
	var seqs []Sequence
	for i := range 4 {
		s := randomSequence(awkward, uint64(i), 20+45*i, 0.7)
		s.Dropout = uint64(i)
		seqs = append(seqs, s)
	}
	for _, v := range variants(awkward) {
		c := v.config
		c.NumHiddenLayers = 4
		if c.LayerTypes != nil {
			c.LayerTypes = append(c.LayerTypes, c.LayerTypes...)
		}
		m := randomModel(t, c)
		for what, make := range map[string]func() *Trainer{
			"all weights": func() *Trainer { return newTrainer(t, m, 2) },
			"updates":     func() *Trainer { return newLowRankTrainer(t, m, randomUpdates(m, 3, "_proj"), 0, 2) },
			"with dropout": func() *Trainer {
				return newLowRankTrainer(t, m, randomUpdates(m, 3, "layers.1", "layers.3.mlp"), 0.2, 2)
			},
		} {
			var grads [2][]float32
			var losses [2]float64
			for i, on := range []bool{false, true} {
				tr := make()
				tr.Recompute(on)
				if _, _, err := tr.Loss(seqs[:1]); err != nil { // leaves its activations behind
					t.Fatal(err)
				}
				var err error
				if losses[i], _, err = tr.Accumulate(seqs, 0.01); err != nil {
					t.Fatal(err)
				}
				grads[i] = flatten(tr.Updates())
				if tr.Gradient() != nil {
					grads[i] = tr.Gradient().Flat()
				}
			}
			if losses[0] != losses[1] || !slices.Equal(grads[0], grads[1]) {
				t.Errorf("%s, %s: other bits", v.name, what)
			}
		}
	}
}

// Turning it on and off again gives back the memory of every layer.
func TestRecomputeCanBeTurnedOff(t *testing.T) {
	m, seqs := randomModel(t, awkward), awkwardBatch()
	want, _ := gradientOf(t, m, 1, seqs)
	tr := newTrainer(t, m, 1)
	for _, on := range []bool{true, false} {
		tr.Recompute(on)
		tr.ZeroGradient()
		if _, _, err := tr.Accumulate(seqs, 0.01); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(tr.Gradient().Flat(), want) {
			t.Errorf("recompute %v: other bits", on)
		}
	}
}

// Training on rounded weights has the losses and gradients of the rounded model, bit for bit.
func TestRoundWeightsIsTheRoundedModel(t *testing.T) {
	seqs := awkwardBatch()
	for _, v := range variants(awkward) {
		m := randomModel(t, v.config)
		for _, workers := range []int{1, 3} {
			want, loss := gradientOf(t, m.Rounded(), workers, seqs)
			tr := newTrainer(t, m, workers)
			tr.RoundWeights()
			sum, _, err := tr.Accumulate(seqs, 0.01)
			if err != nil {
				t.Fatal(err)
			}
			if sum != loss || !slices.Equal(tr.Gradient().Flat(), want) {
				t.Errorf("%s, %d workers: other bits than the rounded model's", v.name, workers)
			}
		}
		// The masters are what changes: a step far below bf16's precision is not lost.
		tr := newTrainer(t, m, 1)
		tr.RoundWeights()
		before, _, err := tr.Loss(seqs)
		if err != nil {
			t.Fatal(err)
		}
		for range 64 {
			kernel.Scale(m.Embed, 1+1.0/(1<<12))
		}
		if after, _, err := tr.Loss(seqs); err != nil || after == before {
			t.Errorf("%s: the loss after small steps of the masters is the same: %v, %v", v.name, after, err)
		}
	}
}

// A stored model in bf16 is the rounded model.
func TestStoreBF16IsTheRoundedModel(t *testing.T) {
	for _, v := range variants(awkward) {
		m := randomModel(t, v.config)
		if got := m.StoreBF16().Model(); !slices.Equal(got.Flat(), m.Rounded().Flat()) {
			t.Errorf("%s: other weights", v.name)
		}
	}
}
