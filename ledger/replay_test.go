package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"stargate/ledger"
	"stargate/lm"
)

// told answers everything, and is asked but once.
type told struct{ err error }

func (m told) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	return lm.Completion{Text: "yes", Tokens: []int32{1, 2}, Finish: lm.FinishStop}, m.err
}

func (m told) LogProb(context.Context, lm.Chat, string) (lm.LogProb, error) {
	return lm.LogProb{Sum: -2, Tokens: []lm.TokenLogProb{{ID: 3, LogProb: -2}}}, m.err
}

// A replay answers what the ledger holds, also its final errors, and nothing else.
func TestReplay(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		path := fresh()
		l, err := ledger.Open(path, ledger.Identity{Name: "t", Digest: "d"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, chat := t.Context(), lm.Chat{{Role: lm.User, Content: "well?"}}
		made, err := l.Generator("questioner", "m", told{}).Generate(ctx, chat, lm.Sampling{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Generator("questioner", "m", told{lm.ErrRefused}).Generate(ctx, chat, lm.Sampling{Seed: 2}); !errors.Is(err, lm.ErrRefused) {
			t.Fatal(err)
		}
		scored, err := l.Scorer("scorer", "m", told{}).LogProb(ctx, chat, "gold")
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct{ key, name string }{{"b", "tune m1"}, {"a", "tune m1"}, {"c", "tune m2"}} {
			if _, err := ledger.Do(ctx, l, step.key, step.name, func(context.Context) (string, error) { return step.key, nil }); err != nil {
				t.Fatal(err)
			}
		}

		r, err := ledger.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		again, err := r.Replay("m").Generate(ctx, chat, lm.Sampling{Seed: 1})
		if err != nil || again.Text != made.Text || len(again.Tokens) != len(made.Tokens) {
			t.Errorf("%+v, %v; want %+v", again, err, made)
		}
		if _, err := r.Replay("m").Generate(ctx, chat, lm.Sampling{Seed: 2}); !errors.Is(err, lm.ErrRefused) {
			t.Errorf("a final error: %v", err)
		}
		if score, err := r.Replay("m").LogProb(ctx, chat, "gold"); err != nil || score.Sum != scored.Sum || len(score.Tokens) != 1 {
			t.Errorf("%+v, %v", score, err)
		}
		for what, err := range map[string]error{
			"another seed":   second(r.Replay("m").Generate(ctx, chat, lm.Sampling{Seed: 3})),
			"another model":  second(r.Replay("n").Generate(ctx, chat, lm.Sampling{Seed: 1})),
			"another target": second(r.Replay("m").LogProb(ctx, chat, "lead")),
		} {
			if !errors.Is(err, ledger.ErrNotRecorded) {
				t.Errorf("%s: %v", what, err)
			}
		}
		var keys string
		if err := r.Steps(ctx, "tune m1", func(key string, result json.RawMessage) error {
			keys += key + string(result)
			return nil
		}); err != nil || keys != `a"a"b"b"` {
			t.Errorf("steps %s, %v", keys, err)
		}
		stop := errors.New("stop")
		if err := r.Steps(ctx, "tune m1", func(string, json.RawMessage) error { return stop }); err != stop {
			t.Errorf("a visitor's error: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }
