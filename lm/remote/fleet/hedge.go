package fleet

import (
	"context"
	"errors"
	"time"
)

var errSlower = errors.New("another attempt was faster")

// result is how an attempt ended.
type result struct {
	answer  answer
	outcome Outcome
	err     error
}

// hedged makes an exchange, and after Options.Hedge a second one at another endpoint, if one
// has a place. The first answer wins and the other exchange is cancelled; a failure waits
// for the other.
func (c *call) hedged(ctx context.Context, e *endpoint) (answer, Outcome, error) {
	race, cancel := context.WithCancelCause(ctx)
	defer cancel(errSlower)
	results := make(chan result, 2)
	start := func(e *endpoint) {
		c.fleet.background.Go(func() {
			a, o, err := c.fleet.settled(race, e, c.message, c.ticket.load)
			results <- result{a, o, err}
		})
	}
	if !c.fleet.whileOpen(func() { start(e) }) {
		return c.fleet.settled(ctx, e, c.message, c.ticket.load)
	}
	timer := time.NewTimer(c.fleet.o.Hedge)
	defer timer.Stop()
	var last result
	for running := 1; running > 0; {
		select {
		case last = <-results:
			if running--; last.outcome == OK || last.outcome == Refused {
				return last.answer, last.outcome, last.err
			}
		case <-timer.C:
			c.fleet.whileOpen(func() {
				if other := c.fleet.another(&c.ticket, e); other != nil {
					start(other)
					running++
				}
			})
		}
	}
	return last.answer, last.outcome, last.err
}

// whileOpen does something under the mutex, unless the fleet is closed.
func (f *Fleet) whileOpen(do func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	do()
	return true
}

// another takes a place at another endpoint, if there is one and nobody waits for it. The
// mutex is held.
func (f *Fleet) another(t *ticket, than *endpoint) *endpoint {
	if len(f.queue) > 0 || t.only != nil {
		return nil
	}
	now := time.Now()
	second := &ticket{load: t.load, failed: than}
	e, _, _ := f.choose(second, now)
	if e == nil || e == than {
		return nil
	}
	e.enter(second, now)
	f.hedges++
	return e
}
