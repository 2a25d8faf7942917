package optim

import "math"

// Schedule is a learning rate that rises linearly for Warmup updates and then falls along a
// half cosine to MinRatio*Base at update Total, where it stays.
type Schedule struct {
	Base     float64 // peak learning rate
	Warmup   int     // updates
	Total    int     // updates, warm-up included; 0 keeps Base after the warm-up
	MinRatio float64 // final rate as a fraction of Base
}

// LR is the learning rate of the step-th update, counted from 0. The first update already
// learns: its rate is Base/Warmup, where transformers' schedule starts with a rate of 0.
func (s Schedule) LR(step int) float64 {
	switch {
	case step < s.Warmup:
		return s.Base * float64(step+1) / float64(s.Warmup)
	case s.Total <= 0:
		return s.Base
	case step >= s.Total:
		return s.Base * s.MinRatio
	}
	progress := float64(step-s.Warmup) / float64(s.Total-s.Warmup)
	return s.Base * (s.MinRatio + (1-s.MinRatio)*(1+math.Cos(math.Pi*progress))/2)
}
