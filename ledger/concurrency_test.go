package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"stargate/ledger"
	"stargate/lm"
)

type generatorFunc func(ctx context.Context) (lm.Completion, error)

func (f generatorFunc) Generate(ctx context.Context, _ lm.Chat, _ lm.Sampling) (lm.Completion, error) {
	return f(ctx)
}

func TestConcurrentIdenticalRequestsAreMadeOnce(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		inner := new(model)
		var wg sync.WaitGroup
		for caller := range 64 {
			g := l.Generator([]string{"questioner", "evaluation"}[caller%2], "w0", inner)
			wg.Go(func() {
				for seed := range uint64(50) {
					c, err := g.Generate(context.Background(), ask("a"), lm.Sampling{Seed: seed})
					if err != nil || len(c.Tokens) != 3 {
						t.Errorf("seed %d: %+v, %v", seed, c, err)
						return
					}
					c.Tokens[0] = -1 // a caller owns its result
				}
			})
		}
		wg.Wait()
		if n := inner.calls.Load(); n != 50 {
			t.Errorf("the model was asked %d times, want 50", n)
		}
		totals, err := l.Totals(context.Background())
		must(t, err)
		if len(totals) != 2 || totals[0].Made != 50 || totals[1].Made != 50 {
			t.Errorf("totals %+v, want 50 calls for each role", totals)
		}
		must(t, l.Calls(context.Background(), ledger.Filter{}, func(c ledger.Call) error {
			if c.Completion.Tokens[0] != 1 {
				t.Errorf("a caller's change reached the stored call %s", c.Key)
			}
			return nil
		}))
	})
}

// When the caller that makes a shared call is cancelled, one that waits takes over.
func TestWaitingCallerTakesOver(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		first, cancel := context.WithCancel(context.Background())
		started := make(chan struct{})
		calls := 0
		g := l.Generator("questioner", "w0", generatorFunc(func(ctx context.Context) (lm.Completion, error) {
			calls++ // the two calls are one after the other
			if calls == 1 {
				close(started)
				<-ctx.Done()
				return lm.Completion{}, ctx.Err()
			}
			return lm.Completion{Text: "second"}, nil
		}))
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := g.Generate(first, ask("a"), lm.Sampling{}); !errors.Is(err, context.Canceled) {
				t.Errorf("first caller: %v", err)
			}
		})
		<-started
		wg.Go(func() {
			if c, err := g.Generate(context.Background(), ask("a"), lm.Sampling{}); err != nil || c.Text != "second" {
				t.Errorf("second caller: %+v, %v", c, err)
			}
		})
		cancelled, cancelNow := context.WithCancel(context.Background())
		cancelNow()
		if _, err := g.Generate(cancelled, ask("a"), lm.Sampling{}); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that was cancelled while waiting: %v", err)
		}
		cancel()
		wg.Wait()
		totals, err := l.Totals(context.Background())
		must(t, err)
		if len(totals) != 1 || totals[0].Made != 1 || totals[0].Owed != nil {
			t.Errorf("totals %+v: a cancelled call is no failure", totals)
		}
	})
}

func TestPanicReleasesTheKey(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		l := open(t, fresh())
		g := l.Generator("questioner", "w0", generatorFunc(func(context.Context) (lm.Completion, error) { panic("bug") }))
		for range 2 { // the second would wait for ever
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic was swallowed")
					}
				}()
				_, err := g.Generate(context.Background(), ask("a"), lm.Sampling{})
				t.Errorf("it returned: %v", err)
			}()
		}
	})
}

// Close while callers are busy: every call is either recorded or refused.
func TestCloseWhileBusy(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) {
		path := fresh()
		l, err := ledger.Open(path, run)
		must(t, err)
		var mu sync.Mutex
		var given int64
		var wg sync.WaitGroup
		begun := make(chan struct{})
		var once sync.Once
		for caller := range uint64(16) {
			wg.Go(func() {
				g := l.Generator("questioner", "w0", new(model))
				for i := uint64(0); ; i++ {
					_, err := g.Generate(context.Background(), ask("a"), lm.Sampling{Seed: caller<<32 | i})
					if err != nil {
						if !errors.Is(err, ledger.ErrClosed) {
							t.Error(err)
						}
						return
					}
					mu.Lock()
					given++
					mu.Unlock()
					once.Do(func() { close(begun) })
				}
			})
		}
		<-begun
		must(t, l.Close())
		wg.Wait()
		totals, err := open(t, path).Totals(context.Background())
		must(t, err)
		if len(totals) != 1 || totals[0].Made < given {
			t.Errorf("%d calls were given out, the file has %+v", given, totals)
		}
	})
}
