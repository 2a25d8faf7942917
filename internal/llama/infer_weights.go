package llama

import (
	"fmt"

	"stargate/internal/kernel"
)

// decoderWeights are a model's weights as a [Decoder] uses them.
type decoderWeights struct {
	embed  func(x []float32, id int32) // writes a token's row of Embed
	layers []decoderLayer
	norm   []float32 // (D)
	head   rightSide
	full   *Model // what was packed; nil for stored weights
}

// decoderLayer has the norms and biases of Layer, and its matrices as right-hand sides.
type decoderLayer struct {
	*Layer
	qkv, out, gateUp, down rightSide
}

// rightSide is a weight W (N, K) in a product with rows.
type rightSide interface {
	// mul computes C = A Wᵀ, or C += A Wᵀ, for m rows: on the pool, or alone without one.
	mul(pool *kernel.Pool, c []float32, ldc int, a []float32, lda, m int, accumulate bool)
}

type packedSide struct{ *kernel.Packed }

func (b packedSide) mul(pool *kernel.Pool, c []float32, ldc int, a []float32, lda, m int, accumulate bool) {
	if pool == nil {
		kernel.Mul(c, ldc, a, lda, b.Packed, m, accumulate, 0, b.Panels())
		return
	}
	pool.Mul(c, ldc, a, lda, b.Packed, m, accumulate)
}

// storedSide is one matrix in several parts, one below the other.
type storedSide []*kernel.Stored

func (b storedSide) mul(pool *kernel.Pool, c []float32, ldc int, a []float32, lda, m int, accumulate bool) {
	if m == 0 {
		return
	}
	for _, w := range b {
		if pool == nil {
			kernel.MulStored(c, ldc, a, lda, w, m, accumulate, 0, w.Panels())
		} else {
			pool.MulStored(c, ldc, a, lda, w, m, accumulate)
		}
		c = c[w.N:]
	}
}

// packWeights packs the matrices of m.
func packWeights(pool *kernel.Pool, m *Model) decoderWeights {
	packed := newTrainWeights(len(m.Layers))
	packed.packForward(pool, m)
	d := m.Config.HiddenSize
	w := decoderWeights{norm: m.Norm, head: packedSide{packed.head.forward}, full: m}
	w.embed = func(x []float32, id int32) { copy(x, m.Embed[int(id)*d:][:d]) }
	for i := range m.Layers {
		b := &packed.layers[i]
		w.layers = append(w.layers, decoderLayer{&m.Layers[i], packedSide{b.qkv.forward}, packedSide{b.out.forward}, packedSide{b.gateUp.forward}, packedSide{b.down.forward}})
	}
	return w
}

// weights uses the matrices of s where they are.
func (s *Stored) weights() decoderWeights {
	return weightsWhereTheyAre(s.vectors, func(names ...string) rightSide { return s.matrix(names...) }, s.matrices[embedName].Row)
}

// weightsWhereTheyAre has the norms and biases of m and matrices that are kept by Hugging Face's
// names: side gives that of several, whose rows are adjacent, and row one of the embedding.
func weightsWhereTheyAre(m *Model, side func(names ...string) rightSide, row func(x []float32, i int)) decoderWeights {
	w := decoderWeights{norm: m.Norm, head: side(headOf(m.Config))}
	w.embed = func(x []float32, id int32) { row(x, int(id)) }
	for i := range m.Layers {
		attn, mlp := fmt.Sprintf("model.layers.%d.self_attn.", i), fmt.Sprintf("model.layers.%d.mlp.", i)
		w.layers = append(w.layers, decoderLayer{
			Layer:  &m.Layers[i],
			qkv:    side(attn+"q_proj.weight", attn+"k_proj.weight", attn+"v_proj.weight"),
			out:    side(attn + "o_proj.weight"),
			gateUp: side(mlp+"gate_proj.weight", mlp+"up_proj.weight"),
			down:   side(mlp + "down_proj.weight"),
		})
	}
	return w
}

// headOf is the name of the matrix that makes predictions.
func headOf(c Config) string {
	if c.TieWordEmbeddings {
		return embedName
	}
	return headName
}
