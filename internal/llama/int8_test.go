package llama

import (
	"math/rand/v2"
	"slices"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/safetensors"
)

// Weights in bytes predict what the same numbers do in float32, bit for bit, in any batch.
func TestInt8IsItsModel(t *testing.T) {
	for _, v := range variants(oddConfig()) {
		m := newTestModel(t, v.config)
		pool := kernel.NewPool(2)
		q := m.Int8(pool)
		rounded := q.Model()
		if slices.Equal(rounded.Flat(), m.Flat()) {
			t.Fatalf("%s: nothing is rounded", v.name)
		}
		s, err := LoadStored(onDisk(t, m, safetensors.F32))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Int8(pool).Model().Flat(), rounded.Flat()) {
			t.Errorf("%s: a stored model is rounded otherwise", v.name)
		}
		a, b := newDecoding(t, rounded, 1), &decoding{NewInt8Decoder(q, pool, NewCache(m.Config, 400)), t, map[int][]Page{}}
		r := rand.New(rand.NewPCG(1, 1))
		var together []*Span
		for seq, n := range []int{1, 40, 90} {
			tokens := randomTokens(r, n+1, m.Config.VocabSize)
			want, got := a.span(seq, 0, tokens[:n]), b.span(seq, 0, tokens[:n])
			for _, s := range []*Span{want, got} {
				s.Targets, s.WantLogits = tokens[1:], true
			}
			a.Forward([]*Span{want})
			together = append(together, got)
			b.Forward(together[seq:])
			if !slices.Equal(want.LogProbs, got.LogProbs) || !slices.Equal(want.Logits, got.Logits) {
				t.Errorf("%s, %d tokens: other bits", v.name, n)
			}
		}
		alone := slices.Clone(together[0].LogProbs)
		b.Forward(together)
		if !slices.Equal(alone, together[0].LogProbs) {
			t.Errorf("%s: the result depends on the batch", v.name)
		}
		pool.Close()
	}
}
