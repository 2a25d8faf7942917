package ledger_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"stargate/ledger"
	"stargate/ledger/pgtest"
)

func nothing(context.Context) (ledger.Amount, error) { return ledger.Amount{}, nil }

// allow asks for one call of some tokens.
func allow(t *testing.T, l *ledger.Ledger, spent, held, need int64) ledger.Allowed {
	t.Helper()
	out, several, err := l.Allow(t.Context(), ledger.Asking{
		Spent: ledger.Amount{Tokens: spent}, Held: ledger.Amount{Tokens: held}, Need: ledger.Amount{Tokens: need}, Want: ledger.Amount{Tokens: 2 * need},
		Before: func(context.Context) (ledger.Amount, error) { return ledger.Amount{Tokens: 100}, nil },
	})
	if err != nil || !several {
		t.Fatalf("%v, several: %v", err, several)
	}
	return out
}

// Two processes share a limit: what one was granted, the other cannot have until it is given back.
func TestAllow(t *testing.T) {
	place := pgtest.Shared(t).Fresh()
	a, b := open(t, place), open(t, place)
	must(t, a.Limit(t.Context(), ledger.Amount{Tokens: 1000, Cost: 5}))
	if got := allow(t, a, 0, 0, 100); !got.Fits || got.Granted.Tokens != 200 || got.Spent.Tokens != 100 || got.Limit != (ledger.Amount{Tokens: 1000, Cost: 5}) {
		t.Errorf("the first: %+v", got)
	}
	if got := allow(t, b, 0, 0, 700); !got.Fits || got.Granted.Tokens != 700 { // 100 before, 200 the other's
		t.Errorf("all that is left: %+v", got)
	}
	if got := allow(t, a, 150, 50, 100); got.Fits || got.Never || got.Granted.Tokens != 200 {
		t.Errorf("what the other holds: %+v", got)
	}
	if got := allow(t, b, 300, 0, 0); !got.Fits || got.Granted.Tokens != 300 { // gives 400 back
		t.Errorf("only told: %+v", got)
	}
	if got := allow(t, a, 200, 0, 100); !got.Fits || got.Granted.Tokens != 300 { // a quarter of the 400 left is the least
		t.Errorf("after that: %+v", got)
	}
	if got := allow(t, a, 200, 0, 401); got.Fits || !got.Never || got.Spent.Tokens != 600 {
		t.Errorf("more than is left in all: %+v", got)
	}
	must(t, b.Limit(t.Context(), ledger.Amount{Tokens: 2000}))
	if got := allow(t, a, 200, 0, 401); !got.Fits {
		t.Errorf("a raised limit counts at once: %+v", got)
	}
	if most, err := a.Limits(t.Context()); most.Tokens != 2000 || err != nil {
		t.Errorf("limits %+v, %v", most, err)
	}
}

// What a process that is gone had been granted counts as spent while others go on. When nobody
// spends any more, what the ledger holds is what was spent.
func TestAllowAfterDeath(t *testing.T) {
	place := pgtest.Shared(t).Fresh()
	a, b := open(t, place), open(t, place)
	must(t, a.Limit(t.Context(), ledger.Amount{Tokens: 1000}))
	allow(t, a, 0, 0, 10)
	allow(t, b, 0, 0, 600)
	must(t, b.Close())
	if got := allow(t, a, 10, 0, 291); got.Fits || !got.Never { // 100 before, 10 spent, 600 gone
		t.Errorf("of a process that is gone: %+v", got)
	}
	must(t, a.Close())
	c := open(t, place)
	if got := allow(t, c, 0, 0, 900); !got.Fits || got.Spent.Tokens != 100 {
		t.Errorf("when nobody is left: %+v", got)
	}
}

// Ten processes at once are granted no more than the limit.
func TestAllowTogether(t *testing.T) {
	place := pgtest.Shared(t).Fresh()
	var wg sync.WaitGroup
	var mu sync.Mutex
	granted := int64(0)
	must(t, open(t, place).Limit(t.Context(), ledger.Amount{Tokens: 5000}))
	for range 10 {
		l := open(t, place)
		wg.Go(func() {
			var last ledger.Allowed
			for range 20 {
				out, _, err := l.Allow(context.Background(), ledger.Asking{Held: last.Granted, Need: ledger.Amount{Tokens: 30}, Want: ledger.Amount{Tokens: 90}, Before: nothing})
				if err != nil {
					t.Error(err)
					return
				}
				last = out
			}
			mu.Lock()
			defer mu.Unlock()
			granted += last.Granted.Tokens
		})
	}
	wg.Wait()
	if granted > 5000 || granted < 4900 {
		t.Errorf("%d of 5000 granted", granted)
	}
}

func TestAFileHasNobodyToShareWith(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	must(t, l.Limit(t.Context(), ledger.Amount{Tokens: 1}))
	if _, several, err := l.Allow(t.Context(), ledger.Asking{Before: nothing}); several || err != nil {
		t.Error(several, err)
	}
}
