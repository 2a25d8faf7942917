package eval

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// observation is one value of one pair.
type observation struct {
	task, persona string
	value         float64
}

// Estimate is a mean with its clustered standard error.
type Estimate struct {
	Mean     float64
	SEM      float64
	PairsSEM float64 // with pairs as if they were independent: too small where tasks or personas differ
	N        int
	DF       int // degrees of freedom for an interval: the smaller number of clusters, less one
}

// clustered estimates a mean over pairs whose values share tasks and personas. The
// variance is that of Cameron, Gelbach and Miller (2011): by task, plus by persona, minus
// by pair, each with the factor G/(G-1). Where that is smaller than one of its parts, the
// largest part is taken, so that the error never vanishes by subtraction. With a single
// task (or persona) nothing can be known about others, and the error speaks of that one
// only.
func clustered(obs []observation) Estimate {
	n := len(obs)
	if n == 0 {
		return Estimate{}
	}
	var sum float64
	for _, o := range obs {
		sum += o.value
	}
	mean := sum / float64(n)
	byTask, tasks := between(obs, mean, func(o observation) string { return o.task })
	byPersona, personas := between(obs, mean, func(o observation) string { return o.persona })
	byPair, _ := between(obs, mean, func(o observation) string { return o.task + "\x00" + o.persona })
	v := max(byTask+byPersona-byPair, byTask, byPersona, byPair)
	df := n - 1
	for _, clusters := range []int{tasks, personas} {
		if clusters > 1 {
			df = min(df, clusters-1)
		}
	}
	return Estimate{mean, math.Sqrt(v), math.Sqrt(byPair), n, df}
}

// between is the variance of the mean when observations of a cluster move together.
func between(obs []observation, mean float64, key func(observation) string) (variance float64, clusters int) {
	at := map[string]int{}
	var sums []float64 // in order of appearance, so that the order of addition is fixed
	for _, o := range obs {
		i, ok := at[key(o)]
		if !ok {
			i = len(sums)
			at[key(o)] = i
			sums = append(sums, 0)
		}
		sums[i] += o.value - mean
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
		t = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(e.DF)}.Quantile(0.975)
	}
	return e.Mean - t*e.SEM, e.Mean + t*e.SEM
}

// part is hits out of n trials of one pair.
type part struct {
	task, persona string
	hits, n       int
}

// ratio estimates a share of all trials, pairs with more trials weighing more. Its error
// is that of the ratio linearised around the estimate (Cochran, Sampling Techniques, chapter 6).
func ratio(parts []part) Estimate {
	hits, n := 0, 0
	for _, p := range parts {
		hits, n = hits+p.hits, n+p.n
	}
	if n == 0 {
		return Estimate{}
	}
	r, perPair := float64(hits)/float64(n), float64(n)/float64(len(parts))
	obs := make([]observation, len(parts))
	for i, p := range parts {
		obs[i] = observation{p.task, p.persona, (float64(p.hits) - r*float64(p.n)) / perPair}
	}
	est := clustered(obs)
	est.Mean = r
	return est
}

// share is the estimate of a share with its 95 % interval inside [0, 1]. Where all values
// are alike there is no spread to estimate an error from, and Wilson's interval stands in.
func share(obs []observation) (est Estimate, low, high float64) {
	est = clustered(obs)
	if est.SEM == 0 {
		low, high = wilson(est.Mean, est.N)
		return est, low, high
	}
	low, high = est.Interval()
	return est, max(0, low), min(1, high)
}

// wilson is the 95 % interval of a share of n independent trials.
func wilson(p float64, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959964
	m := float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, centre-half), min(1, centre+half)
}
