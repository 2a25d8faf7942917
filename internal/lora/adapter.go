package lora

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"stargate/internal/kernel"
)

// Weight is a matrix of a model, row-major (out, in), under Hugging Face's name.
type Weight struct {
	Name    string
	Out, In int
	Data    []float32
}

// Matrix is the adaptation of one weight.
type Matrix struct {
	Name    string    // of the weight it belongs to
	Out, In int       // of that weight
	A       []float32 // (r, In)
	B       []float32 // (Out, r)
}

// Adapter holds one Matrix per adapted weight, in the model's order.
type Adapter struct {
	Config   Config
	Matrices []Matrix
}

// New adapts those of the weights that the config names. A is drawn uniformly from
// ±1/√In, which is PEFT's Kaiming initialisation, from a stream named by the seed and the
// weight's place among the adapted ones; B is zero, so that the adapted model begins as the
// base model.
func New(c Config, weights []Weight, seed uint64) (*Adapter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	a := &Adapter{Config: c}
	for _, w := range weights {
		if !c.adapts(w.Name) {
			continue
		}
		m := Matrix{Name: w.Name, Out: w.Out, In: w.In, A: make([]float32, c.Rank*w.In), B: make([]float32, w.Out*c.Rank)}
		r := rand.New(rand.NewPCG(seed, uint64(len(a.Matrices))))
		bound := 1 / math.Sqrt(float64(w.In))
		for i := range m.A {
			m.A[i] = float32((2*r.Float64() - 1) * bound)
		}
		a.Matrices = append(a.Matrices, m)
	}
	if len(a.Matrices) == 0 {
		return nil, fmt.Errorf("lora: the model has none of the target modules %v", c.targets())
	}
	return a, nil
}

// ErrMismatch marks an adapter that belongs to another model; the text names the weight.
var ErrMismatch = errors.New("the adapter does not fit the model")

// pair is a Matrix with the two places of its weight.
type pair struct {
	*Matrix
	one, two []float32
}

// pairs finds each adapted weight in two lists of the same model's weights.
func (a *Adapter) pairs(one, two []Weight) ([]pair, error) {
	var out []pair
	for i := range a.Matrices {
		m := &a.Matrices[i]
		find := func(ws []Weight) ([]float32, error) {
			k := slices.IndexFunc(ws, func(w Weight) bool { return w.Name == m.Name })
			if k < 0 {
				return nil, fmt.Errorf("%w: there is no %s", ErrMismatch, m.Name)
			}
			if w := ws[k]; w.Out != m.Out || w.In != m.In {
				return nil, fmt.Errorf("%w: %s is (%d, %d), the adapter's (%d, %d)", ErrMismatch, m.Name, w.Out, w.In, m.Out, m.In)
			}
			return ws[k].Data, nil
		}
		x, err := find(one)
		if err != nil {
			return nil, err
		}
		y, err := find(two)
		if err != nil {
			return nil, err
		}
		out = append(out, pair{m, x, y})
	}
	return out, nil
}

// Check is nil if the adapter fits a model with these weights.
func (a *Adapter) Check(weights []Weight) error {
	_, err := a.pairs(weights, weights)
	return err
}

// Merge writes W + s·B·A into dst for every adapted W of base; other weights of dst stay as
// they are. dst and base may be the same. Rows are divided among the workers, and each has
// one order of summation, so the result does not depend on their number.
func (a *Adapter) Merge(pool *kernel.Pool, dst, base []Weight) error {
	ps, err := a.pairs(dst, base)
	if err != nil {
		return err
	}
	r, s := a.Config.Rank, float32(a.Config.Scale())
	for _, m := range ps {
		pool.For(m.Out, rowGrain, func(_, lo, hi int) {
			for o := lo; o < hi; o++ {
				row := m.one[o*m.In : (o+1)*m.In]
				copy(row, m.two[o*m.In:])
				for k := range r {
					kernel.Axpy(row, s*m.B[o*r+k], m.A[k*m.In:(k+1)*m.In])
				}
			}
		})
	}
	return nil
}

// rowGrain is the least work handed to a worker, in rows.
const rowGrain = 8

// Gradient writes into g the derivatives of A and B, given dW, those of the adapted weights
// (the weights of a gradient of the merged model):
//
//	dA = s·Bᵀ·dW,   dB = s·dW·Aᵀ
//
// It is the definition that training without dW (llama.NewLowRankTrainer) is held to.
//
// g must be a [Adapter.Zero] of this adapter.
func (a *Adapter) Gradient(pool *kernel.Pool, g *Adapter, dW []Weight) error {
	ps, err := a.pairs(dW, dW)
	if err != nil {
		return err
	}
	r, s := a.Config.Rank, float32(a.Config.Scale())
	for i, m := range ps {
		dA, dB := g.Matrices[i].A, g.Matrices[i].B
		pool.For(m.Out, rowGrain, func(_, lo, hi int) {
			for o := lo; o < hi; o++ {
				for k := range r {
					dB[o*r+k] = s * kernel.Dot(m.one[o*m.In:(o+1)*m.In], m.A[k*m.In:(k+1)*m.In])
				}
			}
		})
		pool.For(r, 1, func(_, lo, hi int) {
			for k := lo; k < hi; k++ {
				row := dA[k*m.In : (k+1)*m.In]
				clear(row)
				for o := range m.Out {
					kernel.Axpy(row, s*m.B[o*r+k], m.one[o*m.In:(o+1)*m.In])
				}
			}
		})
	}
	return nil
}

// Zero is an adapter of the same shape with zeros everywhere, for gradients.
func (a *Adapter) Zero() *Adapter {
	z := &Adapter{Config: a.Config, Matrices: slices.Clone(a.Matrices)}
	for i := range z.Matrices {
		m := &z.Matrices[i]
		m.A, m.B = make([]float32, len(m.A)), make([]float32, len(m.B))
	}
	return z
}

// NumParams counts the trained numbers.
func (a *Adapter) NumParams() int {
	n := 0
	for _, m := range a.Matrices {
		n += len(m.A) + len(m.B)
	}
	return n
}
