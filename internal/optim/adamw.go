package optim

import (
	"fmt"
	"math"

	"stargate/internal/kernel"
	"stargate/lm"
)

// Options are AdamW's hyperparameters, with the meanings of torch.optim.AdamW.
type Options struct {
	Beta1, Beta2 float64
	Eps          float64
	Decay        float64 // decoupled weight decay, applied to tensors that ask for it
	MaxNorm      float64 // gradients of a larger global norm are scaled down to it; 0 is off
}

// Tensor is a parameter with its gradient, both of the same length.
type Tensor struct {
	Param, Grad []float32
	Decay       bool // weight decay applies (matrices, not norms)
}

// AdamW holds the moments of a fixed list of tensors. Not for concurrent use.
type AdamW struct {
	opts   Options
	blocks []block
	norms  []float64 // (blocks) sums of squares
	m, v   []float32 // moments, tensors one behind the other
	step   int
}

// block is a stretch of one tensor: the unit of parallel work and of the norm's sum.
type block struct {
	param, grad []float32
	m, v        []float32
	decay       float64
}

// blockSize is constant so that the order of the norm's sum is.
const blockSize = 1 << 14

// NewAdamW starts from zero moments. The tensors' memory is updated in place by Step.
func NewAdamW(opts Options, tensors []Tensor) *AdamW {
	size := 0
	for _, t := range tensors {
		size += len(t.Param)
	}
	o := &AdamW{opts: opts, m: make([]float32, size), v: make([]float32, size)}
	at := 0
	for _, t := range tensors {
		decay := 0.0
		if t.Decay {
			decay = opts.Decay
		}
		for lo := 0; lo < len(t.Param); lo += blockSize {
			hi := min(lo+blockSize, len(t.Param))
			o.blocks = append(o.blocks, block{
				param: t.Param[lo:hi], grad: t.Grad[lo:hi],
				m: o.m[at : at+hi-lo], v: o.v[at : at+hi-lo], decay: decay,
			})
			at += hi - lo
		}
	}
	o.norms = make([]float64, len(o.blocks))
	return o
}

// Step makes one update with learning rate lr and returns the gradient's global norm
// before clipping. Gradients are read, not changed. When the norm is not finite nothing is
// updated and the error is [lm.ErrNonFinite].
func (o *AdamW) Step(pool *kernel.Pool, lr float64) (norm float64, err error) {
	pool.For(len(o.blocks), 1, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			o.norms[i] = kernel.SumSquares(o.blocks[i].grad)
		}
	})
	sum := 0.0
	for _, x := range o.norms {
		sum += x
	}
	norm = math.Sqrt(sum)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, fmt.Errorf("update %d: gradient norm is %g: %w", o.step+1, norm, lm.ErrNonFinite)
	}
	scale := float32(1)
	if o.opts.MaxNorm > 0 && norm > o.opts.MaxNorm {
		scale = float32(o.opts.MaxNorm / norm)
	}
	o.step++
	pool.For(len(o.blocks), 1, func(_, lo, hi int) {
		for _, b := range o.blocks[lo:hi] {
			kernel.AdamW(b.param, b.grad, b.m, b.v, scale, o.opts.Beta1, o.opts.Beta2, lr, o.opts.Eps, b.decay, o.step)
		}
	})
	return norm, nil
}

// State is what a resumed run needs besides the parameters.
type State struct {
	Step int
	M, V []float32 // first and second moments, tensors one behind the other
}

// State is a view of the optimiser's memory; copy it to keep it.
func (o *AdamW) State() State { return State{Step: o.step, M: o.m, V: o.v} }

// Restore continues from s, which must come from an optimiser of the same tensors.
func (o *AdamW) Restore(s State) error {
	if len(s.M) != len(o.m) || len(s.V) != len(o.v) {
		return fmt.Errorf("optimiser state has %d and %d moments, the model %d; it belongs to another model", len(s.M), len(s.V), len(o.m))
	}
	copy(o.m, s.M)
	copy(o.v, s.V)
	o.step = s.Step
	return nil
}
