package stats

import (
	"maps"
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
	obs                     []Observation
	task, persona           []int // cluster of each observation; 0 on a side that is not drawn again
	tasks, persons          int   // clusters that are drawn again; 0 = that side is not
	inTask, inPersona       []int // the cluster of each observation, whether its side is drawn again or not
	taskSizes, personaSizes []float64
}

// Cross prepares observations. A side is drawn again if it has at least two clusters; where
// every cluster of a side lies within one of the other (each pair has a task of its own),
// it tells nothing more than the pair and is left alone.
func Cross(obs []Observation) *Crossed {
	c := &Crossed{obs: obs}
	c.task, c.tasks = number(obs, func(o Observation) string { return o.Task })
	c.persona, c.persons = number(obs, func(o Observation) string { return o.Persona })
	c.inTask, c.inPersona = slices.Clone(c.task), slices.Clone(c.persona)
	c.taskSizes, c.personaSizes = sizes(c.task, c.tasks), sizes(c.persona, c.persons)
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

// sizes counts the observations of each cluster.
func sizes(of []int, n int) []float64 {
	out := make([]float64, n)
	for _, k := range of {
		out[k]++
	}
	return out
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
}

func (c *Crossed) newReplicate() *replicate {
	return &replicate{task: make([]float64, max(c.tasks, 1)), persona: make([]float64, max(c.persons, 1)), weight: make([]float64, len(c.obs))}
}

// draw fills r.
func (c *Crossed) draw(r *replicate, random *rand.Rand) {
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

// each runs do once for every draw, in parallel, with scratch space of its own for every
// worker; a draw's result depends on its number only.
func each[S any](o Resampling, scratch func() S, do func(S, *rand.Rand) (float64, bool)) []float64 {
	n := o.resamples()
	out, ok := make([]float64, n), make([]bool, n)
	workers := o.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			s := scratch()
			for b := w; b < n; b += workers {
				out[b], ok[b] = do(s, rand.New(rand.NewPCG(o.Seed, uint64(b))))
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

// Percentile is the two-way cluster bootstrap of any statistic of weighted observations:
// the middle 95 % of its draws. statistic must not keep weight; ok false leaves a draw out.
// For means [Crossed.Studentised] covers better.
func (c *Crossed) Percentile(o Resampling, statistic func(weight []float64) (value float64, ok bool)) (Interval, bool) {
	if c.tasks+c.persons == 0 {
		return Interval{}, false
	}
	v := each(o, c.newReplicate, func(r *replicate, random *rand.Rand) (float64, bool) {
		c.draw(r, random)
		return statistic(r.weight)
	})
	if len(v) < max(2, o.resamples()/2) {
		return Interval{}, false
	}
	slices.Sort(v)
	return Interval{quantile(v, 0.025), quantile(v, 0.975)}, true
}

func quantile(sorted []float64, p float64) float64 {
	return stat.Quantile(p, stat.Empirical, sorted, nil)
}
