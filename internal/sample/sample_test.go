package sample

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stargate/lm"
)

func TestGreedy(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		logits []float32
		id     int32
		ok     bool
	}{
		{[]float32{1, 3, 2}, 1, true},
		{[]float32{-2, 0, -1, 0}, 1, true}, // the lower of equals
		{[]float32{-inf, -5}, 1, true},
		{[]float32{0, nan, 1}, 0, false},
		{[]float32{0, inf}, 1, false},
		{nil, 0, false},
	} {
		if id, ok := Greedy(c.logits); ok != c.ok || ok && id != c.id {
			t.Errorf("Greedy(%v) = %d, %v; want %d, %v", c.logits, id, ok, c.id, c.ok)
		}
	}
}

func ids(order []uint64) (out []int32) {
	for _, c := range order {
		out = append(out, int32(uint32(c)))
	}
	return out
}

func TestNucleusByHand(t *testing.T) {
	p := []float32{0.1, 0.4, 0.1, 0.25, 0.15}
	for _, c := range []struct {
		topK int
		topP float64
		want []int32
	}{
		{0, 0, []int32{1, 3, 4, 0, 2}},
		{0, 1, []int32{1, 3, 4, 0, 2}},
		{0, 0.39, []int32{1}},
		{0, 0.6, []int32{1, 3}},
		{0, 0.7, []int32{1, 3, 4}},
		{0, 0.85, []int32{1, 3, 4, 0}}, // 0 and 2 tie: the lower id stays
		{3, 0, []int32{1, 3, 4}},
		{2, 0.6, []int32{1}}, // 0.4 of the 0.65 that top-k left
		{9, 0, []int32{1, 3, 4, 0, 2}},
		{0, 1e-9, []int32{1}},
	} {
		if got := ids(Nucleus(nil, p, 1, c.topK, c.topP)); !slices.Equal(got, c.want) {
			t.Errorf("top-k %d, top-p %g keep %v, want %v", c.topK, c.topP, got, c.want)
		}
	}
}

// The shortcut that skips improbable tokens never changes the nucleus.
func TestNucleusIsSmallestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float32Range(0, 1), 1, 50).Draw(t, "p")
		p[0] += 0.01
		topP := rapid.Float64Range(0.01, 0.99).Draw(t, "top-p")
		total := 0.0
		for _, x := range p {
			total += float64(x)
		}
		order := make([]int32, len(p))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortStableFunc(order, func(a, b int32) int {
			switch {
			case p[a] > p[b]:
				return -1
			case p[a] < p[b]:
				return 1
			}
			return 0
		})
		mass, n := 0.0, 0
		for n < len(order) {
			mass += float64(p[order[n]])
			n++
			if mass >= topP*total {
				break
			}
		}
		if got := ids(Nucleus(nil, p, total, 0, topP)); !slices.Equal(got, order[:n]) {
			t.Fatalf("top-p %g of %v keeps %v, want %v", topP, p, got, order[:n])
		}
	})
}

// Frequencies of many draws are the tempered probabilities.
func TestDrawsFollowProbabilities(t *testing.T) {
	logits := []float32{0, 1, 2, -1}
	for _, s := range []lm.Sampling{{Temperature: 0.7, Seed: 1}, {Temperature: 0.7, TopK: 4, Seed: 2}} {
		const n = 40000
		got := make([]float64, len(logits))
		sampler := New(s)
		for range n {
			id, ok := sampler.Next(logits)
			if !ok {
				t.Fatal("finite logits refused")
			}
			got[id]++
		}
		total := 0.0
		for _, x := range logits {
			total += math.Exp(float64(x) / s.Temperature)
		}
		for id, x := range logits {
			p := math.Exp(float64(x)/s.Temperature) / total
			if sd := math.Sqrt(p * (1 - p) / n); math.Abs(got[id]/n-p) > 5*sd {
				t.Errorf("%+v: token %d drawn with frequency %.4f, probability %.4f", s, id, got[id]/n, p)
			}
		}
	}
}

func TestSeedNamesTheStream(t *testing.T) {
	logits := make([]float32, 100)
	sequence := func(seed uint64) (out []int32) {
		s := New(lm.Sampling{Temperature: 1, TopP: 0.9, Seed: seed})
		for range 20 {
			id, _ := s.Next(logits)
			out = append(out, id)
		}
		return out
	}
	if !slices.Equal(sequence(7), sequence(7)) {
		t.Error("the same seed gave two sequences")
	}
	if slices.Equal(sequence(7), sequence(8)) {
		t.Error("two seeds gave the same sequence")
	}
}

func TestNonFiniteIsRefused(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		logits := []float32{0, float32(x), 1, 0, 0, 0, 0, 0, 0}
		if id, ok := New(lm.Sampling{Temperature: 1}).Next(logits); ok {
			t.Errorf("a logit of %g drew %d, want a refusal", x, id)
		}
	}
}
