package remote

import (
	"fmt"
	"math"
)

// judge holds scores to others of the same texts.
func judge(check Check, names []string, got, want [][]float64, tolerance float64) Check {
	check.Result, check.Compared = Passed, len(got)
	worst := math.Inf(-1)
	for i := range got {
		diff, allowed := distance(got[i], want[i]), tolerance*float64(len(want[i])+5)
		if over := diff - allowed; over > worst {
			worst, check.Pair, check.Largest, check.Allowed = over, names[i], diff, allowed
			if over > 0 {
				check.Result, check.Why = Failure, diagnose(got[i], want[i], tolerance)
			}
		}
	}
	return check
}

// distance is how far the sums of two scores are apart, or the sum of their single
// differences where those cancel out by half or more: a shifted list sums to nearly the same.
func distance(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	total, each := 0.0, 0.0
	for i := range a {
		total += a[i] - b[i]
		each += math.Abs(a[i] - b[i])
	}
	if each != each { // NaN
		return math.Inf(1)
	}
	return max(math.Abs(total), each/2)
}

// diagnose says what a difference looks like.
func diagnose(got, want []float64, tolerance float64) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d values against %d", len(got), len(want))
	}
	n := len(got)
	near := func(x, y float64) bool { return math.Abs(x-y) <= max(10*tolerance, 1e-6) }
	differ, lower, higher := 0, 0, 0
	for i := range got {
		switch {
		case near(got[i], want[i]):
			continue
		case got[i] < want[i]:
			lower++
		default:
			higher++
		}
		differ++
	}
	shifted := func(by int) bool {
		same, of := 0, 0
		for i := range got {
			if j := i + by; j >= 0 && j < n {
				of++
				if near(got[i], want[j]) {
					same++
				}
			}
		}
		return of >= 2 && 10*same >= 9*of
	}
	switch {
	case differ == 0:
		return "small differences in many tokens: the server's arithmetic depends on what it computes together (vLLM: VLLM_BATCH_INVARIANT=1; SGLang: --enable-deterministic-inference), or raise the tolerance"
	case shifted(1), shifted(-1):
		return "each value is that of the token beside it: the boundary is shifted by one"
	case n > 1 && differ == 1 && !near(got[n-1], want[n-1]):
		return "only the last token differs: the end of the turn is probably counted with it"
	case n > 1 && differ == 1 && !near(got[0], want[0]):
		return "only the first token differs: the boundary is probably shifted, or the prompt ends differently"
	case lower == differ && 2*differ >= n:
		return "the values are too low: the log-probabilities of alternatives (top-k) are probably added up"
	case higher == differ && 2*differ >= n:
		return "the values are too high: the probabilities of alternatives (top-k) are probably added up, or they are those of the most probable token"
	}
	return fmt.Sprintf("%d of %d values differ", differ, n)
}
