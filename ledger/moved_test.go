package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger"
	"stargate/lm"
)

// shelf is a shard in memory.
type shelf map[ledger.Key]ledger.Call

func (s shelf) Body(_ context.Context, _ ledger.Shard, key ledger.Key) (ledger.Call, error) {
	c, ok := s[key]
	if !ok {
		return c, errors.New("no such call")
	}
	return c, nil
}

// A call whose body was moved is replayed as before, and is still nobody's to make.
func TestMovedBodies(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		path, ctx := fresh(), context.Background()
		l, err := ledger.Open(path, run)
		must(t, err)
		inner := new(model)
		use := func(ctx context.Context, l *ledger.Ledger) (c lm.Completion, p lm.LogProb, refused error) {
			c, err := l.Generator("questioner", "w0", inner).Generate(ctx, ask("a"), lm.Sampling{})
			if err != nil {
				return c, p, err
			}
			if p, err = l.Scorer("scorer", "w0", inner).LogProb(ctx, ask("a"), "gold"); err != nil {
				return c, p, err
			}
			_, refused = l.Scorer("scorer", "w0", &model{err: lm.ErrEmptyTarget}).LogProb(ctx, ask("a"), "")
			return c, p, refused
		}
		recorded, recorder := ledger.Recording(ctx)
		inside, partly := ledger.Recording(recorded)
		_, err = l.Generator("questioner", "w0", inner).Generate(inside, ask("a"), lm.Sampling{})
		must(t, err)
		wantC, wantP, refused := use(recorded, l)
		if !errors.Is(refused, lm.ErrEmptyTarget) {
			t.Fatal(refused)
		}
		keys := recorder.Keys()
		if len(keys) != 3 || len(partly.Keys()) != 1 {
			t.Fatalf("%d calls on record, %d of them inside; want 3 and 1", len(keys), len(partly.Keys()))
		}
		several, err := l.Several(ctx, append(append([]ledger.Key{{1}}, keys...), keys[0]))
		must(t, err)
		if len(several) != len(keys) {
			t.Errorf("%d calls of %d, one of them asked for twice and one of no call", len(several), len(keys))
		}
		for i, c := range several {
			one, _, err := l.Call(ctx, keys[i])
			must(t, err)
			if d := cmp.Diff(one, c, cmp.Comparer(func(a, b error) bool { return (a == nil) == (b == nil) })); d != "" {
				t.Error(d)
			}
		}
		shelf := shelf{}
		for _, k := range keys {
			c, found, err := l.Call(ctx, k)
			if err != nil || !found {
				t.Fatal(found, err)
			}
			shelf[k] = c
		}
		before, err := l.Totals(ctx)
		must(t, err)
		s := ledger.Shard{Name: "it1/calls/shard-000000.parquet", Digest: [32]byte{1}, Calls: 2}
		for range 2 { // twice is once
			must(t, l.MoveBodies(ctx, s, keys))
		}
		if err := l.MoveBodies(ctx, ledger.Shard{Name: s.Name, Digest: [32]byte{2}}, keys); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("another shard of that name: %v", err)
		}
		must(t, l.Close())

		l = open(t, path)
		if _, _, err := use(ctx, l); !errors.Is(err, ledger.ErrMoved) {
			t.Errorf("without the shard: %v", err)
		}
		if err := l.Calls(ctx, ledger.Filter{}, func(ledger.Call) error { return nil }); !errors.Is(err, ledger.ErrMoved) {
			t.Errorf("visiting without the shard: %v", err)
		}
		l.ReadBodies(shelf)
		gotC, gotP, err := use(ctx, l)
		if d := cmp.Diff(wantC, gotC) + cmp.Diff(wantP, gotP); d != "" || !errors.Is(err, lm.ErrEmptyTarget) {
			t.Errorf("%v\n%s", err, d)
		}
		var seen []string
		must(t, l.Calls(ctx, ledger.Filter{}, func(c ledger.Call) error {
			seen = append(seen, fmt.Sprint(c.Role, " ", c.Completion.Text, c.LogProb.Sum, c.Err))
			return nil
		}))
		if len(seen) != 3 || inner.calls.Load() != 2 {
			t.Errorf("%d calls were made; visited %q", inner.calls.Load(), seen)
		}
		after, err := l.Totals(ctx)
		if d := cmp.Diff(before, after); d != "" || err != nil {
			t.Errorf("%v\n%s", err, d)
		}
		if _, found, err := l.Call(ctx, ledger.Key{}); found || err != nil {
			t.Errorf("found %v, %v", found, err)
		}
	})
}
