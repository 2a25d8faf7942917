package stats

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// effects are a sample taken apart: what is common to a task, to a persona, and what is left
// to each pair. Each kind is centred and scaled to its estimated variance, so that values put
// together from drawn effects vary as the sample's source does (the reflated residuals of
// Carpenter, Goldstein and Rasbash, 2003, for crossed effects).
type effects struct {
	task, persona, pair []float64 // task and persona are nil on a side that is not drawn again
}

// sweeps of the fit of effects; where every pair is there the first is exact.
const sweeps = 20

// apart takes the observations apart.
func (c *Crossed) apart(mean float64) effects {
	var e effects
	rest := make([]float64, len(c.obs))
	for i, o := range c.obs {
		rest[i] = o.Value - mean
	}
	tasks, personas := newSide(c.task, c.tasks), newSide(c.persona, c.persons)
	for range sweeps {
		tasks.fit(rest)
		personas.fit(rest)
	}
	e.pair = rest
	left := float64(len(rest)) - 1
	for _, s := range []*side{tasks, personas} {
		left -= float64(max(len(s.effect)-1, 0))
	}
	noise := sumOfSquares(rest) / max(left, 1) // the variance of a pair alone
	e.task, e.persona = tasks.reflated(noise), personas.reflated(noise)
	scale(e.pair, noise)
	return e
}

// side is one kind of cluster: which one each observation is in, and its effect.
type side struct {
	of            []int
	effect, count []float64
	step          []float64 // scratch
}

func newSide(of []int, clusters int) *side {
	s := &side{of: of, effect: make([]float64, clusters), count: make([]float64, clusters), step: make([]float64, clusters)}
	if clusters > 0 {
		for _, k := range of {
			s.count[k]++
		}
	}
	return s
}

// fit moves the mean of rest within each cluster from rest to the cluster's effect.
func (s *side) fit(rest []float64) {
	if len(s.effect) == 0 {
		return
	}
	clear(s.step)
	for i, k := range s.of {
		s.step[k] += rest[i]
	}
	for k := range s.step {
		s.step[k] /= s.count[k]
		s.effect[k] += s.step[k]
	}
	for i, k := range s.of {
		rest[i] -= s.step[k]
	}
}

// reflated are the effects at the variance that is left of theirs without the noise that the
// means of so few pairs have: none where that explains all.
func (s *side) reflated(noise float64) []float64 {
	n := float64(len(s.effect))
	if n < 2 {
		return nil
	}
	inverse := 0.0
	for _, c := range s.count {
		inverse += 1 / c
	}
	centre(s.effect)
	scale(s.effect, max(0, sumOfSquares(s.effect)/(n-1)-noise*inverse/n))
	return s.effect
}

func centre(v []float64) {
	mean := 0.0
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for i := range v {
		v[i] -= mean
	}
}

// scale gives values around 0 a variance.
func scale(v []float64, variance float64) {
	centre(v)
	f := 0.0
	if sum := sumOfSquares(v); sum > 0 {
		f = math.Sqrt(variance * float64(len(v)) / sum)
	}
	for i := range v {
		v[i] *= f
	}
}

func sumOfSquares(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return sum
}

// remade is scratch space for a sample put together again.
type remade struct {
	task, persona, value []float64 // task and persona are empty on a side that is not drawn again
	sumT, sumP           []float64
}

func (c *Crossed) newRemade(e effects) *remade {
	return &remade{task: make([]float64, len(e.task)), persona: make([]float64, len(e.persona)), value: make([]float64, len(c.obs)),
		sumT: make([]float64, len(c.taskSizes)), sumP: make([]float64, len(c.personaSizes))}
}

// draw fills into with values of from. An index takes half of the generator's 64 bits: off by
// less than one in 2^32 / len(from).
func draw(into, from []float64, random *rand.Rand) {
	n := uint64(len(from))
	for i := 0; i < len(into); i += 2 {
		bits := random.Uint64()
		into[i] = from[bits>>32*n>>32]
		if i+1 < len(into) {
			into[i+1] = from[bits&math.MaxUint32*n>>32]
		}
	}
}

