package llama

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/safetensors"
)

// randomUpdates are updates of the projections whose names contain one of the parts, of the size
// of a tenth of the weights.
func randomUpdates(m *Model, rank int, parts ...string) []LowRank {
	r := rand.New(rand.NewPCG(11, uint64(rank)))
	var us []LowRank
	for _, p := range m.Params() {
		if !strings.Contains(p.Name, "_proj.weight") || !slices.ContainsFunc(parts, func(s string) bool { return strings.Contains(p.Name, s) }) {
			continue
		}
		u := LowRank{Name: p.Name, Rank: rank, A: make([]float32, rank*p.Shape[1]), B: make([]float32, p.Shape[0]*rank), Scale: 0.5}
		for i := range u.A {
			u.A[i] = float32(r.NormFloat64() / math.Sqrt(float64(p.Shape[1])))
		}
		for i := range u.B {
			u.B[i] = float32(0.05 * r.NormFloat64())
		}
		us = append(us, u)
	}
	return us
}

// merge is m with the updates added to its weights, in float64.
func merge(m *Model, updates []LowRank) *Model {
	c := m.Clone()
	params := c.Params()
	for _, u := range updates {
		p := params[slices.IndexFunc(params, func(p Param) bool { return p.Name == u.Name })]
		in := p.Shape[1]
		for o := range p.Shape[0] {
			for i := range in {
				sum := 0.0
				for k := range u.Rank {
					sum += float64(u.B[o*u.Rank+k]) * float64(u.A[k*in+i])
				}
				p.Data[o*in+i] += float32(float64(u.Scale) * sum)
			}
		}
	}
	return c
}

func adapted(t testing.TB, d *Decoder, updates []LowRank) *decoding {
	t.Helper()
	cache := NewCache(d.config, 400)
	a, err := d.Adapt(updates, cache)
	if err != nil {
		t.Fatal(err)
	}
	return &decoding{a, t, map[int][]Page{}}
}

// Updates applied as they are predict what merged ones do, up to rounding, in every family and
// whatever is adapted; the decoder they were added to stays as it was.
func TestAdaptedIsMerged(t *testing.T) {
	for _, v := range variants(oddConfig()) {
		m := newTestModel(t, v.config)
		tokens := randomTokens(rand.New(rand.NewPCG(1, 2)), 60, m.Config.VocabSize)
		base := newDecoding(t, m, 2)
		before := scoreAlone(t, m, tokens)
		for _, parts := range [][]string{{"_proj"}, {"q_proj", "v_proj"}, {"layers.1"}, {"k_proj", "down"}} {
			updates := randomUpdates(m, 3, parts...)
			d := adapted(t, base.Decoder, updates)
			s := d.span(0, 0, tokens[:len(tokens)-1])
			s.Targets = tokens[1:]
			d.Forward([]*Span{s})
			want, moved := scoreAlone(t, merge(m, updates), tokens), 0.0
			for i, x := range s.LogProbs {
				moved = max(moved, math.Abs(x-before[i]))
				if math.Abs(x-want[i]) > 2e-4 {
					t.Errorf("%s, %v: token %d has %.6f, merged %.6f", v.name, parts, i, x, want[i])
				}
			}
			if moved < 1e-2 {
				t.Errorf("%s, %v: the updates change nothing", v.name, parts)
			}
		}
		s := base.span(0, 0, tokens[:len(tokens)-1])
		s.Targets = tokens[1:]
		base.Forward([]*Span{s})
		if !slices.Equal(s.LogProbs, before) {
			t.Errorf("%s: the base decoder changed", v.name)
		}
	}
}

// The bits do not depend on the batch, on the cut, on the workers, or on where the base's
// weights lie.
func TestAdaptedRowsAreIndependent(t *testing.T) {
	m := newTestModel(t, oddConfig())
	updates := randomUpdates(m, 5, "_proj")
	stored, err := LoadStored(onDisk(t, m, safetensors.F32))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	texts := [][]int32{randomTokens(r, 5, m.Config.VocabSize), randomTokens(r, 70, m.Config.VocabSize), randomTokens(r, 33, m.Config.VocabSize)}
	var want [][]float64
	for _, tokens := range texts {
		d := adapted(t, newDecoding(t, m, 1).Decoder, updates)
		s := d.span(0, 0, tokens[:len(tokens)-1])
		s.Targets = tokens[1:]
		d.Forward([]*Span{s})
		want = append(want, s.LogProbs)
	}
	for workers := 1; workers <= 3; workers++ {
		pool := kernel.NewPool(workers)
		defer pool.Close()
		for _, base := range []*Decoder{NewDecoder(m, pool, NewCache(m.Config, 1)), NewStoredDecoder(stored, pool, NewCache(m.Config, 1))} {
			d := adapted(t, base, updates)
			for from := 0; from < 69; from += 23 {
				var batch []*Span
				var expected [][]float64
				for i, tokens := range texts {
					to := min(from+23, len(tokens)-1)
					if from >= to {
						continue
					}
					s := d.span(i, from, tokens[from:to])
					s.Targets = tokens[from+1 : to+1]
					batch, expected = append(batch, s), append(expected, want[i][from:to])
				}
				d.Forward(batch)
				for i, s := range batch {
					if !slices.Equal(s.LogProbs, expected[i]) {
						t.Errorf("%d workers, from %d, sequence %d of the batch: other bits", workers, from, i)
					}
				}
			}
		}
	}
}

func TestAdaptRefuses(t *testing.T) {
	m := newTestModel(t, oddConfig())
	d := newDecoding(t, m, 1)
	for name, change := range map[string]func(u *LowRank){
		"another shape":   func(u *LowRank) { u.A = u.A[1:] },
		"no rank":         func(u *LowRank) { u.Rank, u.A, u.B = 0, nil, nil },
		"a layer too far": func(u *LowRank) { u.Name = strings.Replace(u.Name, "layers.0", "layers.3", 1) },
		"the head":        func(u *LowRank) { u.Name = headName },
	} {
		updates := randomUpdates(m, 2, "layers.0.mlp.up")
		change(&updates[0])
		if _, err := d.Adapt(updates, d.cache); !errors.Is(err, ErrLowRank) || !strings.Contains(err.Error(), updates[0].Name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
