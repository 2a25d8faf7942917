package ledger_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"stargate/ledger"
	"stargate/lm"
)

type contextName struct{}

// answers is a model that wants what a watcher put into the context.
type answers struct{ err error }

func (a answers) Generate(ctx context.Context, _ lm.Chat, _ lm.Sampling) (lm.Completion, error) {
	if ctx.Value(contextName{}) == nil {
		return lm.Completion{}, errors.New("the watcher's context does not arrive")
	}
	return lm.Completion{Text: "yes", Usage: lm.Usage{PromptTokens: 3, CompletionTokens: 1}}, a.err
}

func (a answers) LogProb(context.Context, lm.Chat, string) (lm.LogProb, error) {
	return lm.LogProb{Sum: -2.5, Tokens: []lm.TokenLogProb{{ID: 1, LogProb: -2.5}}, Usage: lm.Usage{PromptTokens: 4, CompletionTokens: 1}}, a.err
}

// A watcher hears of every call, made or replayed, with the call's key.
func TestWatch(t *testing.T) {
	l, err := ledger.Open(filepath.Join(t.TempDir(), "ledger.db"), ledger.Identity{Name: "test", Digest: "d"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var asked []ledger.Asked
	var ended []ledger.Ended
	l.Watch(func(ctx context.Context, a ledger.Asked) (context.Context, func(ledger.Ended)) {
		asked = append(asked, a)
		return context.WithValue(ctx, contextName{}, true), func(e ledger.Ended) { ended = append(ended, e) }
	})
	chat := lm.Chat{{Role: lm.User, Content: "?"}}
	failing := errors.New("away")
	for range 2 {
		if _, err := l.Generator("questioner", "m", answers{}).Generate(t.Context(), chat, lm.Sampling{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Scorer("scorer", "m", answers{}).LogProb(t.Context(), chat, "gold"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Generator("judge", "other", answers{failing}).Generate(t.Context(), chat, lm.Sampling{}); !errors.Is(err, failing) {
		t.Fatal(err)
	}
	wantAsked := []ledger.Asked{
		{Role: "questioner", Model: "m", Kind: ledger.Generate, Key: ledger.GenerateKey("m", chat, lm.Sampling{})}, {Role: "questioner", Model: "m", Kind: ledger.Generate, Key: ledger.GenerateKey("m", chat, lm.Sampling{})},
		{Role: "scorer", Model: "m", Kind: ledger.Score, Key: ledger.ScoreKey("m", chat, "gold")}, {Role: "judge", Model: "other", Kind: ledger.Generate, Key: ledger.GenerateKey("other", chat, lm.Sampling{})},
	}
	wantEnded := []ledger.Ended{{Made: true, TokensIn: 3, TokensOut: 1}, {TokensIn: 3, TokensOut: 1}, {Made: true, TokensIn: 4, TokensOut: 1, LogProb: -2.5}, {Made: true, Err: failing}}
	for i, want := range wantEnded {
		got := ended[i]
		if (got.Took > 0) != want.Made || !errors.Is(got.Err, want.Err) {
			t.Errorf("call %d: took %v, %v", i, got.Took, got.Err)
		}
		if got.Took, got.Err = 0, want.Err; got != want || asked[i] != wantAsked[i] {
			t.Errorf("call %d: %+v %+v, want %+v %+v", i, asked[i], got, wantAsked[i], want)
		}
	}
}
