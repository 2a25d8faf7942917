package optim

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"stargate/internal/kernel"
	"stargate/lm"
)

var options = Options{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, MaxNorm: 1}

// tensors are a matrix of several blocks, a norm that does not decay and a small matrix.
func tensors() []Tensor {
	r := rand.New(rand.NewPCG(1, 2))
	var ts []Tensor
	for _, x := range []struct {
		n     int
		decay bool
	}{{2*blockSize + 77, true}, {33, false}, {1, true}} {
		t := Tensor{Param: make([]float32, x.n), Grad: make([]float32, x.n), Decay: x.decay}
		for i := range t.Param {
			t.Param[i], t.Grad[i] = float32(r.NormFloat64()), float32(r.NormFloat64())
		}
		ts = append(ts, t)
	}
	return ts
}

func pool(t *testing.T, workers int) *kernel.Pool {
	p := kernel.NewPool(workers)
	t.Cleanup(p.Close)
	return p
}

func run(t *testing.T, workers, steps int) []Tensor {
	t.Helper()
	ts := tensors()
	o, p := NewAdamW(options, ts), pool(t, workers)
	for range steps {
		if _, err := o.Step(p, 0.01); err != nil {
			t.Fatal(err)
		}
	}
	return ts
}

// TestAdamW writes out Loshchilov & Hutter's algorithm 2 in float64, one element at a time.
func TestAdamW(t *testing.T) {
	const steps, lr = 5, 0.01
	got, start := run(t, 2, steps), tensors()
	square := 0.0
	for _, x := range start {
		for _, g := range x.Grad {
			square += float64(g) * float64(g)
		}
	}
	clip := options.MaxNorm / math.Sqrt(square)
	for k, x := range start {
		decay := 0.0
		if x.Decay {
			decay = options.Decay
		}
		for i := range x.Param {
			p, g, m, v := float64(x.Param[i]), float64(x.Grad[i])*clip, 0.0, 0.0
			for s := 1.0; s <= steps; s++ {
				p -= lr * decay * p
				m = options.Beta1*m + (1-options.Beta1)*g
				v = options.Beta2*v + (1-options.Beta2)*g*g
				mHat, vHat := m/(1-math.Pow(options.Beta1, s)), v/(1-math.Pow(options.Beta2, s))
				p -= lr * mHat / (math.Sqrt(vHat) + options.Eps)
			}
			if e := math.Abs(float64(got[k].Param[i]) - p); e > 2e-6*(1+math.Abs(p)) {
				t.Fatalf("tensor %d, element %d: %g, want %g", k, i, got[k].Param[i], p)
			}
		}
	}
}

func TestWorkersChangeNoBit(t *testing.T) {
	want := run(t, 1, 3)
	for _, workers := range []int{2, 8} {
		for k, x := range run(t, workers, 3) {
			if !slices.Equal(x.Param, want[k].Param) {
				t.Errorf("%d workers: other bits in tensor %d", workers, k)
			}
		}
	}
}

// The norm is that before clipping, and a gradient below the limit is left as it is. With
// both betas 0 the moments are the gradient, and an update is lr*g/(|g|+eps).
func TestClipping(t *testing.T) {
	for _, x := range []struct{ limit, grad, want float64 }{
		{limit: 0, grad: 3, want: -3.0 / 4},
		{limit: 10, grad: 3, want: -3.0 / 4},
		{limit: 1, grad: 3, want: -1.0 / 2},
	} {
		ts := []Tensor{{Param: make([]float32, 1), Grad: []float32{float32(x.grad)}}}
		norm, err := NewAdamW(Options{Eps: 1, MaxNorm: x.limit}, ts).Step(pool(t, 1), 1)
		if err != nil || norm != x.grad || math.Abs(float64(ts[0].Param[0])-x.want) > 1e-6 {
			t.Errorf("limit %g: norm %g, parameter %g, error %v; want norm %g, parameter %g", x.limit, norm, ts[0].Param[0], err, x.grad, x.want)
		}
	}
}

func TestNonFiniteGradientChangesNothing(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		ts := tensors()
		before := slices.Clone(ts[0].Param)
		ts[2].Grad[0] = bad
		o := NewAdamW(options, ts)
		if _, err := o.Step(pool(t, 2), 0.01); !errors.Is(err, lm.ErrNonFinite) {
			t.Errorf("gradient %g: error %v, want %v", bad, err, lm.ErrNonFinite)
		}
		if !slices.Equal(ts[0].Param, before) || o.State().Step != 0 {
			t.Errorf("gradient %g: the refused update changed something", bad)
		}
	}
}

// Three updates are two, a saved state, a new optimiser and one more.
func TestRestore(t *testing.T) {
	want := run(t, 1, 3)
	ts := run(t, 1, 0)
	o, p := NewAdamW(options, ts), pool(t, 1)
	for range 2 {
		if _, err := o.Step(p, 0.01); err != nil {
			t.Fatal(err)
		}
	}
	resumed := NewAdamW(options, ts)
	if err := resumed.Restore(o.State()); err != nil {
		t.Fatal(err)
	}
	if _, err := resumed.Step(p, 0.01); err != nil {
		t.Fatal(err)
	}
	for k := range ts {
		if !slices.Equal(ts[k].Param, want[k].Param) {
			t.Errorf("tensor %d: other bits after a restore", k)
		}
	}
	if err := NewAdamW(options, ts[:1]).Restore(o.State()); err == nil {
		t.Error("the state of another model was taken")
	}
}
