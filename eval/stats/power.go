package stats

import "math"

// Power says how small a difference a number of pairs can tell.
type Power struct {
	N          int     // pairs
	HalfWidth  float64 // half of the 95 % interval: a true difference of this size is found every second time
	Detectable float64 // a true difference of this size is found four times in five (power 80 %)
}

// The quantiles of the normal distribution at 97.5 % and 80 %.
const z975, z80 = 1.959964, 0.841621

// PowerOf extrapolates an estimate to n pairs of the same kind: the same spread and the
// same number of pairs per task and persona, so that the error falls with the root of n.
// With n = e.N it describes the estimate itself.
func PowerOf(e Estimate, n int) Power {
	if e.N == 0 || n < 1 {
		return Power{N: n, HalfWidth: math.Inf(1), Detectable: math.Inf(1)}
	}
	sem := e.SEM * math.Sqrt(float64(e.N)/float64(n))
	return Power{n, z975 * sem, (z975 + z80) * sem}
}

// PowerOfShare is the power of a win rate near one half before anything was measured: n
// pairs, a share of ties, and the factor by which clustering raises the variance. With no
// ties and a factor of 1, n = 300 can tell 6 points.
func PowerOfShare(n int, ties, designEffect float64) Power {
	return PowerOf(Estimate{SEM: math.Sqrt((1 - ties) / 4 * designEffect), N: 1}, n)
}

// PairsFor is how many pairs find a true difference four times in five, given the spread
// that e measured; 0 where e measured none.
func PairsFor(e Estimate, difference float64) int {
	if e.N == 0 || e.SEM == 0 || difference == 0 {
		return 0
	}
	sd := e.SEM * math.Sqrt(float64(e.N))
	return int(math.Ceil(math.Pow((z975+z80)*sd/math.Abs(difference), 2)))
}