// again draws effects and puts a sample together that has the pairs of the first.
func (c *Crossed) again(r *remade, e effects, random *rand.Rand) {
	draw(r.task, e.task, random)
	draw(r.persona, e.persona, random)
	draw(r.value, e.pair, random)
	if len(r.task) > 0 {
		for i, k := range c.task {
			r.value[i] += r.task[k]
		}
	}
	if len(r.persona) > 0 {
		for i, k := range c.persona {
			r.value[i] += r.persona[k]
		}
	}
}

// estimate is the mean of a sample put together again, with the variances that [variances]
// finds. Its values are around 0, so that sums of squares lose no digits that matter.
func (c *Crossed) estimate(r *remade) (mean float64, v parts) {
	n := float64(len(r.value))
	clear(r.sumT)
	clear(r.sumP)
	squares := 0.0
	for i, x := range r.value {
		mean += x
		squares += x * x
		r.sumT[c.inTask[i]] += x
		r.sumP[c.inPersona[i]] += x
	}
	mean /= n
	between := func(sums, sizes []float64) float64 {
		g, all := float64(len(sums)), 0.0
		for k, s := range sums {
			d := s - sizes[k]*mean
			all += d * d
		}
		if g < 2 {
			return 0
		}
		return all / (n * n) * g / (g - 1)
	}
	v.task, v.persona = between(r.sumT, c.taskSizes), between(r.sumP, c.personaSizes)
	if n > 1 {
		v.pair = max(0, squares-n*mean*mean) / (n * (n - 1))
	}
	return mean, v
}

// Studentised is the cluster bootstrap of a mean over crossed tasks and personas: effects of
// tasks, of personas and of pairs are drawn again, each kind with its own estimated variance,
// and the interval comes from the quantiles of (mean* - mean)/SEM*, with the clustered error of
// each draw (Efron and Tibshirani, 1993, chapter 12). p is the share of draws at least as far
// out as null is from the mean, the smaller side doubled. ok is false where there is no spread
// or nothing to draw again.
//
// Drawing tasks and personas themselves (Owen, 2007), as [Crossed.Percentile] does, gives the
// mean three times its variance where neither matters; see docs/bench/coverage.md.
func (c *Crossed) Studentised(o Resampling, null float64) (interval Interval, p float64, ok bool) {
	if len(c.obs) == 0 || c.tasks+c.persons == 0 {
		return Interval{}, 0, false
	}
	c = Cross(inOrder(c.obs)) // the order in which they were given changes no draw
	middle, v := variances(c.obs)
	sem := math.Sqrt(v.twoWay())
	if sem == 0 {
		return Interval{}, 0, false
	}
	e := c.apart(middle)
	t := each(o, func() *remade { return c.newRemade(e) }, func(r *remade, random *rand.Rand) (float64, bool) {
		c.again(r, e, random)
		mean, v := c.estimate(r)
		sem := math.Sqrt(v.twoWay())
		return mean / sem, sem > 0
	})
	if len(t) < o.resamples()/2 {
		return Interval{}, 0, false
	}
	slices.Sort(t)
	interval = Interval{middle - quantile(t, 0.975)*sem, middle - quantile(t, 0.025)*sem}
	at := (middle - null) / sem
	notAbove := upper(t, at)
	notBelow, _ := slices.BinarySearch(t, at)
	notBelow = len(t) - notBelow
	p = min(1, 2*float64(1+min(notAbove, notBelow))/float64(1+len(t)))
	return interval, p, true
}

func inOrder(obs []Observation) []Observation {
	return slices.SortedStableFunc(slices.Values(obs), func(a, b Observation) int {
		return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.Persona, b.Persona), cmp.Compare(a.Value, b.Value))
	})
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
