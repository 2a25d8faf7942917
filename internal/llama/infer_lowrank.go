package llama

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"stargate/internal/kernel"
)

// LowRank is an update Scale·B·A of a matrix W, which becomes W + Scale·B·A (Hu et al., 2021).
type LowRank struct {
	Name  string    // Hugging Face's name of W (out, in): a projection of a layer
	Rank  int       // r, at least 1
	A     []float32 // (r, in)
	B     []float32 // (out, r)
	Scale float32
}

// ErrLowRank marks an update that does not belong to the model; the text names the matrix.
var ErrLowRank = errors.New("the low-rank update does not fit the model")

// check holds u to the shape (out, in) of its matrix.
func (u *LowRank) check(out, in int) error {
	if u.Rank < 1 || len(u.A) != u.Rank*in || len(u.B) != out*u.Rank {
		return fmt.Errorf("%w: A and B of %s have %d and %d numbers, want those of (%d, %d) and (%d, %d)",
			ErrLowRank, u.Name, len(u.A), len(u.B), u.Rank, in, out, u.Rank)
	}
	return nil
}

// Adapt makes a decoder of the same model with low-rank updates. It shares the weights of d and
// adds to each product with an updated matrix:
//
//	y = x Wᵀ + (x Aᵀ)(Scale·B)ᵀ
//
// so it takes the memory of the updates alone, and per row r·(in+out) multiplications more. The
// updates are copied. A row's bits are as independent of its neighbours as without them; they
// differ from those of a model with merged weights by rounding.
func (d *Decoder) Adapt(updates []LowRank, cache *Cache) (*Decoder, error) {
	w := d.weights
	w.layers = slices.Clone(w.layers)
	byName := map[string]*LowRank{}
	for i := range updates {
		byName[updates[i].Name] = &updates[i]
	}
	for i := range w.layers {
		l := &w.layers[i]
		for _, m := range layerMatrices(d.config, i) {
			side := m.side(l)
			var err error
			if *side, err = adapt(*side, m, byName); err != nil {
				return nil, err
			}
		}
	}
	for _, u := range updates {
		if byName[u.Name] != nil {
			return nil, fmt.Errorf("%w: there is no %s, or it is no projection of a layer", ErrLowRank, u.Name)
		}
	}
	a := newDecoder(d.config, w, d.pool, cache)
	a.stored = d.stored
	return a, nil
}

// layerMatrix is a matrix of a layer with the tensors that its rows are made of.
type layerMatrix struct {
	side  func(*decoderLayer) *rightSide
	in    int
	parts []matrixPart
}

type matrixPart struct {
	name string
	out  int
}

// layerMatrices are the matrices of layer i.
func layerMatrices(c Config, i int) []layerMatrix {
	attn, mlp := fmt.Sprintf("model.layers.%d.self_attn.", i), fmt.Sprintf("model.layers.%d.mlp.", i)
	d, f, q, kv := c.HiddenSize, c.IntermediateSize, c.attn(), c.NumKeyValueHeads*c.HeadDim
	return []layerMatrix{
		{func(l *decoderLayer) *rightSide { return &l.qkv }, d,
			[]matrixPart{{attn + "q_proj.weight", q}, {attn + "k_proj.weight", kv}, {attn + "v_proj.weight", kv}}},
		{func(l *decoderLayer) *rightSide { return &l.out }, q, []matrixPart{{attn + "o_proj.weight", d}}},
		{func(l *decoderLayer) *rightSide { return &l.gateUp }, d,
			[]matrixPart{{mlp + "gate_proj.weight", f}, {mlp + "up_proj.weight", f}}},
		{func(l *decoderLayer) *rightSide { return &l.down }, f, []matrixPart{{mlp + "down_proj.weight", d}}},
	}
}

// adaptedSide is a weight with updates of some of its rows.
type adaptedSide struct {
	rightSide
	a     kernel.Packed // (in, R): the updates' A side by side
	parts []adaptedPart
}

// adaptedPart is one update: its columns of x Aᵀ, and what they add.
type adaptedPart struct {
	from   int           // first of its r columns
	column int           // first of its columns of the product
	b      kernel.Packed // (r, out), scaled
}

// adapt is side with the updates of its parts, which it takes out of the map.
func adapt(side rightSide, m layerMatrix, updates map[string]*LowRank) (rightSide, error) {
	s := &adaptedSide{rightSide: side}
	var a []float32
	column, rank := 0, 0
	for _, p := range m.parts {
		u := updates[p.name]
		delete(updates, p.name)
		if u != nil {
			if err := u.check(p.out, m.in); err != nil {
				return nil, err
			}
			part := adaptedPart{from: rank, column: column}
			b := slices.Clone(u.B)
			kernel.Scale(b, u.Scale)
			part.b.PackTransposed(b, p.out, u.Rank, u.Rank)
			a = append(a, u.A...)
			rank += u.Rank
			s.parts = append(s.parts, part)
		}
		column += p.out
	}
	if len(s.parts) == 0 {
		return side, nil
	}
	s.a.PackTransposed(a, rank, m.in, m.in)
	return s, nil
}

// lowProducts are the (m, R) products x Aᵀ of calls in progress.
var lowProducts = sync.Pool{New: func() any { return new([]float32) }}

func (s *adaptedSide) mul(pool *kernel.Pool, c []float32, ldc int, a []float32, lda, m int, accumulate bool) {
	s.rightSide.mul(pool, c, ldc, a, lda, m, accumulate)
	if m == 0 {
		return
	}
	low := lowProducts.Get().(*[]float32)
	defer lowProducts.Put(low)
	r := s.a.N
	*low = grow(*low, m*r)
	packedSide{&s.a}.mul(pool, *low, r, a, lda, m, false)
	for i := range s.parts {
		p := &s.parts[i]
		packedSide{&p.b}.mul(pool, c[p.column:], ldc, (*low)[p.from:], r, m, true)
	}
}
