package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"stargate/lm"
)

// row is a settled call as it is stored. Callers get their result from a row whether it
// was just made or read back, so the two cannot differ.
type row struct {
	outcome             string // "" = a result
	tokensIn, tokensOut int
	finish, text        string
	score               float64
	tokens              []byte

	shard int64 // where text and tokens are instead; 0 = they are here
}

var errTokens = errors.New("token bytes do not decode")

func rowOfCompletion(c lm.Completion) row {
	r := row{tokensIn: c.Usage.PromptTokens, tokensOut: c.Usage.CompletionTokens, finish: string(c.Finish), text: c.Text}
	for _, id := range c.Tokens {
		r.tokens = binary.AppendVarint(r.tokens, int64(id))
	}
	return r
}

func (r row) usage() lm.Usage {
	return lm.Usage{PromptTokens: r.tokensIn, CompletionTokens: r.tokensOut}
}

func (r row) completion() (lm.Completion, error) {
	c := lm.Completion{Text: r.text, Finish: lm.FinishReason(r.finish), Usage: r.usage()}
	for b := r.tokens; len(b) > 0; {
		id, n := binary.Varint(b)
		if n <= 0 || id != int64(int32(id)) {
			return lm.Completion{}, errTokens
		}
		c.Tokens, b = append(c.Tokens, int32(id)), b[n:]
	}
	return c, nil
}

// rowOfLogProb turns a sum of -0 into 0, which is how SQLite gives it back, and refuses a
// score that is not a number: SQLite would store it as NULL, and nobody can rank by it.
func rowOfLogProb(l lm.LogProb) (row, error) {
	r := row{tokensIn: l.Usage.PromptTokens, tokensOut: l.Usage.CompletionTokens, score: l.Sum + 0}
	bad := math.IsNaN(l.Sum)
	for _, t := range l.Tokens {
		bad = bad || math.IsNaN(t.LogProb)
		r.tokens = binary.AppendVarint(r.tokens, int64(t.ID))
		r.tokens = binary.LittleEndian.AppendUint64(r.tokens, math.Float64bits(t.LogProb))
	}
	if bad {
		return row{}, fmt.Errorf("the score is not a number: %w", lm.ErrNonFinite)
	}
	return r, nil
}

func (r row) logProb() (lm.LogProb, error) {
	l := lm.LogProb{Sum: r.score, Usage: r.usage()}
	for b := r.tokens; len(b) > 0; {
		id, n := binary.Varint(b)
		if n <= 0 || id != int64(int32(id)) || len(b) < n+8 {
			return lm.LogProb{}, errTokens
		}
		p := math.Float64frombits(binary.LittleEndian.Uint64(b[n:]))
		l.Tokens, b = append(l.Tokens, lm.TokenLogProb{ID: int32(id), LogProb: p}), b[n+8:]
	}
	return l, nil
}

// finalError is the error of a call that was settled by one, or nil.
func (r row) finalError() error {
	if r.outcome == "" {
		return nil
	}
	for _, f := range finalErrors {
		if r.outcome == f.outcome {
			return &replayedError{message: r.text, kind: f.err}
		}
	}
	return fmt.Errorf("outcome %q: %s", r.outcome, r.text)
}
