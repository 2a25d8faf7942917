package remote

import (
	"context"
	"time"
)

// Amount is what calls cost: tokens, prompts and answers together, and money in the currency
// of their prices.
type Amount struct {
	Tokens int64
	Cost   float64
}

// Pool is what several processes may spend together. What one of them is granted no other one is.
type Pool interface {
	// Draw asks that this process may spend more.
	Draw(ctx context.Context, d Draw) (Drawn, error)
}

// Draw is what a process asks of a pool.
type Draw struct {
	Spent Amount // by it, since its budget was made
	Held  Amount // for its calls in flight
	Need  Amount // for the next one; 0: it only tells, and gives back what it does not need
	Want  Amount // at most, so that it need not ask for each call
}

// Drawn is a pool's answer.
type Drawn struct {
	Granted Amount // since its budget was made, in all
	Fits    bool   // Granted has room for Spent, Held and Need
	Never   bool   // it would have none even if all calls in flight, of all processes, cost nothing
	Spent   Amount // by all, as far as they told
	Limits  Limits
}

// shared is what a budget knows of its pool; guarded by its mu.
type shared struct {
	pool    Pool
	granted Amount
	asking  bool      // the pool; nothing is reserved meanwhile
	again   time.Time // when to ask again, after it had nothing
}

const (
	// callsAtOnce is for how many calls as dear as the next one a process asks.
	callsAtOnce = 64
	// poolPoll is how long to wait for what other processes hold before asking again.
	poolPoll = 200 * time.Millisecond
)

// Share has the budget draw what its calls may cost from a pool, whose limits then count instead of
// its own. Call it before the first reservation.
func (b *Budget) Share(p Pool) { b.pool = p }

// draw makes the reservation h, as Reserve does, out of the pool.
func (b *Budget) draw(ctx context.Context, h *Hold) error {
	need := h.amount()
	for {
		b.mu.Lock()
		if !b.asking && b.covers(need) {
			h.account.held.add(h.most)
			b.mu.Unlock()
			return nil
		}
		freed, wait := b.freed, time.Until(b.again)
		b.mu.Unlock()
		if wait <= 0 {
			got, asked, err := b.ask(ctx, Draw{Need: need, Want: Amount{callsAtOnce * need.Tokens, callsAtOnce * need.Cost}})
			switch {
			case err != nil:
				return err
			case asked && got.Never:
				return b.refuse(h, got.Limits, got.Spent)
			case asked: // there is room, or there is none for now
				continue
			}
			wait = poolPoll // somebody else asks, and wakes whoever waits
		}
		later := time.NewTimer(wait)
		select {
		case <-freed:
		case <-later.C:
		case <-ctx.Done():
		}
		later.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// ask asks the pool, unless somebody does.
func (b *Budget) ask(ctx context.Context, d Draw) (got Drawn, asked bool, err error) {
	b.mu.Lock()
	if b.asking {
		b.mu.Unlock()
		return got, false, nil
	}
	b.asking = true
	d.Spent, d.Held = b.own()
	b.mu.Unlock()
	got, err = b.pool.Draw(ctx, d)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking = false
	if err != nil { // whether the pool took back what this process does not need is not known
		got.Granted = Amount{d.Spent.Tokens + d.Held.Tokens, d.Spent.Cost + d.Held.Cost}
	}
	if b.granted = got.Granted; err == nil && !got.Fits {
		b.again = time.Now().Add(poolPoll)
	}
	b.wake()
	return got, true, err
}

// own is what this process has spent, and what it holds.
func (b *Budget) own() (spent, held Amount) {
	// Costs are computed of counts, so that their sums do not depend on the order of calls.
	spent = b.amount(func(a *Account) Spend { s := a.spent; s.sub(a.before); return s })
	return spent, b.amount(func(a *Account) Spend { return a.held })
}

// covers tells that need fits in what was granted. What costs nothing always does.
func (b *Budget) covers(need Amount) bool {
	spent, held := b.own()
	return (need.Tokens == 0 || spent.Tokens+held.Tokens+need.Tokens <= b.granted.Tokens) &&
		(need.Cost == 0 || spent.Cost+held.Cost+need.Cost <= b.granted.Cost)
}

// Return tells the pool what was spent and gives the rest of what was granted back, for other
// processes. Without a pool it does nothing.
func (b *Budget) Return(ctx context.Context) error {
	b.mu.Lock()
	needless := b.pool == nil || b.granted == Amount{}
	b.mu.Unlock()
	if needless {
		return nil
	}
	for {
		b.mu.Lock()
		freed := b.freed
		b.mu.Unlock()
		_, asked, err := b.ask(ctx, Draw{})
		if asked || err != nil {
			return err
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
