package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Observation is one value of one pair.
type Observation struct {
	Task, Persona string
	Value         float64
}

// Estimate is a mean with its clustered standard error.
type Estimate struct {
	Mean     float64
	SEM      float64
	PairsSEM float64 // with pairs as if they were independent: too small where tasks or personas differ
	N        int
	DF       float64 // degrees of freedom for an interval
}

// Interval is a range for an unknown number, at 95 % unless said otherwise.
type Interval struct{ Low, High float64 }

// Mean estimates a mean over pairs whose values share tasks and personas. The variance is
// that of independent pairs, and what tasks and what personas show beyond it: where both show
// more, that is Cameron, Gelbach and Miller's (2011), by task plus by persona minus by pair,
// each with the factor G/(G-1). Theirs alone, an estimate from few clusters, can come out at a
// small part of the variance of independent pairs where neither matters; see
// docs/bench/coverage.md. With a single task (or persona) nothing can be known about others,
// and the error speaks of that one only.
//
// DF goes from that of as many independent pairs, where neither tasks nor personas show more,
// to the smaller number of clusters less one, where their share of the variance is all.
func Mean(obs []Observation) Estimate {
	if len(obs) == 0 {
		return Estimate{}
	}
	mean, v := variances(obs)
	pairs := float64(len(obs) - 1)
	clusters := pairs
	for _, n := range []int{v.tasks, v.personas} {
		if n > 1 {
			clusters = min(clusters, float64(n-1))
		}
	}
	all := v.twoWay()
	df := pairs
	if shared := all - v.pair; shared > 0 {
		df = min(pairs, clusters*all/shared)
	}
	return Estimate{mean, math.Sqrt(all), math.Sqrt(v.pair), len(obs), df}
}

// parts are the variances of a mean by kind of cluster.
type parts struct {
	task, persona, pair float64
	tasks, personas     int
}

func variances(obs []Observation) (mean float64, v parts) {
	for _, o := range obs {
		mean += o.Value
	}
	mean /= float64(len(obs))
	v.task, v.tasks = between(obs, mean, func(o Observation) string { return o.Task })
	v.persona, v.personas = between(obs, mean, func(o Observation) string { return o.Persona })
	v.pair, _ = between(obs, mean, func(o Observation) string { return o.Task + "\x00" + o.Persona })
	return mean, v
}

// twoWay puts the parts together. What rounding leaves of them is nothing.
func (v parts) twoWay() float64 {
	all := v.pair
	for _, clustered := range []float64{v.task, v.persona} {
		if more := clustered - v.pair; more > 1e-9*v.pair {
			all += more
		}
	}
	return all
}

// between is the variance of the mean when observations of a cluster move together.
func between(obs []Observation, mean float64, key func(Observation) string) (variance float64, clusters int) {
	at := map[string]int{}
	var sums []float64 // in order of appearance, so that the order of addition is fixed
	for _, o := range obs {
		i, ok := at[key(o)]
		if !ok {
			i = len(sums)
			at[key(o)] = i
			sums = append(sums, 0)
		}
		sums[i] += o.Value - mean
	}
	for _, s := range sums {
		variance += s * s
	}
	g := float64(len(sums))
	if g < 2 {
		return 0, len(sums)
	}
	n := float64(len(obs))
	return variance / (n * n) * g / (g - 1), len(sums)
}

// Interval is the 95 % interval of an estimate, by Student's t with DF degrees of freedom.
func (e Estimate) Interval() (low, high float64) {
	t := 1.96
	if e.DF >= 1 {
		t = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: e.DF}.Quantile(0.975)
	}
	return e.Mean - t*e.SEM, e.Mean + t*e.SEM
}

// P is the two-sided probability of a mean at least as far from null when null is true, by
// Student's t with DF degrees of freedom. Of paired differences of yes-or-no outcomes and
// null 0 it is the clustered form of McNemar's test (Obuchowski, 1998, where there is one
// kind of cluster). Without any spread it is 1 at null and 0 elsewhere.
func (e Estimate) P(null float64) float64 {
	switch {
	case e.N == 0 || e.Mean == null:
		return 1
	case e.SEM == 0:
		return 0
	}
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: max(e.DF, 1)}.CDF(-math.Abs(e.Mean-null)/e.SEM)
}

// DesignEffect is how many times larger the variance is than that of independent pairs;
// 1 where nothing can be told.
func (e Estimate) DesignEffect() float64 {
	if e.PairsSEM == 0 {
		return 1
	}
	return (e.SEM * e.SEM) / (e.PairsSEM * e.PairsSEM)
}
