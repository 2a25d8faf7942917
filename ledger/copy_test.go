package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/lm"
)

// furnish puts some of everything into a ledger.
func furnish(t *testing.T, l *ledger.Ledger, calls int) {
	t.Helper()
	ctx := context.Background()
	odd := []string{"plain", "", "NUL \x00 and DLE \x10", "\xff stray", "ü 漢"}
	for i := range calls {
		text := odd[i%len(odd)]
		g := l.Generator([]string{"questioner", "evaluation"}[i%2], "w0", generatorFunc(func(context.Context) (lm.Completion, error) {
			return lm.Completion{Text: text, Tokens: []int32{1, int32(i)}, Finish: lm.FinishStop, Usage: lm.Usage{PromptTokens: i, CompletionTokens: 2}}, nil
		}))
		_, err := g.Generate(ctx, ask("a"), lm.Sampling{Seed: uint64(i + 1)})
		must(t, err)
	}
	_, err := l.Generator("judge", "w0", new(model)).Generate(ctx, ask("a"), lm.Sampling{Seed: 1}) // used by a second role
	must(t, err)
	_, err = l.Scorer("scorer", "w0", new(model)).LogProb(ctx, ask("a"), "gold")
	must(t, err)
	for _, failing := range []error{lm.ErrRefused, errors.New("reset \x00")} {
		if _, err := l.Generator("questioner", "w1", &model{err: failing}).Generate(ctx, ask(failing.Error()), lm.Sampling{}); err == nil {
			t.Fatal("no error")
		}
	}
	_, err = ledger.Do(ctx, l, "train m1", "train m1", func(context.Context) (string, error) { return "digest", nil })
	must(t, err)
	must(t, l.Put(ctx, "chosen/1", []string{"a", "b"}))
	must(t, l.MoveBodies(ctx, ledger.Shard{Name: "shard-000000.parquet", Digest: [32]byte{7}, Calls: 1}, []ledger.Key{ledger.GenerateKey("w0", ask("a"), lm.Sampling{Seed: 4})}))
}

func TestCopy(t *testing.T) {
	ctx := context.Background()
	const calls = 40
	a := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	furnish(t, a, calls)
	b := open(t, pgtest.Shared(t).Fresh())
	c := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	want, err := a.Contents(ctx)
	must(t, err)
	var rows []int64
	for _, p := range want {
		rows = append(rows, p.Rows)
	}
	if d := cmp.Diff([]int64{1, calls + 2, 1, 1, 1, 1}, rows); d != "" {
		t.Errorf("what was copied:\n%s", d)
	}
	for _, step := range []struct {
		from *ledger.Reader
		to   *ledger.Ledger
	}{{a.Reader, b}, {a.Reader, b}, {b.Reader, c}} { // the second time there is nothing to do
		got, err := ledger.Copy(ctx, step.from, step.to, nil)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Fatalf("%v\n%s", err, d)
		}
	}
	wantTotals, err := a.Totals(ctx)
	must(t, err)
	for _, l := range []*ledger.Ledger{b, c} {
		totals, err := l.Totals(ctx)
		if d := cmp.Diff(wantTotals, totals); d != "" || err != nil {
			t.Errorf("%v\n%s", err, d)
		}
		inner := new(model)
		got, err := l.Generator("questioner", "w0", inner).Generate(ctx, ask("a"), lm.Sampling{Seed: 3})
		if err != nil || got.Text != "NUL \x00 and DLE \x10" || inner.calls.Load() != 0 {
			t.Errorf("a copied call came back as %+v after %d calls, %v", got, inner.calls.Load(), err)
		}
	}

	// What was there before the copy and is not of it shows.
	must(t, a.Put(ctx, "later", 1))
	must(t, b.Put(ctx, "elsewhere", 1))
	if _, err := ledger.Copy(ctx, a.Reader, b, nil); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("got %v, want %v", err, ledger.ErrConflict)
	} else {
		t.Log(err)
	}
	other, err := ledger.Open(filepath.Join(t.TempDir(), "ledger.db"), ledger.Identity{Name: "other", Digest: "d2"})
	must(t, err)
	if _, err := ledger.Copy(ctx, a.Reader, other, nil); !errors.Is(err, ledger.ErrOtherRun) {
		t.Errorf("got %v, want %v", err, ledger.ErrOtherRun)
	}
	must(t, other.Close())
}

// A copy that is stopped goes on where it was, also if the source has grown meanwhile.
func TestCopyGoesOn(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		const calls = 2500
		from := open(t, filled(t, calls))
		to := open(t, fresh())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var first ledger.Copied
		if _, err := ledger.Copy(ctx, from.Reader, to, func(c ledger.Copied) { first = c; cancel() }); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		_, err := from.Generator("questioner", "w0", new(model)).Generate(context.Background(), ask("later"), lm.Sampling{})
		must(t, err)
		var seen []string
		if _, err := ledger.Copy(context.Background(), from.Reader, to, func(c ledger.Copied) { seen = append(seen, fmt.Sprint(c.Part, c.Rows)) }); err != nil {
			t.Fatal(err)
		}
		// The new call may lie before what was copied; then all of it is looked at again.
		if first.Rows != 1000 || seen[len(seen)-1] != "verify0" || seen[0] != "call2000" && seen[0] != "call1000" {
			t.Errorf("after %+v it went on with %v", first, seen)
		}
	})
}

func TestStat(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		path := fresh()
		l := open(t, path)
		furnish(t, l, 10)
		release := held(t, l, "a call that is being made")
		s, err := l.Stat(context.Background())
		must(t, err)
		if _, err := release(); err != nil {
			t.Error(err)
		}
		rows := map[string]int64{}
		for _, table := range s.Tables {
			rows[table.Name] = table.Rows
		}
		if d := cmp.Diff(map[string]int64{"call": 12, "also": 1, "failure": 1, "step": 1, "document": 1, "shard": 1, "source": 5}, rows); d != "" {
			t.Error(d)
		}
		if s.Run != run.Name || s.Identity != run.Digest || s.Moved != 1 || s.Bytes < 8192 || len(s.Roles) != 4 || s.Schema < 2 {
			t.Errorf("%+v", s)
		}
		if len(s.Workers) > 0 && (len(s.Workers) != 1 || !s.Workers[0].Alive || s.Workers[0].Claims != 1) {
			t.Errorf("workers %+v", s.Workers)
		}
	})
}
