package optim

import (
	"math"
	"testing"
)

func TestSchedule(t *testing.T) {
	cosine := Schedule{Base: 1, Warmup: 4, Total: 12, MinRatio: 0.1}
	constant := Schedule{Base: 2, Warmup: 2}
	for _, x := range []struct {
		name string
		s    Schedule
		step int
		want float64
	}{
		{"first update learns", cosine, 0, 0.25},
		{"warm-up is linear", cosine, 2, 0.75},
		{"warm-up ends at the peak", cosine, 3, 1},
		{"the cosine begins at the peak", cosine, 4, 1},
		{"half way down", cosine, 8, 0.55},
		{"the end", cosine, 12, 0.1},
		{"behind the end", cosine, 100, 0.1},
		{"no total: constant", constant, 1000, 2},
		{"no warm-up", Schedule{Base: 3, Total: 10}, 0, 3},
		{"warm-up only", Schedule{Base: 3, Warmup: 5, Total: 5}, 5, 0},
	} {
		if got := x.s.LR(x.step); math.Abs(got-x.want) > 1e-12 {
			t.Errorf("%s: LR(%d) = %g, want %g", x.name, x.step, got, x.want)
		}
	}
}
