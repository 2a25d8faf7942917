package llama

import (
	"stargate/internal/kernel"
)

// Int8 is a model for inference whose matrices are rounded to bytes ([kernel.Int8]), a quarter of
// float32: a token of a single sequence takes as long as reading the weights does. It predicts
// what the same model with those rounded numbers would, bit for bit; vectors are exact.
type Int8 struct {
	vectors  *Model // norms and biases
	matrices map[string]*kernel.Int8
}

// Int8 rounds the matrices of s on the workers of pool. Nothing of s is kept.
func (s *Stored) Int8(pool *kernel.Pool) *Int8 {
	return quantise(pool, s.vectors, func(dst []float32, name string, i int) { s.matrices[name].Row(dst, i) })
}

// Int8 rounds the matrices of m on the workers of pool. Nothing of m is kept.
func (m *Model) Int8(pool *kernel.Pool) *Int8 {
	data := map[string][]float32{}
	for _, p := range m.Params() {
		data[p.Name] = p.Data
	}
	return quantise(pool, m, func(dst []float32, name string, i int) { copy(dst, data[name][i*len(dst):]) })
}

// quantise rounds the matrices of a model of m's shape, whose rows row gives.
func quantise(pool *kernel.Pool, m *Model, row func(dst []float32, name string, i int)) *Int8 {
	vectors, err := newModel(m.Config, false)
	if err != nil { // the config was valid when m was made
		panic(err)
	}
	q := &Int8{vectors: vectors, matrices: map[string]*kernel.Int8{}}
	from := m.Params()
	for i, p := range vectors.Params() {
		if len(p.Shape) == 1 {
			copy(p.Data, from[i].Data)
			continue
		}
		w := kernel.NewInt8(p.Shape[0], p.Shape[1])
		pool.For(w.N, kernel.PanelWidth, func(_, lo, hi int) { // workers share no panel
			buffer := make([]float32, w.K)
			for i := lo; i < hi; i++ {
				row(buffer, p.Name, i)
				w.Quantise(i, buffer)
			}
		})
		q.matrices[p.Name] = w
	}
	return q
}

// Config is the model's shape.
func (q *Int8) Config() Config { return q.vectors.Config }

// Model is a copy in float32 of what q computes with.
func (q *Int8) Model() *Model {
	m, err := NewModel(q.Config())
	if err != nil {
		panic(err)
	}
	from := q.vectors.Params()
	for i, p := range m.Params() {
		w := q.matrices[p.Name]
		if w == nil {
			copy(p.Data, from[i].Data)
			continue
		}
		for i := range w.N {
			w.Row(p.Data[i*w.K:][:w.K], i)
		}
	}
	return m
}

// NewInt8Decoder is NewDecoder for weights in bytes. It cannot be trained on.
func NewInt8Decoder(q *Int8, pool *kernel.Pool, cache *Cache) *Decoder {
	return newDecoder(q.Config(), q.weights(), pool, cache)
}

// int8Side is one matrix in several parts, one below the other.
type int8Side []*kernel.Int8

func (b int8Side) mul(pool *kernel.Pool, c []float32, ldc int, a []float32, lda, m int, accumulate bool) {
	if m == 0 {
		return
	}
	for _, w := range b {
		if pool == nil {
			kernel.MulInt8(c, ldc, a, lda, w, m, accumulate, 0, w.Panels())
		} else {
			pool.MulInt8(c, ldc, a, lda, w, m, accumulate)
		}
		c = c[w.N:]
	}
}

func (q *Int8) weights() decoderWeights {
	return weightsWhereTheyAre(q.vectors, func(names ...string) rightSide {
		var side int8Side
		for _, n := range names {
			side = append(side, q.matrices[n])
		}
		return side
	}, q.matrices[embedName].Row)
}
