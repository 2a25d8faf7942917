package remote_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"stargate/lm"
	"stargate/lm/remote"
)

// memoryPool is a pool of processes in one.
type memoryPool struct {
	limits remote.Limits

	mu      sync.Mutex
	granted map[*member]remote.Amount
	spent   map[*member]remote.Amount
	asked   int
}

type member struct{ pool *memoryPool }

func (p *memoryPool) member() *member { return &member{p} }

func (m *member) Draw(_ context.Context, d remote.Draw) (out remote.Drawn, err error) {
	p := m.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	sum := func(all map[*member]remote.Amount) (s remote.Amount) {
		for other, a := range all {
			if other != m {
				s.Tokens, s.Cost = s.Tokens+a.Tokens, s.Cost+a.Cost
			}
		}
		return s
	}
	limit := remote.Amount{Tokens: math.MaxInt64, Cost: math.Inf(1)}
	if p.limits.Tokens > 0 {
		limit.Tokens = p.limits.Tokens
	}
	if p.limits.Cost > 0 {
		limit.Cost = p.limits.Cost
	}
	has := remote.Amount{Tokens: d.Spent.Tokens + d.Held.Tokens, Cost: d.Spent.Cost + d.Held.Cost}
	others, told := sum(p.granted), sum(p.spent)
	left := remote.Amount{Tokens: limit.Tokens - others.Tokens - has.Tokens, Cost: limit.Cost - others.Cost - has.Cost}
	out.Limits = p.limits
	out.Spent = remote.Amount{Tokens: told.Tokens + d.Spent.Tokens, Cost: told.Cost + d.Spent.Cost}
	out.Fits = d.Need.Tokens <= left.Tokens && d.Need.Cost <= left.Cost
	out.Never = out.Spent.Tokens+d.Need.Tokens > limit.Tokens || out.Spent.Cost+d.Need.Cost > limit.Cost
	out.Granted = has
	if out.Fits {
		out.Granted.Tokens += max(d.Need.Tokens, min(d.Want.Tokens, left.Tokens/4))
		out.Granted.Cost += max(d.Need.Cost, min(d.Want.Cost, left.Cost/4))
	}
	p.granted[m], p.spent[m] = out.Granted, d.Spent
	return out, nil
}

func newMemoryPool(l remote.Limits) *memoryPool {
	return &memoryPool{limits: l, granted: map[*member]remote.Amount{}, spent: map[*member]remote.Amount{}}
}

// Several processes that draw from one pool do not spend more than its limits together, and none
// is refused what would have fitted.
func TestBudgetsOfOnePool(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := remote.Limits{Tokens: rapid.Int64Range(1, 4000).Draw(rt, "tokens"), Cost: rapid.Float64Range(0.0001, 0.02).Draw(rt, "cost")}
		n := rapid.IntRange(1, 4).Draw(rt, "processes")
		calls := rapid.SliceOfN(rapid.IntRange(1, 300), 1, 60).Draw(rt, "calls")
		synctest.Test(t, func(t *testing.T) {
			pool := newMemoryPool(limits)
			var budgets []*remote.Budget
			for range n {
				b := remote.NewBudget(remote.Limits{})
				b.Share(pool.member())
				budgets = append(budgets, b)
			}
			busy := make([]sync.WaitGroup, n) // processes with calls to make
			var mu sync.Mutex
			least := map[int]bool{} // sizes that were refused
			for i, size := range calls {
				a := budgets[i%n].Account("oracle", remote.Price{Input: 1, Output: 10})
				busy[i%n].Go(func() {
					h, err := a.Reserve(context.Background(), size, size)
					if err != nil {
						if !errors.Is(err, remote.ErrBudget) || !strings.Contains(err.Error(), "raise max_") {
							t.Error(err)
						}
						mu.Lock()
						least[size] = true
						mu.Unlock()
						return
					}
					h.Settle(lm.Usage{PromptTokens: size, CompletionTokens: size / 2})
				})
			}
			var all sync.WaitGroup
			for i, b := range budgets {
				all.Go(func() { // who has nothing to do keeps nothing
					busy[i].Wait()
					if err := b.Return(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			var tokens int64
			var cost float64
			for _, b := range budgets {
				cost += b.Cost()
				for _, s := range b.Statements() {
					tokens += s.TokensIn + s.TokensOut
				}
			}
			if tokens > limits.Tokens || cost > limits.Cost+1e-12 {
				t.Errorf("%d tokens and %g of %+v", tokens, cost, limits)
			}
			for size := range least {
				if tokens+int64(2*size) <= limits.Tokens && cost+(remote.Price{Input: 1, Output: 10}).Cost(int64(size), int64(size)) < limits.Cost-1e-12 {
					t.Errorf("a call of %d tokens was refused with %d of %d spent, %g of %g", 2*size, tokens, limits.Tokens, cost, limits.Cost)
				}
			}
		})
	})
}

// A process asks for many calls at once, and takes what was spent before it began for spent.
func TestBudgetAsksSeldom(t *testing.T) {
	pool := newMemoryPool(remote.Limits{Tokens: 1e9})
	b := remote.NewBudget(remote.Limits{})
	b.Share(pool.member())
	a := b.Account("questioner", remote.Price{Input: 1, Output: 1})
	a.Add(remote.Spend{Calls: 10, TokensIn: 1000, TokensOut: 1000})
	for range 640 {
		h, err := a.Reserve(t.Context(), 50, 50)
		if err != nil {
			t.Fatal(err)
		}
		h.Settle(lm.Usage{PromptTokens: 50, CompletionTokens: 50})
	}
	if pool.asked > 11 {
		t.Errorf("asked %d times for 640 calls", pool.asked)
	}
	if err := b.Return(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, g := range pool.granted {
		if g.Tokens != 64000 { // what was spent before is the pool's own to know
			t.Errorf("%d tokens stay granted", g.Tokens)
		}
	}
}
