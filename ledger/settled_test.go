package ledger

import (
	"context"
	"path/filepath"
	"testing"

	"stargate/lm"
)

type answering struct{ err error }

func (a answering) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	return lm.Completion{Text: "yes", Finish: lm.FinishStop}, a.err
}

// Results and final errors are settled; what failed otherwise is owed.
func TestSettled(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "ledger.db"), Identity{Name: "t", Digest: "d"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	chat := lm.Chat{{Role: lm.User, Content: "well?"}}
	for i, c := range []struct {
		err  error
		want bool
	}{{nil, true}, {lm.ErrRefused, true}, {lm.ErrNonFinite, false}} {
		s := lm.Sampling{Seed: uint64(i)}
		if got, err := l.Settled(GenerateKey("m", chat, s)); got || err != nil {
			t.Errorf("before: %v, %v", got, err)
		}
		if _, err := l.Generator("r", "m", answering{c.err}).Generate(t.Context(), chat, s); (err == nil) != (c.err == nil) {
			t.Error(err)
		}
		if got, err := l.Settled(GenerateKey("m", chat, s)); got != c.want || err != nil {
			t.Errorf("after %v: %v, %v", c.err, got, err)
		}
	}
}
