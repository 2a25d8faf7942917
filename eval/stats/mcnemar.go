package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// McNemar is the paired test of two systems by their discordant pairs: b pairs where only
// the first succeeds, c where only the second does. Pairs on which both do the same say
// nothing. It takes pairs as independent; where they share tasks or personas, the test is
// [Estimate.P] of the paired differences.
type McNemar struct {
	FirstOnly, SecondOnly int
	Exact                 float64 // two-sided binomial p
	MidP                  float64 // the same counting half of the observed split: less conservative (Fagerland et al., 2013)
}

// NewMcNemar tests b against c.
func NewMcNemar(b, c int) McNemar {
	m := McNemar{FirstOnly: b, SecondOnly: c, Exact: 1, MidP: 1}
	n := b + c
	if n == 0 {
		return m
	}
	half := distuv.Binomial{N: float64(n), P: 0.5}
	tail := half.CDF(float64(min(b, c)))
	m.Exact = min(1, 2*tail)
	m.MidP = min(1, 2*tail-half.Prob(float64(min(b, c))))
	if b == c { // the observed split is its own mirror image
		m.MidP = 1 - half.Prob(float64(b))/2
	}
	return m
}

// Holm adjusts p-values for being several (Holm, 1979): adjusted values below a level keep
// the chance of any false alarm below it. The result is in the order of p.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	sortBy(order, func(a, b int) bool { return p[a] < p[b] })
	out, running := make([]float64, len(p)), 0.0
	for k, i := range order {
		running = max(running, math.Min(1, float64(len(p)-k)*p[i]))
		out[i] = running
	}
	return out
}
