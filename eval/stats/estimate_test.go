package stats

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// By hand: two tasks, two personas, values 1, 3 (task a) and 5, 7 (task b); the mean is 4.
// Task sums of deviations: -4, 4 → (16+16)/16·2 = 4. Persona sums: -2, 2 → 1. Pairs:
// (9+1+1+9)/16·4/3 = 5/3. Tasks show 7/3 beyond the pairs, personas nothing.
func TestMeanByHand(t *testing.T) {
	e := Mean([]Observation{{"a", "x", 1}, {"a", "y", 3}, {"b", "x", 5}, {"b", "y", 7}})
	if e.Mean != 4 || e.N != 4 || math.Abs(e.SEM-2) > 1e-12 || math.Abs(e.DF-4/(7./3)) > 1e-12 {
		t.Errorf("got %+v, want SEM √(5/3 + 7/3) and 1·4/(7/3) degrees of freedom", e)
	}
	if d := e.DesignEffect(); math.Abs(d-2.4) > 1e-12 {
		t.Errorf("design effect %g, want 4/(5/3) = 2.4", d)
	}
	// With one degree of freedom the distribution is Cauchy's: p = 1 - 2·atan(t)/π.
	if p := (Estimate{Mean: 4, SEM: 2, N: 4, DF: 1}).P(0); math.Abs(p-(1-2*math.Atan(2)/math.Pi)) > 1e-9 {
		t.Errorf("p = %g", p)
	}
}

// Where tasks and personas both show more than pairs do, the variance is that of Cameron,
// Gelbach and Miller: by task, plus by persona, minus by pair.
func TestMeanIsThePublishedOneWhereBothMatter(t *testing.T) {
	obs := []Observation{{"a", "x", 0}, {"a", "y", 4}, {"b", "x", 4}, {"b", "y", 9}}
	// The mean is 17/4; sums of deviations by task -4.5, 4.5 and by persona the same: (2·20.25)/16·2
	// each; by pair (18.0625 + 2·0.0625 + 22.5625)/16·4/3.
	task, pair := 40.5/8, 40.75/12
	e := Mean(obs)
	if want := 2*task - pair; math.Abs(e.SEM*e.SEM-want) > 1e-12 || math.Abs(e.DF-want/(want-pair)) > 1e-12 {
		t.Errorf("got %+v, want variance %g", e, want)
	}
}

// Where tasks and personas cancel, as 1, -1 and -1, 1 do, they show nothing beyond the pairs:
// the error is that of independent ones, 4/16·4/3, with their degrees of freedom.
func TestMeanIsNeverSurerThanIndependentPairs(t *testing.T) {
	e := Mean([]Observation{{"a", "x", 1}, {"a", "y", -1}, {"b", "x", -1}, {"b", "y", 1}})
	if want := math.Sqrt(1.0 / 3); math.Abs(e.SEM-want) > 1e-12 || e.SEM != e.PairsSEM || e.DF != 3 {
		t.Errorf("%+v, want SEM %g and 3 degrees of freedom", e, want)
	}
}

// A single persona is no reason to have no degrees of freedom: the tasks give them.
func TestMeanWithOnePersona(t *testing.T) {
	e := Mean([]Observation{{"a", "x", 1}, {"b", "x", 2}, {"c", "x", 6}})
	// mean 3, deviations -2, -1, 3: by task 14/9·3/2 = 7/3; by pair the same.
	if e.DF != 2 || math.Abs(e.SEM-math.Sqrt(7.0/3)) > 1e-12 || e.PairsSEM != e.SEM {
		t.Errorf("got %+v", e)
	}
	if one := Mean([]Observation{{"a", "x", 1}}); one.Mean != 1 || one.SEM != 0 {
		t.Errorf("one observation: %+v", one)
	}
	if none := Mean(nil); none != (Estimate{}) {
		t.Errorf("none: %+v", none)
	}
}

