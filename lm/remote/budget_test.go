package remote_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"stargate/lm"
	"stargate/lm/remote"
)

func TestBudgetRefusesBeforeItIsExceeded(t *testing.T) {
	b := remote.NewBudget(remote.Limits{Cost: 1})
	oracle := b.Account("oracle", remote.Price{Input: 100, Output: 1000}) // per million
	judge := b.Account("judge", remote.Price{Input: 100, Output: 1000})
	h, err := oracle.Reserve(t.Context(), 1000, 500) // at most 0.1 + 0.5
	if err != nil {
		t.Fatal(err)
	}
	h.Settle(lm.Usage{PromptTokens: 900, CompletionTokens: 100}) // 0.09 + 0.1
	h.Settle(lm.Usage{PromptTokens: 900, CompletionTokens: 100}) // counts once
	if h, err = judge.Reserve(t.Context(), 100, 700); err != nil {
		t.Fatal(err)
	}
	h.Estimate() // 0.01 + 0.7, since the server did not tell
	_, err = judge.Reserve(t.Context(), 100, 95)
	if !errors.Is(err, remote.ErrBudget) || !strings.Contains(err.Error(), "0.9000 of 1.0000") || !strings.Contains(err.Error(), "judge") || !strings.Contains(err.Error(), "raise max_cost") {
		t.Errorf("a call for 0.105 with 0.1 left: %v", err)
	}
	if h, err = judge.Reserve(t.Context(), 100, 90); err != nil {
		t.Errorf("a call for all that is left: %v", err)
	}
	h.Release()
	if got, want := b.Statements(), []remote.Statement{
		{Role: "oracle", Spend: remote.Spend{Calls: 1, TokensIn: 900, TokensOut: 100}, Cost: 0.19},
		{Role: "judge", Spend: remote.Spend{Calls: 1, TokensIn: 100, TokensOut: 700}, Cost: 0.71, Estimated: 1},
	}; got[0] != want[0] || got[1] != want[1] {
		t.Errorf("the statements are %+v, want %+v", got, want)
	}
}

// A run that goes on has what was paid before on its accounts.
func TestBudgetCountsWhatWasPaidBefore(t *testing.T) {
	b := remote.NewBudget(remote.Limits{Tokens: 1000})
	a := b.Account("questioner", remote.Price{})
	a.Add(remote.Spend{Calls: 9, TokensIn: 700, TokensOut: 200})
	if _, err := a.Reserve(t.Context(), 60, 60); !errors.Is(err, remote.ErrBudget) || !strings.Contains(err.Error(), "900 of 1000 tokens") {
		t.Errorf("120 tokens with 100 left: %v", err)
	}
	if b.Account("questioner", remote.Price{}) != a {
		t.Error("the role has two accounts")
	}
}

// What fits only once others are settled waits for them; the end of the context ends it.
func TestBudgetWaitsForCallsInFlight(t *testing.T) {
	b := remote.NewBudget(remote.Limits{Tokens: 100})
	a := b.Account("x", remote.Price{})
	first, err := a.Reserve(t.Context(), 10, 80)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Reserve(ctx, 10, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting without time: %v", err)
	}
	got := make(chan error)
	go func() {
		h, err := a.Reserve(t.Context(), 10, 50)
		h.Release()
		got <- err
	}()
	first.Settle(lm.Usage{PromptTokens: 10, CompletionTokens: 5})
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// Whatever calls cost, up to what they reserve, and however they overlap, the limits hold,
// and a refused call would not have fitted.
func TestBudgetHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := remote.Limits{Tokens: rapid.Int64Range(1, 2000).Draw(t, "tokens"), Cost: rapid.Float64Range(0.0001, 0.01).Draw(t, "cost")}
		b := remote.NewBudget(limits)
		type call struct{ in, out, usedIn, usedOut int }
		calls := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) call {
			c := call{in: rapid.IntRange(0, 300).Draw(t, "in"), out: rapid.IntRange(0, 300).Draw(t, "out")}
			c.usedIn, c.usedOut = rapid.IntRange(0, c.in).Draw(t, "used in"), rapid.IntRange(0, c.out).Draw(t, "used out")
			return c
		}), 1, 40).Draw(t, "calls")
		var wg sync.WaitGroup
		var failures atomic.Int64
		for i, c := range calls {
			a := b.Account([]string{"oracle", "judge"}[i%2], remote.Price{Input: float64(1 + i%2), Output: 10})
			wg.Go(func() {
				h, err := a.Reserve(context.Background(), c.in, c.out)
				if err != nil {
					if !errors.Is(err, remote.ErrBudget) {
						failures.Add(1)
					}
					return
				}
				h.Settle(lm.Usage{PromptTokens: c.usedIn, CompletionTokens: c.usedOut})
			})
		}
		wg.Wait()
		tokens := int64(0)
		for _, s := range b.Statements() {
			tokens += s.TokensIn + s.TokensOut
		}
		if failures.Load() > 0 || tokens > limits.Tokens || b.Cost() > limits.Cost {
			t.Fatalf("%d tokens and %g of %+v, %d strange errors", tokens, b.Cost(), limits, failures.Load())
		}
	})
}

// The client pays for what it asks, repeated answers included, and stops before the limit.
func TestClientStopsBeforeTheLimit(t *testing.T) {
	var asked atomic.Int64
	server := flaky(says(good), 0)
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			asked.Add(1)
		}
		server.ServeHTTP(w, r)
	}))
	budget := remote.NewBudget(remote.Limits{Cost: 0.002})
	role := remote.Role{URL: url, Model: "gpt-tiny", Price: remote.Price{Input: 10, Output: 30}} // a call costs 9·10 + 2·30 = 150 per million
	client := open(t, role, remote.Options{Account: budget.Account("oracle", role.Price)})
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 40 {
		wg.Go(func() {
			_, err := client.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: "Hello?"}}, lm.Sampling{MaxTokens: 5})
			if errors.Is(err, remote.ErrBudget) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := budget.Statements()[0]
	if s.Calls != asked.Load() || s.Calls < 5 || refused.Load() != 41-s.Calls || s.Cost > 0.002 || client.Counts().Calls[remote.OverBudget] != refused.Load() {
		t.Errorf("%+v after %d requests, %d refused, outcomes %v", s, asked.Load(), refused.Load(), client.Counts())
	}
}
