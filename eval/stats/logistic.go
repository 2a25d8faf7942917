package stats

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Logistic fits P(y=1) = 1/(1+exp(-x·β)) by Newton's method. y may be anything in [0, 1]
// (½ for a tie). Each coefficient has a normal prior with mean 0 and the given standard
// deviation, which keeps it finite where the data separate perfectly. ok is false without
// data or where the iteration does not settle.
func Logistic(x [][]float64, y []float64, prior float64) (beta []float64, ok bool) {
	if len(x) == 0 {
		return nil, false
	}
	k := len(x[0])
	beta = make([]float64, k)
	for range 100 {
		gradient := mat.NewVecDense(k, nil)
		hessian := mat.NewSymDense(k, nil)
		for j := range k {
			gradient.SetVec(j, -beta[j]/(prior*prior))
			hessian.SetSym(j, j, 1/(prior*prior))
		}
		for i, row := range x {
			z := 0.0
			for j, v := range row {
				z += v * beta[j]
			}
			p := 1 / (1 + math.Exp(-z))
			for j, v := range row {
				gradient.SetVec(j, gradient.AtVec(j)+v*(y[i]-p))
				for l := j; l < k; l++ {
					hessian.SetSym(j, l, hessian.At(j, l)+p*(1-p)*v*row[l])
				}
			}
		}
		var c mat.Cholesky
		if !c.Factorize(hessian) {
			return nil, false
		}
		var step mat.VecDense
		if err := c.SolveVecTo(&step, gradient); err != nil {
			return nil, false
		}
		largest := 0.0
		for j := range beta {
			beta[j] += step.AtVec(j)
			largest = max(largest, math.Abs(step.AtVec(j)))
		}
		if math.IsNaN(largest) {
			return nil, false
		}
		if largest < 1e-10 {
			return beta, true
		}
	}
	return nil, false
}
