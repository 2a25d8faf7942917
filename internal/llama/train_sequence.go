package llama

import (
	"fmt"

	"stargate/lm"
)

// Sequence is one training text. Sequences of any lengths are packed behind each other
// without padding; no position of one ever sees another.
type Sequence struct {
	Tokens []int32 // (n)
	// Loss[t] says that predicting Tokens[t] from Tokens[:t] carries loss. Loss[0] must be
	// false, since nothing precedes it.
	Loss []bool // (n)
	// Dropout names the masks of low-rank training with dropout: the same name gives the same
	// masks, so it should differ between steps and sequences.
	Dropout uint64
}

// span is a sequence as the engine computes it: the rows behind the last prediction that
// carries loss are left out, because nothing depends on them.
type span struct {
	tokens  []int32 // inputs, one row each
	targets []int32 // (len(tokens)): the token row i must predict, or -1 for no loss
	start   int     // first row within the microbatch
	dropout uint64  // name of the masks
}

// microbatchRows is how many rows are computed together. It bounds memory and is constant,
// so that splitting a batch depends on the sequences alone. A longer sequence is a
// microbatch of its own.
const microbatchRows = 1024

// microbatches checks the sequences and splits them, in order, into microbatches of at
// most microbatchRows rows.
func microbatches(c Config, seqs []Sequence) (batches [][]span, longest int, err error) {
	rows := 0
	for i, s := range seqs {
		sp, err := newSpan(c, s)
		if err != nil {
			return nil, 0, fmt.Errorf("sequence %d: %w", i, err)
		}
		if len(batches) == 0 || rows+len(sp.tokens) > microbatchRows {
			batches, rows = append(batches, nil), 0
		}
		sp.start = rows
		rows += len(sp.tokens)
		longest = max(longest, len(sp.tokens))
		last := len(batches) - 1
		batches[last] = append(batches[last], sp)
	}
	return batches, longest, nil
}

// rowsOf is the number of rows of a microbatch.
func rowsOf(batch []span) int {
	tail := batch[len(batch)-1]
	return tail.start + len(tail.tokens)
}

// largest is the index of the microbatch with the most rows.
func largest(batches [][]span) int {
	best := 0
	for i, b := range batches {
		if rowsOf(b) > rowsOf(batches[best]) {
			best = i
		}
	}
	return best
}

func newSpan(c Config, s Sequence) (span, error) {
	if len(s.Loss) != len(s.Tokens) {
		return span{}, fmt.Errorf("%d tokens but %d loss flags; give one flag per token", len(s.Tokens), len(s.Loss))
	}
	if len(s.Tokens) > c.Context() {
		return span{}, fmt.Errorf("%d tokens, at most %d: %w", len(s.Tokens), c.Context(), lm.ErrContextLength)
	}
	last := len(s.Loss) - 1
	for last >= 0 && !s.Loss[last] {
		last--
	}
	switch {
	case last < 0:
		return span{}, lm.ErrNoLoss
	case s.Loss[0]:
		return span{}, fmt.Errorf("token 0 carries loss, but nothing precedes it")
	}
	sp := span{tokens: s.Tokens[:last], targets: make([]int32, last), dropout: s.Dropout}
	for t, id := range s.Tokens[:last+1] {
		if id < 0 || int(id) >= c.VocabSize {
			return span{}, fmt.Errorf("token %d has id %d, outside the vocabulary of %d", t, id, c.VocabSize)
		}
		if t == 0 {
			continue
		}
		sp.targets[t-1] = -1
		if s.Loss[t] {
			sp.targets[t-1] = id
		}
	}
	return sp, nil
}
