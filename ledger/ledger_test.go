package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger"
	"stargate/lm"
)

var run = ledger.Identity{Name: "nano", Digest: "d1"}

// open opens a ledger in a folder of the test's own and closes it at the end.
func open(t testing.TB, path string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(path, run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// model is a generator and scorer that counts what it is asked.
type model struct {
	calls atomic.Int64
	err   error // what it fails with, if anything
}

func (m *model) Generate(_ context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	m.calls.Add(1)
	if m.err != nil {
		return lm.Completion{}, m.err
	}
	text := fmt.Sprintf("answer to %q with seed %d", chat[len(chat)-1].Content, s.Seed)
	return lm.Completion{Text: text, Tokens: []int32{1, 300, 70000}, Finish: lm.FinishStop, Usage: lm.Usage{PromptTokens: 10, CompletionTokens: 3}}, nil
}

func (m *model) LogProb(_ context.Context, _ lm.Chat, target string) (lm.LogProb, error) {
	m.calls.Add(1)
	if m.err != nil {
		return lm.LogProb{}, m.err
	}
	p := -float64(len(target)) / 3
	return lm.LogProb{Sum: 2 * p, Tokens: []lm.TokenLogProb{{ID: 7, LogProb: p}, {ID: 8, LogProb: p}}, Usage: lm.Usage{PromptTokens: 20, CompletionTokens: 2}}, nil
}

func ask(text string) lm.Chat { return lm.Chat{{Role: lm.User, Content: text}} }

func TestCallIsMadeOnceAndReplayedAfterReopening(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		path := fresh()
		ctx := context.Background()
		inner := new(model)
		var first lm.Completion
		var firstScore lm.LogProb
		for session := range 3 {
			l, err := ledger.Open(path, run)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				c, err := l.Generator("questioner", "w0", inner).Generate(ctx, ask("plan a trip"), lm.Sampling{Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				p, err := l.Scorer("scorer", "w0", inner).LogProb(ctx, ask("plan a trip"), "go to the sea")
				if err != nil {
					t.Fatal(err)
				}
				if first.Text == "" {
					first, firstScore = c, p
				}
				if d := cmp.Diff(first, c) + cmp.Diff(firstScore, p); d != "" {
					t.Errorf("session %d: a replayed result differs:\n%s", session, d)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if n := inner.calls.Load(); n != 2 {
			t.Errorf("the model was asked %d times, want 2", n)
		}
	})
}

func TestKeyTellsRequestsApart(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		ctx := context.Background()
		inner := new(model)
		requests := []struct {
			model string
			chat  lm.Chat
			s     lm.Sampling
		}{
			{"w0", ask("a"), lm.Sampling{}},
			{"w1", ask("a"), lm.Sampling{}}, // other weights
			{"w0", ask("b"), lm.Sampling{}},
			{"w0", ask("a"), lm.Sampling{Seed: 1}},
			{"w0", ask("a"), lm.Sampling{MaxTokens: 1}},
		}
		for _, r := range requests {
			if _, err := l.Generator("questioner", r.model, inner).Generate(ctx, r.chat, r.s); err != nil {
				t.Fatal(err)
			}
		}
		if n := inner.calls.Load(); n != int64(len(requests)) {
			t.Errorf("the model was asked %d times for %d different requests", n, len(requests))
		}
	})
}

func TestFailures(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		for _, c := range []struct {
			name   string
			err    error
			asked  int64 // how often the model is asked by three requests
			errors map[string]int64
			owed   map[string]int64
		}{
			{"context length is final", fmt.Errorf("prompt of 900 tokens: %w", lm.ErrContextLength), 1, map[string]int64{"context-length": 1}, nil},
			{"refusal is final", fmt.Errorf("provider: %w", lm.ErrRefused), 1, map[string]int64{"refused": 1}, nil},
			{"empty target is final", lm.ErrEmptyTarget, 1, map[string]int64{"empty-target": 1}, nil},
			{"cannot score is owed", lm.ErrCannotScore, 3, nil, map[string]int64{"cannot-score": 1}},
			{"timeout is owed", fmt.Errorf("post: %w", context.DeadlineExceeded), 3, nil, map[string]int64{"timeout": 1}},
			{"anything else is owed", errors.New("connection reset"), 3, nil, map[string]int64{"error": 1}},
		} {
			t.Run(c.name, func(t *testing.T) {
				path := fresh()
				inner := &model{err: c.err}
				for range 3 {
					l, err := ledger.Open(path, run)
					if err != nil {
						t.Fatal(err)
					}
					_, err = l.Generator("questioner", "w0", inner).Generate(context.Background(), ask("a"), lm.Sampling{})
					if kind := rootOf(c.err); !errors.Is(err, kind) || err.Error() != c.err.Error() {
						t.Errorf("got error %v, want %v", err, c.err)
					}
					totals, err := l.Totals(context.Background())
					if err != nil {
						t.Fatal(err)
					}
					want := []ledger.Totals{{Role: "questioner", Made: int64(len(c.errors)), Errors: c.errors, Owed: c.owed}}
					if d := cmp.Diff(want, totals); d != "" {
						t.Error(d)
					}
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if n := inner.calls.Load(); n != c.asked {
					t.Errorf("the model was asked %d times, want %d", n, c.asked)
				}
			})
		}
	})
}

func rootOf(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

func TestOwedCallIsSettledBySuccess(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		ctx := context.Background()
		inner := &model{err: errors.New("connection reset")}
		g := l.Generator("questioner", "w0", inner)
		if _, err := g.Generate(ctx, ask("a"), lm.Sampling{}); err == nil {
			t.Fatal("no error")
		}
		inner.err = nil
		if _, err := g.Generate(ctx, ask("a"), lm.Sampling{}); err != nil {
			t.Fatal(err)
		}
		totals, err := l.Totals(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]ledger.Totals{{Role: "questioner", Made: 1, TokensIn: 10, TokensOut: 3}}, totals); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]ledger.Progress{{Role: "questioner", Made: 1, Failed: 1}}, l.Progress()); d != "" {
			t.Error(d)
		}
	})
}

