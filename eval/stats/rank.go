package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

func sortBy(order []int, less func(a, b int) bool) {
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return 0
	})
}

// Ranks are the ranks of values from 1; equal values share the mean of theirs.
func Ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	sortBy(order, func(a, b int) bool { return x[a] < x[b] })
	rank := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for k := i; k < j; k++ {
			rank[order[k]] = float64(i+j+1) / 2
		}
		i = j
	}
	return rank
}

// Spearman is the correlation of ranks; ok is false where one side does not vary. weight
// may be nil; ranks are of the unweighted values.
func Spearman(x, y, weight []float64) (rho float64, ok bool) {
	return Pearson(Ranks(x), Ranks(y), weight)
}

// Pearson is the correlation coefficient; ok is false where one side does not vary.
func Pearson(x, y, weight []float64) (r float64, ok bool) {
	if len(x) < 2 {
		return 0, false
	}
	r = stat.Correlation(x, y, weight)
	return r, !math.IsNaN(r) && !math.IsInf(r, 0)
}

// BestOf is the expected maximum of m values drawn from x without putting back, for
// m = 1…len(x): what fewer samples would have found, and how much each further one adds.
func BestOf(x []float64) []float64 {
	n := len(x)
	sorted := slices.Sorted(slices.Values(x))
	out := make([]float64, n)
	for m := 1; m <= n; m++ {
		// The i-th smallest is the maximum with probability C(i-1, m-1)/C(n, m); from the
		// largest down each is the one before times (i-m+1)/i.
		p := float64(m) / float64(n)
		for i := n; i >= m; i-- {
			out[m-1] += p * sorted[i-1]
			if i > 1 {
				p *= float64(i-m) / float64(i-1)
			}
		}
	}
	return out
}
