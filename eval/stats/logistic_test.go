package stats

import (
	"math"
	"testing"
)

// With a constant alone the fit is the log-odds of the mean; a binary covariate gives each
// group its own.
func TestLogisticByHand(t *testing.T) {
	x, y := [][]float64{{1}, {1}, {1}, {1}}, []float64{1, 1, 1, 0}
	beta, ok := Logistic(x, y, 1e6)
	if !ok || math.Abs(beta[0]-math.Log(3)) > 1e-6 {
		t.Errorf("β = %v, want ln 3", beta)
	}
	x, y = [][]float64{{1, 0}, {1, 0}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, []float64{0.5, 0.5, 1, 1, 1, 0}
	beta, ok = Logistic(x, y, 1e6)
	if !ok || math.Abs(beta[0]) > 1e-6 || math.Abs(beta[1]-math.Log(3)) > 1e-6 {
		t.Errorf("β = %v, want 0 and ln 3", beta)
	}
}

// Data that separate perfectly have a finite fit, and no data none.
func TestLogisticAtTheEdges(t *testing.T) {
	beta, ok := Logistic([][]float64{{1, -1}, {1, -2}, {1, 1}, {1, 2}}, []float64{0, 0, 1, 1}, 5)
	if !ok || math.IsInf(beta[1], 0) || beta[1] < 1 {
		t.Errorf("separated: %v, %v", beta, ok)
	}
	if _, ok := Logistic(nil, nil, 5); ok {
		t.Error("a fit of nothing")
	}
}
