package ledger

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stargate/lm"
)

// A changed key makes every existing ledger forget its calls: if this fails, do not update
// the expectation, mend the encoding. (The values come from a second implementation.)
func TestKeysNeverChange(t *testing.T) {
	chat := lm.Chat{{Role: lm.System, Content: "Ask one question."}, {Role: lm.User, Content: "Plan a trip."}}
	for _, c := range []struct {
		key  Key
		want string
	}{
		{GenerateKey("w0", chat, lm.Sampling{}), "42b4e0ced579632a822e37499d776adb4f3f235e0db6c1d617dbce85661f2694"},
		{GenerateKey("w0", chat, lm.Sampling{Temperature: 0.9, TopP: 0.95, TopK: 40, MaxTokens: 700, Stop: []string{"\n", "User:"}, Seed: 42}), "ec3baf594982498d14087d07fe1a4fd034eb7f41572ef54886ccb48d722aec81"},
		{ScoreKey("w0", chat, "Go to the sea."), "7abf4f989a567b5cc9b4969b30879a5f16eab94b4358ab973bff4a146297321e"},
	} {
		if c.key.String() != c.want {
			t.Errorf("key %s, want %s", c.key, c.want)
		}
	}
}

// Moving a boundary between fields gives another key.
func TestKeySeparatesFields(t *testing.T) {
	u := func(parts ...string) (c lm.Chat) {
		for _, p := range parts {
			c = append(c, lm.Message{Role: lm.User, Content: p})
		}
		return c
	}
	keys := []Key{
		ScoreKey("w", u("a"), "b"), ScoreKey("w", u("ab"), ""), ScoreKey("wa", u(""), "b"), ScoreKey("w", u("a", "b"), ""), ScoreKey("w", u("a", ""), "b"),
		GenerateKey("w", u("a"), lm.Sampling{}), GenerateKey("w", u("a"), lm.Sampling{Stop: []string{""}}), GenerateKey("w", u("a"), lm.Sampling{Stop: []string{"", ""}}),
		GenerateKey("w", u("a"), lm.Sampling{TopK: 1}), GenerateKey("w", u("a"), lm.Sampling{MaxTokens: 1}), GenerateKey("w", u("a"), lm.Sampling{Seed: 1}),
		GenerateKey("w", u("a"), lm.Sampling{Temperature: 1}), GenerateKey("w", u("a"), lm.Sampling{TopP: 1}),
	}
	seen := make(map[Key]int)
	for i, k := range keys {
		if j, ok := seen[k]; ok {
			t.Errorf("requests %d and %d share a key", i, j)
		}
		seen[k] = i
	}
	if GenerateKey("w", nil, lm.Sampling{Temperature: math.Copysign(0, -1)}) != GenerateKey("w", lm.Chat{}, lm.Sampling{Stop: []string{}}) {
		t.Error("requests that mean the same have different keys")
	}
}

// Whatever a model says comes back from the file bit by bit.
func TestRowsRoundTrip(t *testing.T) {
	EachStore(t, func(t *testing.T, fresh func() string) {
		l, err := Open(fresh(), Identity{Digest: "d"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}()
		store := func(t *rapid.T, key Key, r row) row {
			if err := l.writer.submit(context.Background(), &write{key: key, source: &source{"r", "m", Generate}, row: &r}); err != nil {
				t.Fatal(err)
			}
			back, _, err := l.lookup(key)
			if err != nil {
				t.Fatal(err)
			}
			return back
		}
		tokens := rapid.Int32()
		anyBytes := rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")) })
		text := rapid.OneOf(rapid.String(), anyBytes, rapid.SampledFrom([]string{"", "\x00", "a\x00b", "\xff\xfe"}))
		real := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(-1), math.SmallestNonzeroFloat64, -359.8}))
		n := uint64(0)
		rapid.Check(t, func(t *rapid.T) {
			n++
			want := lm.Completion{
				Text: text.Draw(t, "text"), Tokens: rapid.SliceOfN(tokens, 0, 9).Draw(t, "tokens"), Finish: lm.FinishReason(rapid.SampledFrom([]string{"stop", "length", "other"}).Draw(t, "finish")),
				Usage: lm.Usage{PromptTokens: rapid.IntRange(0, 1<<40).Draw(t, "in"), CompletionTokens: rapid.Int().Draw(t, "out")},
			}
			got, err := store(t, GenerateKey("m", nil, lm.Sampling{Seed: n}), rowOfCompletion(want)).completion()
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" || err != nil {
				t.Fatalf("%v\n%s", err, d)
			}

			score := lm.LogProb{Sum: real.Draw(t, "sum"), Usage: want.Usage}
			for range rapid.IntRange(0, 5).Draw(t, "n") {
				score.Tokens = append(score.Tokens, lm.TokenLogProb{ID: tokens.Draw(t, "id"), LogProb: real.Draw(t, "logprob")})
			}
			r, err := rowOfLogProb(score)
			if err != nil {
				t.Fatal(err)
			}
			back, err := store(t, GenerateKey("n", nil, lm.Sampling{Seed: n}), r).logProb()
			if d := cmp.Diff(score, back); d != "" || err != nil {
				t.Fatalf("%v\n%s", err, d)
			}
		})
	})
}

func TestDamagedTokensAreAnError(t *testing.T) {
	for _, b := range [][]byte{{0x80}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}} {
		if _, err := (row{tokens: b}).completion(); err == nil {
			t.Errorf("% x decoded as completion", b)
		}
		if _, err := (row{tokens: b}).logProb(); err == nil {
			t.Errorf("% x decoded as score", b)
		}
	}
	if _, err := (row{tokens: []byte{2, 0, 0}}).logProb(); err == nil {
		t.Error("half a score decoded")
	}
}
