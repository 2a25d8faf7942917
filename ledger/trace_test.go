package ledger_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger"
	"stargate/lm"
)

// A call that a watcher traces is stored with its span, and so is an attempt that failed; a
// replayed call and one that nobody traces add nothing. What the ledger is compared by stays
// the same, and a copy has the spans too.
func TestSpansOfCalls(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		ctx := t.Context()
		traced, plain := open(t, fresh()), open(t, fresh())
		spans := 0
		traced.Watch(func(ctx context.Context, a ledger.Asked) (context.Context, func(ledger.Ended)) {
			if a.Role != "judge" {
				spans++
				ctx = ledger.InSpan(ctx, ledger.Span{Trace: [16]byte{1}, ID: [8]byte{7: byte(spans)}})
			}
			return ctx, func(ledger.Ended) {}
		})
		away := errors.New("away")
		for _, l := range []*ledger.Ledger{traced, plain} {
			if _, err := l.Generator("questioner", "w", &model{err: away}).Generate(ctx, ask("a"), lm.Sampling{}); !errors.Is(err, away) {
				t.Fatal(err)
			}
			for range 2 {
				_, err := l.Generator("questioner", "w", new(model)).Generate(ctx, ask("a"), lm.Sampling{})
				must(t, err)
			}
			_, err := l.Generator("judge", "w", new(model)).Generate(ctx, ask("b"), lm.Sampling{})
			must(t, err)
		}
		key, other := ledger.GenerateKey("w", ask("a"), lm.Sampling{}), ledger.GenerateKey("w", ask("b"), lm.Sampling{})
		want := []ledger.Span{{Trace: [16]byte{1}, ID: [8]byte{7: 1}}, {Trace: [16]byte{1}, ID: [8]byte{7: 2}}}
		copied := open(t, filepath.Join(t.TempDir(), "ledger.db"))
		_, err := ledger.Copy(ctx, traced.Reader, copied, nil)
		must(t, err)
		for _, l := range []*ledger.Ledger{traced, copied} {
			got, err := l.Spans(ctx, key)
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("%v\n%s", err, d)
			}
			if got, err := l.Spans(ctx, other); len(got) > 0 || err != nil {
				t.Errorf("a call that nobody traced: %v, %v", got, err)
			}
		}
		if s := want[0].String(); s != "01000000000000000000000000000000-0000000000000001" {
			t.Error(s)
		}
		a, err := traced.Contents(ctx)
		must(t, err)
		b, err := plain.Contents(ctx)
		must(t, err)
		if d := cmp.Diff(b, a); d != "" {
			t.Errorf("traces are part of the contents:\n%s", d)
		}
	})
}

func TestCallByKey(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		_, err := l.Generator("questioner", "w", new(model)).Generate(t.Context(), ask("a"), lm.Sampling{})
		must(t, err)
		key := ledger.GenerateKey("w", ask("a"), lm.Sampling{})
		read, err := ledger.ParseKey(key.String())
		if err != nil || read != key {
			t.Fatal(read, err)
		}
		c, found, err := l.Call(t.Context(), key)
		if err != nil || !found || c.Role != "questioner" || c.Kind != ledger.Generate || c.Key != key || c.Completion.Text == "" {
			t.Errorf("%+v, %v, %v", c, found, err)
		}
		if _, found, err := l.Call(t.Context(), ledger.Key{}); found || err != nil {
			t.Errorf("a call that is not there: %v, %v", found, err)
		}
	})
	for _, bad := range []string{"", "ab", "zz"} {
		if _, err := ledger.ParseKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}
