package llama

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/optim"
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
	f, m := loadFixture(t, "untied")
	want, loss := gradientOf(t, m, 1, f.Sequences)
	for _, workers := range []int{2, 3, 8} {
		got, l := gradientOf(t, m, workers, f.Sequences)
		if !slices.Equal(got, want) || l != loss {
			t.Errorf("%d workers: other bits", workers)
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

// configS is the shape ENGINE.md's speeds are stated for.
var configS = Config{ModelType: "llama", VocabSize: 2048, HiddenSize: 256, IntermediateSize: 688, NumHiddenLayers: 6, NumAttentionHeads: 8, NumKeyValueHeads: 4, MaxPositionEmbeddings: 512}

var configNano = Config{ModelType: "mistral", VocabSize: 1024, HiddenSize: 160, IntermediateSize: 432, NumHiddenLayers: 4, NumAttentionHeads: 5, NumKeyValueHeads: 5, MaxPositionEmbeddings: 512, TieWordEmbeddings: true}

func benchmarkTrain(b *testing.B, c Config, sequences, length int) {
	m, err := NewModel(c)
	if err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	r := rand.New(rand.NewPCG(1, 1))
	seqs := make([]Sequence, sequences)
	for i := range seqs {
		s := Sequence{Tokens: make([]int32, length+1), Loss: make([]bool, length+1)}
		for t := range s.Tokens {
			s.Tokens[t], s.Loss[t] = r.Int32N(int32(c.VocabSize)), t > 0 && r.Float64() < 0.9
		}
		seqs[i] = s
	}
	pool := kernel.NewPool(0)
	defer pool.Close()
	tr := NewTrainer(m, pool)
	var tensors []optim.Tensor
	for i, p := range m.Params() {
		tensors = append(tensors, optim.Tensor{Param: p.Data, Grad: tr.Gradient().Params()[i].Data, Decay: p.Decay})
	}
	opt := optim.NewAdamW(optim.Options{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, tensors)
	scale := 1 / float64(Predictions(seqs))
	for b.Loop() {
		tr.ZeroGradient()
		if _, _, err := tr.Accumulate(seqs, scale); err != nil {
			b.Fatal(err)
		}
		if _, err := opt.Step(pool, 1e-3); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(sequences*length)*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
}

func BenchmarkTrainS(b *testing.B)    { benchmarkTrain(b, configS, 16, 256) }
func BenchmarkTrainNano(b *testing.B) { benchmarkTrain(b, configNano, 32, 128) }
