package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRanksShareTies(t *testing.T) {
	if got := Ranks([]float64{3, 1, 3, 2}); !slices.Equal(got, []float64{3.5, 1, 3.5, 2}) {
		t.Errorf("%v", got)
	}
}

// Spearman's ρ without ties is 1 - 6Σd²/n(n²-1): here d = 1, 1, 0, so ρ = 1 - 12/24.
func TestSpearman(t *testing.T) {
	if rho, ok := Spearman([]float64{10, 20, 30}, []float64{5, 1, 9}, nil); !ok || math.Abs(rho-0.5) > 1e-12 {
		t.Errorf("ρ = %g", rho)
	}
	if _, ok := Spearman([]float64{1, 1, 1}, []float64{1, 2, 3}, nil); ok {
		t.Error("a constant has a correlation")
	}
	if _, ok := Pearson([]float64{1}, []float64{2}, nil); ok {
		t.Error("a single point has a correlation")
	}
}

// Of 1, 2, 4: one draw gives 7/3 on average, two give 2, 4 or 4, three always 4.
func TestBestOf(t *testing.T) {
	got := BestOf([]float64{4, 1, 2})
	for m, want := range []float64{7.0 / 3, 10.0 / 3, 4} {
		if math.Abs(got[m]-want) > 1e-12 {
			t.Errorf("best of %d: %g, want %g", m+1, got[m], want)
		}
	}
	if len(BestOf(nil)) != 0 {
		t.Error("best of nothing")
	}
	r := rand.New(rand.NewPCG(1, 1)) // many values: against drawing
	x := make([]float64, 10)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	sum := 0.0
	for range 20000 {
		p := r.Perm(10)
		sum += slices.Max([]float64{x[p[0]], x[p[1]], x[p[2]], x[p[3]]})
	}
	if got := BestOf(x)[3]; math.Abs(got-sum/20000) > 0.02 {
		t.Errorf("best of 4: %g, by drawing %g", got, sum/20000)
	}
}