// What cannot be told has no small p: no values, or no distance; without any spread a
// distance is certain.
func TestPAtTheEdges(t *testing.T) {
	for name, c := range map[string]struct {
		obs  []Observation
		null float64
		want float64
	}{
		"nothing":     {nil, 0, 1},
		"at null":     {[]Observation{{"a", "x", 1}, {"b", "x", 3}}, 2, 1},
		"no spread":   {[]Observation{{"a", "x", 1}, {"b", "x", 1}}, 0, 0},
		"far outside": {[]Observation{{"a", "x", 1}, {"b", "x", 1.0001}}, -1e9, 0},
	} {
		if p := Mean(c.obs).P(c.null); math.Abs(p-c.want) > 1e-9 {
			t.Errorf("%s: p = %g, want %g", name, p, c.want)
		}
	}
}

// Where tasks and personas do not matter, clustering changes little; where tasks matter,
// the error of "independent" pairs is far too small.
func TestClusteringMatters(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var noise, tasks []Observation
	for i := range 50 {
		effect := 3 * r.NormFloat64()
		for j := range 10 {
			noise = append(noise, Observation{strconv.Itoa(i), strconv.Itoa(j), r.NormFloat64()})
			tasks = append(tasks, Observation{strconv.Itoa(i), strconv.Itoa(j), effect + r.NormFloat64()})
		}
	}
	if e := Mean(noise); e.SEM > 1.6*e.PairsSEM {
		t.Errorf("pure noise: clustered %.4f, by pairs %.4f", e.SEM, e.PairsSEM)
	}
	if e := Mean(tasks); e.SEM < 2.5*e.PairsSEM {
		t.Errorf("tasks differ: clustered %.4f, by pairs %.4f", e.SEM, e.PairsSEM)
	}
}

// Wilson's interval of 5 in 10 is [0.2366, 0.7634]; of 10 in 10 [0.7225, 1].
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		p         float64
		n         int
		low, high float64
	}{{0.5, 10, 0.2366, 0.7634}, {1, 10, 0.7225, 1}, {0, 10, 0, 0.2775}, {0, 0, 0, 1}} {
		if low, high := Wilson(c.p, c.n); math.Abs(low-c.low) > 1e-4 || math.Abs(high-c.high) > 1e-4 {
			t.Errorf("%g of %d: [%.4f, %.4f], want [%.4f, %.4f]", c.p, c.n, low, high, c.low, c.high)
		}
	}
}

// Two pairs, 1 of 1 and 0 of 3: the share is 1/4, not the mean of 1 and 0. Residuals
// 3/4 and -3/4 over 2 trials per pair are ±3/8; by task 2·(9/64)/4·2 = 9/64.
func TestRatioByHand(t *testing.T) {
	e := Ratio([]Part{{"a", "x", 1, 1}, {"b", "y", 0, 3}})
	if e.Mean != 0.25 || math.Abs(e.SEM-3.0/8) > 1e-12 {
		t.Errorf("got %+v", e)
	}
	if none := Ratio([]Part{{"a", "x", 0, 0}}); none != (Estimate{}) {
		t.Errorf("no trials: %+v", none)
	}
}

// The paper's 300 comparisons tell 6 points every second time, and 8 points four times in
// five; 1,227 are needed for 4 points (Cohen's tables: 1.96 + 0.84 errors).
func TestPower(t *testing.T) {
	p := PowerOfShare(300, 0, 1)
	if math.Abs(p.HalfWidth-0.0566) > 1e-4 || math.Abs(p.Detectable-0.0809) > 1e-4 {
		t.Errorf("300 comparisons: %+v", p)
	}
	if twice := PowerOfShare(300, 0, 2); math.Abs(twice.HalfWidth-p.HalfWidth*math.Sqrt2) > 1e-12 {
		t.Errorf("a design effect of 2: %+v", twice)
	}
	e := Estimate{SEM: 0.5 / math.Sqrt(300), N: 300}
	if n := PairsFor(e, 0.04); n != 1227 {
		t.Errorf("%d pairs for 4 points, want 1227", n)
	}
	if at := PowerOf(e, 1227); at.Detectable > 0.04 {
		t.Errorf("with so many: %+v", at)
	}
	if p := PowerOf(Estimate{}, 100); !math.IsInf(p.HalfWidth, 1) || PairsFor(Estimate{}, 1) != 0 {
		t.Errorf("from nothing: %+v", p)
	}
}
