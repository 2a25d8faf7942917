package stats

import (
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat"
)

// Resampling says how often to draw, and names the draws.
type Resampling struct {
	Resamples int // 0 = 10,000
	Seed      uint64
	Workers   int // 0 = one per processor; changes no digit
}

func (r Resampling) resamples() int {
	if r.Resamples > 0 {
		return r.Resamples
	}
	return 10_000
}

// Crossed are observations in crossed clusters, ready for resampling. It is read-only and
// safe for concurrent use.
type Crossed struct {
	obs            []Observation
	task, persona  []int // cluster of each observation; 0 on a side that is not drawn again
	tasks, persons int   // clusters that are drawn again; 0 = that side is not
}

// Cross prepares observations. A side is drawn again if it has at least two clusters; where
// every cluster of a side lies within one of the other (each pair has a task of its own),
// it tells nothing more than the pair and is left alone.
func Cross(obs []Observation) *Crossed {
	c := &Crossed{obs: obs}
	c.task, c.tasks = number(obs, func(o Observation) string { return o.Task })
	c.persona, c.persons = number(obs, func(o Observation) string { return o.Persona })
	switch {
	case nested(c.task, c.persona) && c.persons > 1:
		c.tasks = 0
	case nested(c.persona, c.task) && c.tasks > 1:
		c.persons = 0
	}
	if c.tasks < 2 {
		c.tasks = 0
		clear(c.task)
	}
	if c.persons < 2 {
		c.persons = 0
		clear(c.persona)
	}
	return c
}

// number gives the clusters of one side numbers in the order of their names, so that the
// order of observations does not matter to a draw.
func number(obs []Observation, key func(Observation) string) (of []int, n int) {
	at := map[string]int{}
	for _, o := range obs {
		at[key(o)] = 0
	}
	for i, name := range slices.Sorted(maps.Keys(at)) {
		at[name] = i
	}
	of = make([]int, len(obs))
	for i, o := range obs {
		of[i] = at[key(o)]
	}
	return of, len(at)
}

// nested tells whether every cluster of fine lies within one of coarse.
func nested(fine, coarse []int) bool {
	within := map[int]int{}
	for i, f := range fine {
		if c, ok := within[f]; ok && c != coarse[i] {
			return false
		}
		within[f] = coarse[i]
	}
	return true
}

// replicate is one draw: how often each task and persona came.
type replicate struct {
	task, persona []float64
	weight        []float64 // of each observation
	sumT, sumP    []float64 // scratch
}

func (c *Crossed) newReplicate() *replicate {
	r := &replicate{weight: make([]float64, len(c.obs))}
	r.task, r.sumT = make([]float64, max(c.tasks, 1)), make([]float64, max(c.tasks, 1))
	r.persona, r.sumP = make([]float64, max(c.persons, 1)), make([]float64, max(c.persons, 1))
	return r
}

// draw fills r with the b-th draw of a seed.
func (c *Crossed) draw(r *replicate, seed uint64, b int) {
	random := rand.New(rand.NewPCG(seed, uint64(b)))
	multiplicities(random, r.task, c.tasks)
	multiplicities(random, r.persona, c.persons)
	for i := range c.obs {
		r.weight[i] = r.task[c.task[i]] * r.persona[c.persona[i]]
	}
}

func multiplicities(random *rand.Rand, count []float64, n int) {
	clear(count)
	if n == 0 {
		count[0] = 1
		return
	}
	for range n {
		count[random.IntN(n)]++
	}
}

// each runs do once for every draw, in parallel; a draw's result depends on its number only.
func (c *Crossed) each(o Resampling, do func(r *replicate) (float64, bool)) []float64 {
	n := o.resamples()
	out, ok := make([]float64, n), make([]bool, n)
	workers := o.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := c.newReplicate()
			for b := w; b < n; b += workers {
				c.draw(r, o.Seed, b)
				out[b], ok[b] = do(r)
			}
		})
	}
	wg.Wait()
	kept := out[:0]
	for b, v := range out {
		if ok[b] {
			kept = append(kept, v)
		}
	}
	return kept
}

