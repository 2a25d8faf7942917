package llama

import (
	"math"
	"slices"
	"testing"

	"stargate/internal/kernel"
)

// gradientOf runs Accumulate on batches, one call each.
func gradientOf(t *testing.T, m *Model, workers int, calls ...[]Sequence) (grad []float32, loss float64) {
	t.Helper()
	pool := kernel.NewPool(workers)
	defer pool.Close()
	tr := NewTrainer(m, pool)
	for _, seqs := range calls {
		sum, _, err := tr.Accumulate(seqs, 0.01)
		if err != nil {
			t.Fatal(err)
		}
		loss += sum
	}
	return slices.Clone(tr.Gradient().Flat()), loss
}

func TestWorkersChangeNoBit(t *testing.T) {
	for _, name := range fixtures(t) {
		f, m := loadFixture(t, name)
		want, loss := gradientOf(t, m, 1, f.Sequences)
		for _, workers := range []int{2, 3, 8} {
			got, l := gradientOf(t, m, workers, f.Sequences)
			if !slices.Equal(got, want) || l != loss {
				t.Errorf("%s, %d workers: other bits", name, workers)
			}
		}
	}
}

func TestAccumulatedIsWholeBatch(t *testing.T) {
	f, m := loadFixture(t, "tied")
	want, loss := gradientOf(t, m, 2, f.Sequences)
	var single [][]Sequence
	for _, s := range f.Sequences {
		single = append(single, []Sequence{s})
	}
	got, l := gradientOf(t, m, 2, single...)
	if e := relative(got, want); e > 1e-6 || math.Abs(l-loss) > 1e-12*loss {
		t.Errorf("accumulated gradient differs by %.2g, loss %g and %g", e, l, loss)
	}
}

func TestLossIsForwardOfAccumulate(t *testing.T) {
	f, m := loadFixture(t, "untied")
	pool := kernel.NewPool(2)
	defer pool.Close()
	tr := NewTrainer(m, pool)
	a, n, err := tr.Loss(f.Sequences)
	if err != nil {
		t.Fatal(err)
	}
	b, k, err := tr.Accumulate(f.Sequences, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a != b || n != k {
		t.Errorf("Loss %g of %d, Accumulate %g of %d", a, n, b, k)
	}
}
