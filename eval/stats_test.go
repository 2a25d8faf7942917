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

// A single persona is no reason to have no degrees of freedom: the tasks give them.
func TestClusteredWithOnePersona(t *testing.T) {
	e := clustered([]observation{{"a", "x", 1}, {"b", "x", 2}, {"c", "x", 6}})
	// mean 3, deviations -2, -1, 3: by task 14/9·3/2 = 7/3; by pair the same.
	if e.DF != 2 || math.Abs(e.SEM-math.Sqrt(7.0/3)) > 1e-12 || e.PairsSEM != e.SEM {
		t.Errorf("got %+v", e)
	}
	if one := clustered([]observation{{"a", "x", 1}}); one.Mean != 1 || one.SEM != 0 {
		t.Errorf("one observation: %+v", one)
	}
	if none := clustered(nil); none != (Estimate{}) {
		t.Errorf("none: %+v", none)
	}
}

// Where tasks and personas do not matter, clustering changes little; where tasks matter,
// the error of "independent" pairs is far too small.
func TestClusteringMatters(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var noise, tasks []observation
	for i := range 50 {
		effect := 3 * r.NormFloat64()
		for j := range 10 {
			noise = append(noise, observation{fmt.Sprint(i), fmt.Sprint(j), r.NormFloat64()})
			tasks = append(tasks, observation{fmt.Sprint(i), fmt.Sprint(j), effect + r.NormFloat64()})
		}
	}
	if e := clustered(noise); e.SEM > 1.6*e.PairsSEM {
		t.Errorf("pure noise: clustered %.4f, by pairs %.4f", e.SEM, e.PairsSEM)
	}
	if e := clustered(tasks); e.SEM < 2.5*e.PairsSEM {
		t.Errorf("tasks differ: clustered %.4f, by pairs %.4f", e.SEM, e.PairsSEM)
	}
}

// Win rates too: verdicts of one task go together, a third are ties.
func TestWinRateIntervalsCover(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const runs = 1500
	covered := 0
	for range runs {
		var obs []observation
		for i := range 30 {
			lean := 0.2 * (2*r.Float64() - 1) // of the task; the mean over tasks is 0
			for j := range 10 {
				v := 0.0
				switch u := r.Float64(); {
				case u < 1.0/3:
					v = 0.5
				case u < 1.0/3+(2.0/3)*(0.7+lean):
					v = 1
				}
				obs = append(obs, observation{fmt.Sprint(i), fmt.Sprint(j), v})
			}
		}
		truth := 0.5/3 + 0.7*2/3
		if _, low, high := share(obs); low <= truth && truth <= high {
			covered++
		}
	}
	if s := float64(covered) / runs; s < 0.93 || s > 0.99 {
		t.Errorf("the 95 %% interval covers %.1f %%", 100*s)
	} else {
		t.Logf("the 95 %% interval covers %.1f %% of %d runs", 100*s, runs)
	}
}

// Wilson's interval of 5 in 10 is [0.2366, 0.7634]; of 10 in 10 [0.7225, 1].
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		p         float64
		n         int
		low, high float64
	}{{0.5, 10, 0.2366, 0.7634}, {1, 10, 0.7225, 1}, {0, 10, 0, 0.2775}, {0, 0, 0, 1}} {
		if low, high := wilson(c.p, c.n); math.Abs(low-c.low) > 1e-4 || math.Abs(high-c.high) > 1e-4 {
			t.Errorf("%g of %d: [%.4f, %.4f], want [%.4f, %.4f]", c.p, c.n, low, high, c.low, c.high)
		}
	}
}

// Two pairs, 1 of 1 and 0 of 3: the share is 1/4, not the mean of 1 and 0. Residuals
// 3/4 and -3/4 over 2 trials per pair are ±3/8; by task 2·(9/64)/4·2 = 9/64.
func TestRatioByHand(t *testing.T) {
	e := ratio([]part{{"a", "x", 1, 1}, {"b", "y", 0, 3}})
	if e.Mean != 0.25 || math.Abs(e.SEM-3.0/8) > 1e-12 {
		t.Errorf("got %+v", e)
	}
}
