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
	embed := s.matrices[embedName]
	head := s.matrix(headName)
	if s.Config().TieWordEmbeddings {
		head = storedSide{embed}
	}
	w := decoderWeights{norm: s.vectors.Norm, head: head}
	w.embed = func(x []float32, id int32) { embed.Row(x, int(id)) }
	for i := range s.vectors.Layers {
		attn, mlp := fmt.Sprintf("model.layers.%d.self_attn.", i), fmt.Sprintf("model.layers.%d.mlp.", i)
		w.layers = append(w.layers, decoderLayer{
			Layer:  &s.vectors.Layers[i],
			qkv:    s.matrix(attn+"q_proj.weight", attn+"k_proj.weight", attn+"v_proj.weight"),
			out:    s.matrix(attn + "o_proj.weight"),
			gateUp: s.matrix(mlp+"gate_proj.weight", mlp+"up_proj.weight"),
			down:   s.matrix(mlp + "down_proj.weight"),
		})
	}
	return w
}
