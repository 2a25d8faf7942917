package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func crossed(tasks, personas int, value func(i, j int) float64) []Observation {
	var obs []Observation
	for j := range personas {
		for i := range tasks {
			obs = append(obs, Observation{"t" + strconv.Itoa(i), "u" + strconv.Itoa(j), value(i, j)})
		}
	}
	return obs
}

// The number of processors changes no digit, the seed does.
func TestBootstrapIsDeterministic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	c := Cross(crossed(8, 5, func(int, int) float64 { return r.NormFloat64() }))
	want, p, ok := c.Studentised(Resampling{Resamples: 500, Seed: 3, Workers: 1}, 0)
	if !ok || want.Low >= want.High || p <= 0 || p > 1 {
		t.Fatalf("%+v, p %g, %v", want, p, ok)
	}
	for _, workers := range []int{2, 3, 16} {
		if got, q, _ := c.Studentised(Resampling{Resamples: 500, Seed: 3, Workers: workers}, 0); got != want || q != p {
			t.Errorf("%d workers: %+v, want %+v", workers, got, want)
		}
	}
	if got, _, _ := c.Studentised(Resampling{Resamples: 500, Seed: 4}, 0); got == want {
		t.Error("another seed gives the same interval")
	}
}

// Nor does the order of observations.
func TestBootstrapIgnoresOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	obs := crossed(8, 5, func(int, int) float64 { return r.NormFloat64() })
	want, p, _ := Cross(obs).Studentised(Resampling{Resamples: 500, Seed: 3}, 0)
	r.Shuffle(len(obs), func(a, b int) { obs[a], obs[b] = obs[b], obs[a] })
	got, q, _ := Cross(obs).Studentised(Resampling{Resamples: 500, Seed: 3}, 0)
	if math.Abs(got.Low-want.Low) > 1e-9 || math.Abs(got.High-want.High) > 1e-9 || p != q {
		t.Errorf("shuffled: %+v and %g, want %+v and %g", got, q, want, p)
	}
}

// A sample put together from its own parts, none drawn anew or scaled, is the sample: mean and
// variances are those of [variances], whatever lies nested in what.
func TestASampleOfItsOwnPartsIsTheSample(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	full := crossed(7, 4, func(i, j int) float64 { return float64(i) + r.NormFloat64() })
	for name, obs := range map[string][]Observation{
		"crossed":       full,
		"not all pairs": full[:19],
		"one persona":   full[:7],
		"a task each":   {{"a", "x", 1}, {"b", "x", 2}, {"c", "y", 5}, {"d", "y", 9}, {"e", "z", 3}},
	} {
		c := Cross(obs)
		own := c.newRemade(effects{})
		for i, o := range obs {
			own.value[i] = o.Value
		}
		mean, v := c.estimate(own)
		want, w := variances(obs)
		if math.Abs(mean-want) > 1e-12 || math.Abs(v.twoWay()-w.twoWay()) > 1e-12 || math.Abs(v.pair-w.pair) > 1e-12 {
			t.Errorf("%s: %g ± %+v, want %g ± %+v", name, mean, v, want, w)
		}
	}
}

// What is taken apart has the variances that it was made with, on average over many samples:
// none of tasks where they have no effect.
func TestEffectsHaveTheirVariances(t *testing.T) {
	for _, d := range []design{{50, 10, 0, 1, 0.5, gaps}, {50, 10, 300, 0, 0, gaps}, {20, 10, 150, 0.5, 1, gaps}} {
		const samples = 400
		var task, persona, pair float64
		for k := range samples {
			obs := d.draw(rand.New(rand.NewPCG(77, uint64(k))))
			mean, _ := variances(obs)
			e := Cross(obs).apart(mean)
			task += sumOfSquares(e.task) / float64(len(e.task)) / samples
			persona += sumOfSquares(e.persona) / float64(len(e.persona)) / samples
			pair += sumOfSquares(e.pair) / float64(len(e.pair)) / samples
		}
		for name, c := range map[string][2]float64{"task": {task, d.task * d.task}, "persona": {persona, d.persona * d.persona}, "pair": {pair, 1}} {
			if math.Abs(c[0]-c[1]) > 0.03+0.08*c[1] {
				t.Errorf("%v: variance of a %s is %.3f, want %.3f", d, name, c[0], c[1])
			}
		}
	}
}

// A clear difference has a small p, none has a large one, and the interval agrees with p.
func TestStudentisedTest(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, shift := range []float64{0, 2} {
		obs := crossed(20, 10, func(int, int) float64 { return shift + r.NormFloat64() })
		interval, p, ok := Cross(obs).Studentised(Resampling{Resamples: 2000, Seed: 1}, 0)
		outside := interval.Low > 0 || interval.High < 0
		if !ok || outside != (p < 0.05) || outside != (shift > 0) {
			t.Errorf("shift %g: %+v, p %g", shift, interval, p)
		}
	}
}

// Nothing to draw again is no interval, never a zero one.
func TestBootstrapNeedsClusters(t *testing.T) {
	for name, obs := range map[string][]Observation{"none": nil, "one pair": {{"a", "x", 1}}, "no spread": {{"a", "x", 1}, {"b", "y", 1}}} {
		if got, _, ok := Cross(obs).Studentised(Resampling{Resamples: 100}, 0); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, ok := Cross([]Observation{{"a", "x", 1}}).Percentile(Resampling{Resamples: 100}, func([]float64) (float64, bool) { return 1, true }); ok {
		t.Error("a percentile interval of one pair")
	}
}

// The percentile interval of a mean is near that of Student's t where clusters are many.
func TestPercentile(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 7))
	obs := crossed(60, 1, func(int, int) float64 { return r.NormFloat64() })
	got, ok := Cross(obs).Percentile(Resampling{Resamples: 4000, Seed: 1}, func(w []float64) (float64, bool) {
		sum, n := 0.0, 0.0
		for i, o := range obs {
			sum, n = sum+w[i]*o.Value, n+w[i]
		}
		return sum / n, n > 0
	})
	low, high := Mean(obs).Interval()
	if !ok || math.Abs(got.Low-low) > 0.06 || math.Abs(got.High-high) > 0.06 {
		t.Errorf("%+v, want about [%g, %g]", got, low, high)
	}
}

func BenchmarkStudentised(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range [][2]int{{50, 10}, {250, 50}} {
		c := Cross(crossed(n[0], n[1], func(int, int) float64 { return r.NormFloat64() }))
		b.Run(fmt.Sprintf("%d pairs, 10000 resamples", n[0]*n[1]), func(b *testing.B) {
			for b.Loop() {
				c.Studentised(Resampling{Seed: 1}, 0)
			}
		})
	}
}
