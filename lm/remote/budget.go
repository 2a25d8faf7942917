package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"stargate/lm"
)

// ErrBudget: the call was not made, because it might exceed the run's limit of money or
// tokens. What was finished is kept; with a higher limit the run goes on.
var ErrBudget = errors.New("the budget is used up")

// Limits are what a run may spend in all. Zero is no limit.
type Limits struct {
	Cost   float64 `yaml:"max_cost" json:"max_cost,omitempty"`     // in the currency of the prices
	Tokens int64   `yaml:"max_tokens" json:"max_tokens,omitempty"` // prompts and answers together
}

// Budget is one purse for all roles of a run. A call reserves the most that it can cost
// before it is made, and settles what it did cost afterwards, so calls in flight at the same
// time cannot exceed the limits together. While a reservation does not fit only because of
// calls in flight, it waits for them: they usually cost less than they might.
//
// It is safe for concurrent use.
type Budget struct {
	limits Limits

	mu       sync.Mutex
	accounts []*Account
	freed    chan struct{} // closed and renewed when something is settled

	shared // with other processes
}

// NewBudget makes a purse.
func NewBudget(l Limits) *Budget { return &Budget{limits: l, freed: make(chan struct{})} }

// Account is what one role spends of a budget.
type Account struct {
	budget *Budget
	role   string
	price  Price
	spent  Spend // guarded by budget.mu
	before Spend // of that, by others and earlier
	held   Spend // reserved by calls in flight
	unsure int64 // calls whose usage the server did not tell
}

// Spend is what calls cost.
type Spend struct {
	Calls     int64 `json:"calls"`
	TokensIn  int64 `json:"tokens_in"`
	TokensOut int64 `json:"tokens_out"`
}

func (s *Spend) add(t Spend) {
	s.Calls, s.TokensIn, s.TokensOut = s.Calls+t.Calls, s.TokensIn+t.TokensIn, s.TokensOut+t.TokensOut
}

func (s *Spend) sub(t Spend) { s.add(Spend{-t.Calls, -t.TokensIn, -t.TokensOut}) }

// Statement is what a role has spent.
type Statement struct {
	Role string `json:"role"`
	Spend
	Cost float64 `json:"cost"`
	// Estimated are calls whose usage the server did not tell: they count as what was reserved.
	Estimated int64 `json:"estimated,omitempty"`
}

// Account opens the account of a role; the same role has the same account, at the price it
// was opened with.
func (b *Budget) Account(role string, p Price) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.accounts {
		if a.role == role && a.price == p {
			return a
		}
	}
	a := &Account{budget: b, role: role, price: p}
	b.accounts = append(b.accounts, a)
	return a
}

// Statements are all accounts, in the order in which they were opened.
func (b *Budget) Statements() []Statement {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Statement, len(b.accounts))
	for i, a := range b.accounts {
		out[i] = a.statement()
	}
	return out
}

// Cost is what all roles have spent. It is computed from the counts of tokens, so it does not
// depend on the order of calls.
func (b *Budget) Cost() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.amount(func(a *Account) Spend { return a.spent }).Cost
}

func (a *Account) statement() Statement {
	return Statement{Role: a.role, Spend: a.spent, Cost: a.price.Cost(a.spent.TokensIn, a.spent.TokensOut), Estimated: a.unsure}
}

// Statement is what this role has spent.
func (a *Account) Statement() Statement {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	return a.statement()
}

// Add counts calls that were paid before: those in the ledger of a run that goes on.
func (a *Account) Add(s Spend) {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	a.spent.add(s)
	a.before.add(s)
}

func (b *Budget) amount(of func(*Account) Spend) (sum Amount) {
	for _, a := range b.accounts {
		s := of(a)
		sum.Tokens += s.TokensIn + s.TokensOut
		sum.Cost += a.price.Cost(s.TokensIn, s.TokensOut)
	}
	return sum
}

// Hold is a reservation for one call.
type Hold struct {
	account *Account
	most    Spend
	once    sync.Once
}

// Reserve sets aside what a call with at most in prompt tokens and out answer tokens can
// cost. It fails with [ErrBudget] when the limits leave no room for it, even if every call in
// flight cost nothing. A nil account has no limits and counts nothing.
func (a *Account) Reserve(ctx context.Context, in, out int) (*Hold, error) {
	if a == nil {
		return nil, nil
	}
	h := &Hold{account: a, most: Spend{1, int64(in), int64(out)}}
	b := a.budget
	if b.pool != nil {
		return h, b.draw(ctx, h)
	}
	for {
		b.mu.Lock()
		fits, never := b.fits(h)
		if fits {
			a.held.add(h.most)
			b.mu.Unlock()
			return h, nil
		}
		freed := b.freed
		var err error
		if never {
			err = b.refuse(h, b.limits, b.amount(func(a *Account) Spend { return a.spent }))
		}
		b.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fits says whether a reservation fits now, or never will.
func (b *Budget) fits(h *Hold) (now, never bool) {
	need := h.amount()
	over := func(have Amount) bool {
		return b.limits.Tokens > 0 && need.Tokens > 0 && have.Tokens+need.Tokens > b.limits.Tokens || b.limits.Cost > 0 && need.Cost > 0 && have.Cost+need.Cost > b.limits.Cost
	}
	if !over(b.amount(func(a *Account) Spend { s := a.spent; s.add(a.held); return s })) {
		return true, false
	}
	return false, over(b.amount(func(a *Account) Spend { return a.spent }))
}

// amount is what h reserves.
func (h *Hold) amount() Amount {
	return Amount{h.most.TokensIn + h.most.TokensOut, h.account.price.Cost(h.most.TokensIn, h.most.TokensOut)}
}

// refuse says why, with the numbers.
func (b *Budget) refuse(h *Hold, l Limits, spent Amount) error {
	var parts, flags []string
	need := h.amount()
	if l.Cost > 0 && spent.Cost+need.Cost > l.Cost {
		parts = append(parts, fmt.Sprintf("%.4f of %.4f is spent and the next call of the %s may cost %.4f", spent.Cost, l.Cost, h.account.role, need.Cost))
		flags = append(flags, "max_cost")
	}
	if l.Tokens > 0 && spent.Tokens+need.Tokens > l.Tokens {
		parts = append(parts, fmt.Sprintf("%d of %d tokens are spent and the next call of the %s may take %d", spent.Tokens, l.Tokens, h.account.role, need.Tokens))
		flags = append(flags, "max_tokens")
	}
	return fmt.Errorf("%w: %s; everything finished is kept: raise %s and repeat the command to go on", ErrBudget, strings.Join(parts, ", and "), strings.Join(slices.Compact(flags), " and "))
}

// Settle replaces the reservation by what the call did cost. Only the first of Settle,
// Estimate and Release counts.
func (h *Hold) Settle(u lm.Usage) {
	h.end(func(a *Account) { a.spent.add(Spend{1, int64(u.PromptTokens), int64(u.CompletionTokens)}) })
}

// Estimate settles a call whose usage the server did not tell: it counts as what was reserved.
func (h *Hold) Estimate() {
	h.end(func(a *Account) { a.spent.add(h.most); a.unsure++ })
}

// Release gives the reservation of a call back that cost nothing.
func (h *Hold) Release() { h.end(func(*Account) {}) }

func (h *Hold) end(settle func(*Account)) {
	if h == nil {
		return
	}
	h.once.Do(func() {
		b := h.account.budget
		b.mu.Lock()
		defer b.mu.Unlock()
		h.account.held.sub(h.most)
		settle(h.account)
		b.wake()
	})
}

// wake has those look again who wait.
func (b *Budget) wake() {
	close(b.freed)
	b.freed = make(chan struct{})
}