// Studentised is the two-way cluster bootstrap of a mean: tasks and personas are drawn
// again, and the interval comes from the quantiles of (mean* - mean)/SEM*, with the
// clustered error of each draw, never below that of tasks, personas or pairs alone (Efron and Tibshirani, 1993, chapter 12; the crossed draw is
// Owen's, 2007). p is the share of draws at least as far out as null is from the mean, the
// smaller side doubled. ok is false where there is no spread or nothing to draw again.
func (c *Crossed) Studentised(o Resampling, null float64) (interval Interval, p float64, ok bool) {
	if len(c.obs) == 0 || c.tasks+c.persons == 0 {
		return Interval{}, 0, false
	}
	centre, v := variances(c.obs)
	scale := math.Sqrt(v.largest())
	if scale == 0 {
		return Interval{}, 0, false
	}
	t := c.each(o, func(r *replicate) (float64, bool) {
		mean, sem := c.weighted(r)
		return (mean - centre) / sem, sem > 0
	})
	if len(t) < o.resamples()/2 {
		return Interval{}, 0, false
	}
	slices.Sort(t)
	interval = Interval{centre - quantile(t, 0.975)*scale, centre - quantile(t, 0.025)*scale}
	at := (centre - null) / scale
	notAbove := upper(t, at)
	notBelow, _ := slices.BinarySearch(t, at)
	notBelow = len(t) - notBelow
	p = min(1, 2*float64(1+min(notAbove, notBelow))/float64(1+len(t)))
	return interval, p, true
}

// upper is the number of values not above x in a sorted slice.
func upper(sorted []float64, x float64) int {
	i, _ := slices.BinarySearchFunc(sorted, x, func(v, x float64) int {
		if v <= x {
			return -1
		}
		return 1
	})
	return i
}

// weighted is the mean of a draw with its clustered error: copies of a cluster count as
// clusters of their own.
func (c *Crossed) weighted(r *replicate) (mean, sem float64) {
	var sum, n float64
	for i, o := range c.obs {
		sum += r.weight[i] * o.Value
		n += r.weight[i]
	}
	if n < 2 {
		return 0, 0
	}
	mean = sum / n
	clear(r.sumT)
	clear(r.sumP)
	var pair float64
	for i, o := range c.obs {
		if r.weight[i] == 0 {
			continue
		}
		d := o.Value - mean
		t, u := c.task[i], c.persona[i]
		r.sumT[t] += r.persona[u] * d
		r.sumP[u] += r.task[t] * d
		pair += r.weight[i] * d * d
	}
	v := parts{task: spread(r.task, r.sumT, c.tasks, n), persona: spread(r.persona, r.sumP, c.persons, n), pair: pair / (n * n) * n / (n - 1)}
	return mean, math.Sqrt(v.largest())
}

func spread(count, sum []float64, clusters int, n float64) float64 {
	if clusters < 2 {
		return 0
	}
	v := 0.0
	for i, s := range sum {
		v += count[i] * s * s
	}
	g := float64(clusters)
	return v / (n * n) * g / (g - 1)
}

// Percentile is the two-way cluster bootstrap of any statistic of weighted observations:
// the middle 95 % of its draws. statistic must not keep weight; ok false leaves a draw out.
// For means [Crossed.Studentised] covers better.
func (c *Crossed) Percentile(o Resampling, statistic func(weight []float64) (value float64, ok bool)) (Interval, bool) {
	if c.tasks+c.persons == 0 {
		return Interval{}, false
	}
	v := c.each(o, func(r *replicate) (float64, bool) { return statistic(r.weight) })
	if len(v) < max(2, o.resamples()/2) {
		return Interval{}, false
	}
	slices.Sort(v)
	return Interval{quantile(v, 0.025), quantile(v, 0.975)}, true
}

func quantile(sorted []float64, p float64) float64 {
	return stat.Quantile(p, stat.Empirical, sorted, nil)
}
