package llama

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"stargate/internal/kernel"
)

func layerName(layer int, name string) string {
	return fmt.Sprintf("model.layers.%d.%s.weight", layer, name)
}

// awkward has no size that a kernel likes: a head wider than one panel, an odd feed-forward
// width and vocabulary, three query heads per key/value head.
var awkward = Config{ModelType: "llama", VocabSize: 37, HiddenSize: 22, IntermediateSize: 29, NumHiddenLayers: 2,
	NumAttentionHeads: 3, NumKeyValueHeads: 1, HeadDim: 18, MaxPositionEmbeddings: 256, RMSNormEps: 1e-5, RopeTheta: 500}

// randomModel has weights large enough that every part of the model matters.
func randomModel(t testing.TB, c Config) *Model {
	t.Helper()
	m, err := NewModel(c)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range m.Params() {
		for i := range p.Data {
			p.Data[i] = float32(0.2 * r.NormFloat64())
			if !p.Decay {
				p.Data[i]++
			}
		}
	}
	return m
}

// randomSequence has n tokens, of which each but the first carries loss with probability
// share; the last always does.
func randomSequence(c Config, seed uint64, n int, share float64) Sequence {
	r := rand.New(rand.NewPCG(3, seed))
	s := Sequence{Tokens: make([]int32, n), Loss: make([]bool, n)}
	for t := range n {
		s.Tokens[t], s.Loss[t] = r.Int32N(int32(c.VocabSize)), t > 0 && r.Float64() < share
	}
	s.Loss[n-1] = true
	return s
}

func newTrainer(t testing.TB, m *Model, workers int) *Trainer {
	t.Helper()
	pool := kernel.NewPool(workers)
	t.Cleanup(pool.Close)
	return NewTrainer(m, pool)
}

// Lengths around the attention's query block and several of them.
func awkwardBatch() []Sequence {
	var seqs []Sequence
	for i, n := range []int{2, queryBlock, queryBlock + 1, queryBlock + 2, 2*queryBlock + 17} {
		seqs = append(seqs, randomSequence(awkward, uint64(i), n, 0.6))
	}
	return seqs
}

func TestLossIsTheReferences(t *testing.T) {
	for _, v := range variants(awkward) {
		t.Run(v.name, func(t *testing.T) {
			m := randomModel(t, v.config)
			tr, ref := newTrainer(t, m, 2), newReference(m)
			worst := 0.0
			for i, s := range awkwardBatch() {
				want := ref.nll(s)
				if _, _, err := tr.Loss([]Sequence{s}); err != nil {
					t.Fatal(err)
				}
				for k, x := range tr.act.nll {
					worst = max(worst, math.Abs(x-want[k]))
				}
				if len(tr.act.nll) != len(want) || worst > 2e-5 {
					t.Errorf("sequence %d: %d predictions, want %d; largest error %.2g nats", i, len(tr.act.nll), len(want), worst)
				}
			}
			t.Logf("largest error of a prediction %.1e nats", worst)
		})
	}
}

// TestGradientIsTheReferencesSlope compares derivatives with central differences of the
// float64 reference, for some elements of every tensor.
func TestGradientIsTheReferencesSlope(t *testing.T) {
	const step, perTensor = 1e-4, 1
	for _, v := range variants(awkward) {
		t.Run(v.name, func(t *testing.T) {
			m := randomModel(t, v.config)
			tr, ref := newTrainer(t, m, 2), newReference(m)
			seqs := []Sequence{randomSequence(awkward, 1, queryBlock+29, 0.6), randomSequence(awkward, 2, 9, 0.6)}
			if _, _, err := tr.Accumulate(seqs, 1); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(5, 6))
			for _, p := range tr.Gradient().Params() {
				var got, want []float32
				for range perTensor {
					i := r.IntN(len(p.Data))
					if p.Name == "model.embed_tokens.weight" { // of a token that occurs
						i = int(seqs[0].Tokens[r.IntN(20)])*v.config.HiddenSize + i%v.config.HiddenSize
					}
					w := ref.w[p.Name]
					was := w[i]
					w[i] = was + step
					up := ref.loss(seqs)
					w[i] = was - step
					down := ref.loss(seqs)
					w[i] = was
					got, want = append(got, p.Data[i]), append(want, float32((up-down)/(2*step)))
				}
				if e := relative(got, want); e > 1e-4 {
					t.Errorf("%s: relative error %.2g\n got %v\nwant %v", p.Name, e, got, want)
				}
			}
		})
	}
}
