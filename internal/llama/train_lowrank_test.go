package llama

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/safetensors"
)

// targets are sets of adapted projections: all, the original paper's, parts of fused matrices.
var targets = [][]string{{"_proj"}, {"q_proj", "v_proj"}, {"k_proj", "up_proj", "down_proj"}}

func newLowRankTrainer(t testing.TB, m *Model, updates []LowRank, dropout float64, workers int) *Trainer {
	t.Helper()
	pool := kernel.NewPool(workers)
	t.Cleanup(pool.Close)
	tr, err := NewLowRankTrainer(NewDecoder(m, pool, NewCache(m.Config, 1)), updates, dropout)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// flatten is all A and B, one behind the other.
func flatten(updates []LowRank) (out []float32) {
	for _, u := range updates {
		out = append(append(out, u.A...), u.B...)
	}
	return out
}

// mergedGradient is the gradient of the updates by the twin: the trainer of whole weights, run on
// the merged model, whose dW gives dA = s·Bᵀ dW and dB = s·dW Aᵀ.
func mergedGradient(t testing.TB, m *Model, updates []LowRank, seqs []Sequence, scale float64) (grad []LowRank, loss float64) {
	tr := newTrainer(t, merge(m, updates), 2)
	loss, _, err := tr.Accumulate(seqs, scale)
	if err != nil {
		t.Fatal(err)
	}
	params := tr.Gradient().Params()
	for _, u := range updates {
		p := params[slices.IndexFunc(params, func(p Param) bool { return p.Name == u.Name })]
		out, in := p.Shape[0], p.Shape[1]
		g := LowRank{A: make([]float32, len(u.A)), B: make([]float32, len(u.B))}
		for k := range u.Rank {
			for i := range in {
				sum := 0.0
				for o := range out {
					sum += float64(u.B[o*u.Rank+k]) * float64(p.Data[o*in+i])
				}
				g.A[k*in+i] = float32(sum * float64(u.Scale))
			}
			for o := range out {
				sum := 0.0
				for i := range in {
					sum += float64(p.Data[o*in+i]) * float64(u.A[k*in+i])
				}
				g.B[o*u.Rank+k] = float32(sum * float64(u.Scale))
			}
		}
		grad = append(grad, g)
	}
	return grad, loss
}

// The gradient of A and B from activations is that from the gradient of the merged weights.
func TestLowRankIsItsTwin(t *testing.T) {
	seqs := awkwardBatch()
	for _, v := range variants(awkward) {
		m := randomModel(t, v.config)
		for _, names := range targets {
			updates := randomUpdates(m, 5, names...)
			want, loss := mergedGradient(t, m, updates, seqs, 0.01)
			tr := newLowRankTrainer(t, m, updates, 0, 2)
			for range 2 { // the second adds as much again
				got, _, err := tr.Accumulate(seqs, 0.01)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(got-loss) > 1e-6*loss {
					t.Errorf("%s, %v: loss %.9g, the twin's %.9g", v.name, names, got, loss)
				}
			}
			for i, g := range tr.Updates() {
				kernel.Scale(g.A, 0.5)
				kernel.Scale(g.B, 0.5)
				if e := max(relative(g.A, want[i].A), relative(g.B, want[i].B)); e > 3e-5 {
					t.Errorf("%s, %v: %s: relative error %.2g", v.name, names, g.Name, e)
				}
			}
		}
	}
}

// And it is the slope of the float64 reference.
func TestLowRankGradientIsTheReferencesSlope(t *testing.T) {
	const step = 1e-3
	seqs := []Sequence{randomSequence(awkward, 1, queryBlock+29, 0.6), randomSequence(awkward, 2, 9, 0.6)}
	for _, v := range variants(awkward) {
		m := randomModel(t, v.config)
		updates := randomUpdates(m, 3, "_proj")
		tr := newLowRankTrainer(t, m, updates, 0, 2)
		if _, _, err := tr.Accumulate(seqs, 1); err != nil {
			t.Fatal(err)
		}
		ref, r := newReference(m), rand.New(rand.NewPCG(5, 6))
		for _, u := range updates { // the merged matrix in float64
			w, in := ref.w[u.Name], len(u.A)/u.Rank
			for o := range len(w) / in {
				for k := range u.Rank {
					for x := range in {
						w[o*in+x] += float64(u.Scale) * float64(u.B[o*u.Rank+k]) * float64(u.A[k*in+x])
					}
				}
			}
		}
		slope := func(change func(h float64)) float32 {
			change(step)
			up := ref.loss(seqs)
			change(-2 * step)
			down := ref.loss(seqs)
			change(step)
			return float32((up - down) / (2 * step))
		}
		for i, u := range updates {
			if i%7 != len(v.name)%7 { // the reference is slow
				continue
			}
			w, in := ref.w[u.Name], len(u.A)/u.Rank
			k, x, o := r.IntN(u.Rank), r.IntN(in), r.IntN(len(w)/in)
			dA := slope(func(h float64) { // A[k, x] += h
				for o := range len(w) / in {
					w[o*in+x] += h * float64(u.Scale) * float64(u.B[o*u.Rank+k])
				}
			})
			dB := slope(func(h float64) { // B[o, k] += h
				for x := range in {
					w[o*in+x] += h * float64(u.Scale) * float64(u.A[k*in+x])
				}
			})
			got := []float32{tr.Updates()[i].A[k*in+x], tr.Updates()[i].B[o*u.Rank+k]}
			if e := relative(got, []float32{dA, dB}); e > 2e-4 {
				t.Errorf("%s: %s: derivatives %v, slopes %v", v.name, u.Name, got, []float32{dA, dB})
			}
		}
	}
}

// Workers, and where the frozen weights lie, change no bit; the weights stay as they are.
func TestLowRankBits(t *testing.T) {
	for _, v := range variants(awkward) {
		m := randomModel(t, v.config)
		was := slices.Clone(m.Flat())
		stored, err := LoadStored(onDisk(t, m, safetensors.F32))
		if err != nil {
			t.Fatal(err)
		}
		var seqs []Sequence
		for i := range 5 {
			s := randomSequence(awkward, uint64(i), 20+40*i, 0.7)
			s.Dropout = uint64(i)
			seqs = append(seqs, s)
		}
		for _, dropout := range []float64{0, 0.3} {
			var want []float32
			var loss float64
			for _, workers := range []int{1, 3} {
				pool := kernel.NewPool(workers)
				defer pool.Close()
				for _, d := range []*Decoder{NewDecoder(m, pool, NewCache(m.Config, 1)), NewStoredDecoder(stored, pool, NewCache(m.Config, 1))} {
					tr, err := NewLowRankTrainer(d, randomUpdates(m, 4, "_proj"), dropout)
					if err != nil {
						t.Fatal(err)
					}
					sum, _, err := tr.Accumulate(seqs, 0.01)
					if err != nil {
						t.Fatal(err)
					}
					got := flatten(tr.Updates())
					if want == nil {
						want, loss = got, sum
					}
					if sum != loss || !slices.Equal(got, want) {
						t.Errorf("%s, dropout %g, %d workers, stored %v: other bits", v.name, dropout, workers, d.stored != nil)
					}
				}
			}
		}
		if !slices.Equal(m.Flat(), was) {
			t.Errorf("%s: frozen weights changed", v.name)
		}
	}
}

// With dropout, the gradient is the slope of the loss with the same masks, in a random direction.
func TestDropoutGradientIsTheSlope(t *testing.T) {
	seqs := awkwardBatch()
	for i := range seqs {
		seqs[i].Dropout = uint64(7 * i)
	}
	m := randomModel(t, awkward)
	updates := randomUpdates(m, 4, "_proj")
	tr := newLowRankTrainer(t, m, updates, 0.4, 2)
	loss := func() float64 {
		t.Helper()
		tr.ZeroGradient()
		sum, _, err := tr.Accumulate(seqs, 1)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	plain, _, err := tr.Loss(seqs)
	if err != nil {
		t.Fatal(err)
	}
	if dropped := loss(); math.Abs(dropped-plain) < 0.1 {
		t.Errorf("loss %.4f with dropout, %.4f without: nothing dropped", dropped, plain)
	}
	grad := flatten(tr.Updates())
	r, at, want := rand.New(rand.NewPCG(1, 2)), 0, 0.0
	var direction [][]float32
	for _, u := range updates {
		for _, part := range [][]float32{u.A, u.B} {
			d := make([]float32, len(part))
			for i := range d {
				d[i] = float32(r.NormFloat64())
				want += float64(d[i]) * float64(grad[at])
				at++
			}
			direction = append(direction, d)
		}
	}
	move := func(h float32) {
		for i, u := range updates {
			kernel.Axpy(u.A, h, direction[2*i])
			kernel.Axpy(u.B, h, direction[2*i+1])
		}
	}
	const h = 1e-3
	move(h)
	up := loss()
	move(-2 * h)
	down := loss()
	if got := (up - down) / (2 * h); math.Abs(got-want) > 5e-3*math.Abs(want) {
		t.Errorf("slope %.4f, gradient along it %.4f", got, want)
	}
}

// A sequence's masks are its name's, whatever is computed beside it; another name, another mask.
func TestDropoutMasksHaveNames(t *testing.T) {
	m := randomModel(t, awkward)
	nll := func(names ...uint64) []float64 {
		seqs := awkwardBatch()[:len(names)]
		for i, n := range names {
			seqs[i] = randomSequence(awkward, 1, 30, 0.6)
			seqs[i].Dropout = n
		}
		tr := newLowRankTrainer(t, m, randomUpdates(m, 4, "_proj"), 0.4, 2)
		if _, _, err := tr.Accumulate(seqs, 1); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(tr.act.nll)
	}
	one, both := nll(1), nll(2, 1)
	half := len(both) / 2
	if !slices.Equal(both[half:], one) || slices.Equal(both[:half], one) {
		t.Error("masks depend on the batch, or not on the name")
	}
}

// The share of dropped elements is p, those kept are divided by 1-p, and masks of different rows
// and matrices have nothing in common.
func TestDropoutIsFair(t *testing.T) {
	const n = 1 << 16
	ones, a, b := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	for _, p := range []float64{0.05, 0.5, 0.9} {
		d := newDropout(p)
		d.apply(a, ones, rowName(3, 4)^nameOf("a"))
		d.apply(b, ones, rowName(3, 5)^nameOf("a"))
		dropped, both := 0, 0
		for i := range ones {
			switch {
			case a[i] == 0:
				dropped++
				if b[i] == 0 {
					both++
				}
			case math.Abs(float64(a[i])-1/(1-p)) > 1e-3:
				t.Fatalf("p %g: kept elements become %g", p, a[i])
			}
		}
		for what, x := range map[string][2]float64{"dropped": {float64(dropped), p}, "dropped in both": {float64(both), p * p}} {
			if sigma := math.Sqrt(n * x[1] * (1 - x[1])); math.Abs(x[0]-n*x[1]) > 4*sigma {
				t.Errorf("p %g: %s %g of %d, want %g ± %.0f", p, what, x[0], n, n*x[1], sigma)
			}
		}
	}
	if newDropout(0.9999999).below != math.MaxUint16 {
		t.Error("a dropout near 1 drops nothing")
	}
}

func TestNewLowRankTrainerRefuses(t *testing.T) {
	m := randomModel(t, awkward)
	d := newDecoding(t, m, 1)
	good := randomUpdates(m, 2, "up_proj")
	for _, p := range []float64{-0.1, 1, math.NaN()} {
		if _, err := NewLowRankTrainer(d.Decoder, good, p); err == nil {
			t.Errorf("dropout %g was accepted", p)
		}
	}
	bad := slices.Clone(good)
	bad[1].Name = strings.Replace(bad[1].Name, "layers.1", "layers.9", 1)
	if _, err := NewLowRankTrainer(d.Decoder, bad, 0); !errors.Is(err, ErrLowRank) || !strings.Contains(err.Error(), "layers.9") {
		t.Errorf("a missing layer: %v", err)
	}
	a, err := d.Adapt(good, d.cache)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewLowRankTrainer(a, good, 0); !errors.Is(err, ErrLowRank) {
		t.Errorf("updates of updates: %v", err)
	}
}

// A step of low-rank training beside one of all weights: tokens per second.
func BenchmarkLowRankStep(b *testing.B) {
	lengths := repeat(256, 16)
	for _, dropout := range []float64{0, 0.1} {
		b.Run(fmt.Sprintf("dropout=%g", dropout), func(b *testing.B) {
			m := randomModel(b, configS)
			m.Init(1)
			seqs := benchmarkSequences(m.Config, lengths...)
			tr := newLowRankTrainer(b, m, randomUpdates(m, 16, "_proj"), dropout, 0)
			for b.Loop() {
				tr.ZeroGradient()
				if _, _, err := tr.Accumulate(seqs, 1e-4); err != nil {
					b.Fatal(err)
				}
			}
			reportTokens(b, lengths)
		})
	}
	b.Run("all weights", func(b *testing.B) { benchmarkStep(b, configS, lengths...) })
}
