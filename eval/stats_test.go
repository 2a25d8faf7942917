package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// By hand: two tasks, two personas, values 1, 3 (task a) and 5, 7 (task b); the mean is 4.
// Task sums of deviations: -4, 4 → (16+16)/16·2 = 4. Persona sums: -2, 2 → 1. Pairs:
// (9+1+1+9)/16·4/3 = 5/3.
func TestClusteredByHand(t *testing.T) {
	e := clustered([]observation{{"a", "x", 1}, {"a", "y", 3}, {"b", "x", 5}, {"b", "y", 7}})
	want := math.Sqrt(max(4+1-5.0/3, 4))
	if e.Mean != 4 || e.N != 4 || e.DF != 1 || math.Abs(e.SEM-want) > 1e-12 {
		t.Errorf("got %+v, want SEM %g", e, want)
	}
}

// Intervals must cover the truth about 95 times in a hundred when tasks and personas have
// effects of their own; treating pairs as independent covers far less.
func TestIntervalsCover(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const runs = 1500
	covered := 0
	for range runs {
		var obs []observation
		personas := make([]float64, 10)
		for j := range personas {
			personas[j] = r.NormFloat64()
		}
		for i := range 20 {
			task := r.NormFloat64()
			for j, u := range personas {
				obs = append(obs, observation{fmt.Sprint(i), fmt.Sprint(j), task + u + r.NormFloat64()})
			}
		}
		if low, high := clustered(obs).Interval(); low <= 0 && 0 <= high {
			covered++
		}
	}
	if share := float64(covered) / runs; share < 0.93 || share > 0.985 {
		t.Errorf("the 95 %% interval covers %.1f %%", 100*share)
	} else {
		t.Logf("the 95 %% interval covers %.1f %% of %d runs", 100*share, runs)
	}
}

func TestParseVerdict(t *testing.T) {
	for text, want := range map[string]Verdict{
		"Both are fine.\nFinal Response: A":                   First,
		"final response: b.":                                  Second,
		"**Final Response:** B":                               Second,
		"Final Response: Response A":                          First,
		"Final Response: A\nOn reflection\nFinal Response: B": Second,
		"Final Response: C":                                   Invalid,
		"A is better":                                         Invalid,
		"":                                                    Invalid,
		"Final Response: Bob":                                 Invalid,
	} {
		if got := ParseVerdict(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func FuzzParseVerdict(f *testing.F) {
	f.Add("Final Response: A")
	f.Fuzz(func(t *testing.T, text string) {
		switch ParseVerdict(text) {
		case First, Second, Invalid:
		default:
			t.Errorf("%q", text)
		}
	})
}
