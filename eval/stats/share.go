package stats

import "math"

// Part is hits out of n trials of one pair.
type Part struct {
	Task, Persona string
	Hits, N       int
}

// Ratio estimates a share of all trials, pairs with more trials weighing more. Its error
// is that of the ratio linearised around the estimate (Cochran, Sampling Techniques, chapter 6).
func Ratio(parts []Part) Estimate {
	r, obs := linearised(parts)
	if len(obs) == 0 {
		return Estimate{}
	}
	est := Mean(obs)
	est.Mean = r
	return est
}

// linearised are the residuals of a ratio, whose mean is 0; for resampling.
func linearised(parts []Part) (ratio float64, obs []Observation) {
	hits, n := 0, 0
	for _, p := range parts {
		hits, n = hits+p.Hits, n+p.N
	}
	if n == 0 {
		return 0, nil
	}
	r, perPair := float64(hits)/float64(n), float64(n)/float64(len(parts))
	obs = make([]Observation, len(parts))
	for i, p := range parts {
		obs[i] = Observation{p.Task, p.Persona, (float64(p.Hits) - r*float64(p.N)) / perPair}
	}
	return r, obs
}

// Share is the estimate of a share with its 95 % interval inside [0, 1]. Where all values
// are alike there is no spread to estimate an error from, and Wilson's interval stands in.
func Share(obs []Observation) (est Estimate, low, high float64) {
	est = Mean(obs)
	if est.SEM == 0 {
		low, high = Wilson(est.Mean, est.N)
		return est, low, high
	}
	low, high = est.Interval()
	return est, max(0, low), min(1, high)
}

// Wilson is the 95 % interval of a share p of n independent trials (Wilson, 1927). With
// ties counted as halves p need not be a whole number of trials.
func Wilson(p float64, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959964
	m := float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, centre-half), min(1, centre+half)
}
