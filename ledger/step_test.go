package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger"
)

type trained struct {
	Digest string    `json:"digest"`
	Loss   []float64 `json:"loss"`
}

func TestStepIsDoneOnce(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		path := fresh()
		ctx := context.Background()
		done := 0
		want := trained{Digest: "abc", Loss: []float64{1.5, 0.1}}
		for range 3 {
			l, err := ledger.Open(path, run)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := ledger.Do(ctx, l, "train m1", "train m1", func(context.Context) (trained, error) { done++; return want, nil })
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Error(d)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if done != 1 {
			t.Errorf("done %d times", done)
		}
	})
}

func TestFailedStepIsDoneAgain(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		boom := errors.New("loss is not finite")
		do := func(err error, raw string) error {
			_, err = l.Step(context.Background(), "k", "train m1", func(context.Context) (json.RawMessage, error) { return json.RawMessage(raw), err })
			return err
		}
		if err := do(boom, ""); !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
		if err := do(nil, "{not json"); err == nil {
			t.Fatal("a result that is not JSON was stored")
		}
		if err := do(nil, "{}"); err != nil {
			t.Fatal(err)
		}
		if err := do(boom, ""); err != nil {
			t.Fatalf("a stored step failed: %v", err)
		}
	})
}

func TestConcurrentStepsRunOnce(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		var done atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				n, err := ledger.Do(context.Background(), l, "k", "count", func(context.Context) (int64, error) { return done.Add(1), nil })
				if n != 1 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestDocuments(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		ctx := context.Background()
		var got trained
		if found, err := l.Get(ctx, "chosen/1/b", &got); found || err != nil {
			t.Fatalf("found %v, %v in an empty ledger", found, err)
		}
		for _, key := range []string{"chosen/1/b", "chosen/1/a", "chosen/2/a", "chosen%"} {
			if err := l.Put(ctx, key, trained{Digest: key}); err != nil {
				t.Fatal(err)
			}
		}
		if found, err := l.Get(ctx, "chosen/1/b", &got); !found || err != nil || got.Digest != "chosen/1/b" {
			t.Errorf("found %v %+v, %v", found, got, err)
		}
		if err := l.Put(ctx, "chosen/1/b", trained{Digest: "chosen/1/b"}); err != nil {
			t.Errorf("storing the same again: %v", err)
		}
		if err := l.Put(ctx, "chosen/1/b", trained{}); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("got %v, want %v", err, ledger.ErrConflict)
		}
		if err := l.Put(ctx, "after a conflict", 1); err != nil {
			t.Errorf("the conflict broke the ledger: %v", err)
		}
		var keys []string
		err := l.Documents(ctx, "chosen/1/", func(key string, body json.RawMessage) error {
			keys = append(keys, key)
			return json.Unmarshal(body, &got)
		})
		if d := cmp.Diff([]string{"chosen/1/a", "chosen/1/b"}, keys); d != "" || err != nil {
			t.Errorf("%v\n%s", err, d)
		}
	})
}