func TestScoreThatIsNoNumberIsNeverStored(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		s := l.Scorer("scorer", "w0", scorerFunc(func() (lm.LogProb, error) { return lm.LogProb{Sum: math.NaN()}, nil }))
		if _, err := s.LogProb(context.Background(), ask("a"), "b"); !errors.Is(err, lm.ErrNonFinite) {
			t.Fatalf("got %v, want %v", err, lm.ErrNonFinite)
		}
		totals, err := l.Totals(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]ledger.Totals{{Role: "scorer", Owed: map[string]int64{"non-finite": 1}}}, totals); d != "" {
			t.Error(d)
		}
	})
}

type scorerFunc func() (lm.LogProb, error)

func (f scorerFunc) LogProb(context.Context, lm.Chat, string) (lm.LogProb, error) { return f() }

// Two roles that ask the same share the call; who came first must not show in any total.
func TestRolesShareCalls(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		ctx := context.Background()
		var seen [2][]ledger.Totals
		for i, order := range [][]string{{"evaluation", "questioner"}, {"questioner", "evaluation"}} {
			l := open(t, fresh())
			inner := new(model)
			for range 2 {
				for _, role := range order {
					if _, err := l.Generator(role, "w0", inner).Generate(ctx, ask("a"), lm.Sampling{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if n := inner.calls.Load(); n != 1 {
				t.Errorf("the model was asked %d times, want 1", n)
			}
			var err error
			if seen[i], err = l.Totals(ctx); err != nil {
				t.Fatal(err)
			}
			if len(seen[i]) != 2 || seen[i][0].Made != 1 || seen[i][1].Made != 1 {
				t.Errorf("totals %+v: want one call for each role", seen[i])
			}
			var visited []string
			if err := l.Calls(ctx, ledger.Filter{}, func(c ledger.Call) error { visited = append(visited, c.Role); return nil }); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{"evaluation", "questioner"}, visited); d != "" {
				t.Error(d)
			}
		}
		if d := cmp.Diff(seen[0], seen[1]); d != "" {
			t.Errorf("totals depend on who asked first:\n%s", d)
		}
	})
}

func TestCallsVisitsInOrderAndFilters(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		ctx := context.Background()
		for i := range 20 {
			q := ask(fmt.Sprint("task ", i))
			if _, err := l.Generator("questioner", "w0", new(model)).Generate(ctx, q, lm.Sampling{}); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Scorer("scorer", "w0", new(model)).LogProb(ctx, q, "gold"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Scorer("scorer", "w0", &model{err: lm.ErrEmptyTarget}).LogProb(ctx, ask("x"), ""); !errors.Is(err, lm.ErrEmptyTarget) {
			t.Fatal(err)
		}
		var last ledger.Call
		seen := map[ledger.Kind]int{}
		failed := 0
		err := l.Calls(ctx, ledger.Filter{}, func(c ledger.Call) error {
			if c.Role < last.Role || c.Role == last.Role && c.Key.String() <= last.Key.String() {
				t.Errorf("%s %s follows %s %s", c.Role, c.Key, last.Role, last.Key)
			}
			last = c
			seen[c.Kind]++
			switch {
			case c.Err != nil:
				failed++
			case c.Kind == ledger.Generate && c.Completion.Text == "", c.Kind == ledger.Score && c.LogProb.Sum == 0:
				t.Errorf("call %s has no result", c.Key)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[ledger.Kind]int{ledger.Generate: 20, ledger.Score: 21}, seen); d != "" || failed != 1 {
			t.Errorf("%d failed, want 1; visited:\n%s", failed, d)
		}
		for _, f := range []struct {
			filter ledger.Filter
			want   int
		}{
			{ledger.Filter{Role: "questioner"}, 20}, {ledger.Filter{Kind: ledger.Score}, 21}, {ledger.Filter{Model: "w0"}, 41},
			{ledger.Filter{Role: "questioner", Kind: ledger.Score}, 0}, {ledger.Filter{Model: "w1"}, 0},
		} {
			n := 0
			if err := l.Calls(ctx, f.filter, func(ledger.Call) error { n++; return nil }); err != nil || n != f.want {
				t.Errorf("%+v: visited %d, want %d; %v", f.filter, n, f.want, err)
			}
		}
		stop := errors.New("enough")
		if err := l.Calls(ctx, ledger.Filter{}, func(ledger.Call) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("got %v, want the visitor's error", err)
		}
	})
}

func TestOpenReaderSeesALiveRun(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		path := fresh()
		l := open(t, path)
		r, err := ledger.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		if _, err := l.Generator("questioner", "w0", new(model)).Generate(context.Background(), ask("a"), lm.Sampling{}); err != nil {
			t.Fatal(err)
		}
		totals, err := r.Totals(context.Background())
		if err != nil || len(totals) != 1 || totals[0].Made != 1 {
			t.Errorf("totals %+v, error %v", totals, err)
		}
		id, err := r.Identity(context.Background())
		if err != nil || id != run {
			t.Errorf("identity %+v, error %v; want %+v", id, err, run)
		}
	})
}
