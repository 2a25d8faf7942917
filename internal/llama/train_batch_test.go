package llama

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"stargate/lm"
)

// A prediction has the same bits alone, in a batch and in any order.
func TestBatchIsSingles(t *testing.T) {
	for _, v := range variants(awkward) {
		t.Run(v.name, func(t *testing.T) { testBatchIsSingles(t, randomModel(t, v.config)) })
	}
}

func testBatchIsSingles(t *testing.T, m *Model) {
	seqs, tr := awkwardBatch(), newTrainer(t, m, 2)
	nll := func(seqs ...Sequence) []float64 {
		t.Helper()
		if _, _, err := tr.Loss(seqs); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(tr.act.nll)
	}
	together := nll(seqs...)
	slices.Reverse(seqs)
	reversed := nll(seqs...)
	slices.Reverse(seqs)
	for i, s := range seqs {
		alone := nll(s)
		n := len(alone)
		if !slices.Equal(together[:n], alone) || !slices.Equal(reversed[len(reversed)-n:], alone) {
			t.Errorf("sequence %d: other bits in a batch", i)
		}
		together, reversed = together[n:], reversed[:len(reversed)-n]
	}
}

// Tokens behind the last prediction have no influence and cost nothing.
func TestTailWithoutLossIsFree(t *testing.T) {
	m, s := randomModel(t, awkward), randomSequence(awkward, 1, 30, 0.5)
	long := Sequence{Tokens: append(slices.Clone(s.Tokens), 1, 2, 3), Loss: append(slices.Clone(s.Loss), false, false, false)}
	a, b := newTrainer(t, m, 1), newTrainer(t, m, 1)
	for tr, s := range map[*Trainer]Sequence{a: s, b: long} {
		if _, _, err := tr.Accumulate([]Sequence{s}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(a.grad.flat, b.grad.flat) || a.act.rows != b.act.rows {
		t.Error("tokens without influence changed the gradient")
	}
}

// Twice the scale is twice the gradient: multiplication by two rounds nothing.
func TestGradientIsLinearInScale(t *testing.T) {
	m, seqs := randomModel(t, awkward), awkwardBatch()
	a, b := newTrainer(t, m, 2), newTrainer(t, m, 2)
	for tr, scale := range map[*Trainer]float64{a: 0.25, b: 0.5} {
		if _, _, err := tr.Accumulate(seqs, scale); err != nil {
			t.Fatal(err)
		}
	}
	for i, x := range a.grad.flat {
		if b.grad.flat[i] != 2*x {
			t.Fatalf("element %d: %g at twice the scale of %g", i, b.grad.flat[i], x)
		}
	}
}

// The bits of a gradient over several microbatches do not depend on workers either.
func TestWorkersChangeNoBitOfManyMicrobatches(t *testing.T) {
	m := randomModel(t, awkward)
	var seqs []Sequence
	for i := range 24 {
		seqs = append(seqs, randomSequence(awkward, uint64(i), 20+9*i, 0.7))
	}
	want, loss := gradientOf(t, m, 1, seqs)
	for _, workers := range []int{2, 5} {
		if got, l := gradientOf(t, m, workers, seqs); l != loss || !slices.Equal(got, want) {
			t.Errorf("%d workers: other bits", workers)
		}
	}
}

func TestMicrobatches(t *testing.T) {
	c := awkward
	c.MaxPositionEmbeddings = 4000
	for _, x := range []struct {
		name string
		rows []int // a sequence of n+1 tokens has n rows
		want string
	}{
		{"fits", []int{500, 524}, "[[0 500]]"},
		{"one row too many", []int{500, 525}, "[[0] [0]]"},
		{"order is kept", []int{1000, 30, 1000, 20}, "[[0] [0] [0 1000]]"},
		{"a long sequence alone", []int{10, 3000, 10}, "[[0] [0] [0]]"},
	} {
		var seqs []Sequence
		for i, n := range x.rows {
			seqs = append(seqs, randomSequence(c, uint64(i), n+1, 0.5))
		}
		batches, longest, err := microbatches(c, seqs)
		if err != nil {
			t.Fatal(err)
		}
		var starts [][]int
		for _, b := range batches {
			starts = append(starts, nil)
			for _, s := range b {
				starts[len(starts)-1] = append(starts[len(starts)-1], s.start)
			}
		}
		if got := fmt.Sprint(starts); got != x.want || longest != slices.Max(x.rows) {
			t.Errorf("%s: first rows %s, want %s; longest %d", x.name, got, x.want, longest)
		}
	}
}

func TestAccumulateRefuses(t *testing.T) {
	tr := newTrainer(t, randomModel(t, awkward), 1)
	good := randomSequence(awkward, 1, 12, 0.5)
	change := func(f func(s *Sequence)) Sequence {
		s := Sequence{Tokens: slices.Clone(good.Tokens), Loss: slices.Clone(good.Loss)}
		f(&s)
		return s
	}
	for name, x := range map[string]struct {
		s    Sequence
		want error
	}{
		"no loss":         {change(func(s *Sequence) { clear(s.Loss) }), lm.ErrNoLoss},
		"no token":        {Sequence{}, lm.ErrNoLoss},
		"too long":        {randomSequence(awkward, 1, 257, 0.5), lm.ErrContextLength},
		"loss on token 0": {change(func(s *Sequence) { s.Loss[0] = true }), nil},
		"flags missing":   {change(func(s *Sequence) { s.Loss = s.Loss[1:] }), nil},
		"unknown token":   {change(func(s *Sequence) { s.Tokens[3] = 37 }), nil},
		"negative token":  {change(func(s *Sequence) { s.Tokens[11] = -1 }), nil},
	} {
		_, _, err := tr.Accumulate([]Sequence{good, x.s}, 1)
		if err == nil || (x.want != nil && !errors.Is(err, x.want)) {
			t.Errorf("%s: error %v, want %v", name, err, x.want)
		}
	}
	for i, g := range tr.Gradient().Flat() {
		if g != 0 {
			t.Fatalf("a refused batch left gradient %g at %d", g, i)
		}
	}
}

func TestNonFiniteLossIsAnError(t *testing.T) {
	m := randomModel(t, awkward)
	m.Norm[3] = float32(math.NaN())
	if _, _, err := newTrainer(t, m, 2).Accumulate(awkwardBatch(), 1); !errors.Is(err, lm.ErrNonFinite) {
		t.Errorf("error %v, want %v", err, lm.ErrNonFinite)
	}
}
