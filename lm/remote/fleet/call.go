package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"stargate/lm/remote/failure"
)

var errTotal = errors.New("the time for the whole call is over")

// call makes attempts until one settles it.
type call struct {
	fleet   *Fleet
	ticket  ticket
	message message
	counts  outcomes  // of its attempts
	last    error     // of the last attempt
	first   time.Time // when the first attempt began
	pauses  *backoff.ExponentialBackOff
}

func (f *Fleet) call(ctx context.Context, only *endpoint, m message, load int) ([]byte, http.Header, error) {
	began := time.Now()
	c := &call{fleet: f, message: m, ticket: ticket{number: f.numbers.Add(1), load: max(0, load), only: only, place: make(chan place, 1)}}
	if only == nil && len(f.endpoints) > 1 && m.body != nil {
		c.ticket.prefix = f.prefixes.chain(m.body)
	}
	a, err := c.run(ctx)
	f.finished(time.Since(began), c.waited(began), err, ctx.Err() != nil)
	if err != nil {
		return nil, nil, err
	}
	return a.body, a.header, nil
}

// waited is how long the call waited for its first place.
func (c *call) waited(began time.Time) time.Duration {
	if c.first.IsZero() {
		return time.Since(began)
	}
	return c.first.Sub(began)
}

// run makes attempts. After the first failure the time for the whole call is limited.
func (c *call) run(ctx context.Context) (answer, error) {
	late := ctx
	for {
		e, err := c.fleet.acquire(late, &c.ticket)
		if err != nil {
			return answer{}, c.explain(ctx, err)
		}
		if c.first.IsZero() {
			c.first = time.Now()
		}
		a, outcome, err := c.attempt(late, e)
		if outcome == OK {
			return a, nil
		}
		c.counts[outcome]++
		if outcome == Refused || outcome == Cancelled || c.failures() >= int64(c.fleet.o.Tries) {
			return answer{}, c.explain(ctx, err)
		}
		c.last, c.ticket.failed = err, e
		end := c.first.Add(c.fleet.o.Total)
		if late == ctx {
			var cancel context.CancelFunc
			late, cancel = context.WithDeadline(ctx, end)
			defer cancel() // once: late is ctx no more
		}
		pause := c.pause(err)
		if time.Now().Add(pause).After(end) {
			return answer{}, c.explain(ctx, fmt.Errorf("%w; the next attempt would be in %s, and the whole call may take %s", err, pause.Round(time.Millisecond), c.fleet.o.Total))
		}
		if !sleep(late, pause) {
			return answer{}, c.explain(ctx, err)
		}
	}
}

// failures are the attempts that use up tries.
func (c *call) failures() int64 {
	n := int64(0)
	for _, o := range []Outcome{ServerError, Unreachable, Cut, Hung} {
		n += c.counts[o]
	}
	return n
}

// pause is how long to wait before the next attempt: what the server asks for, else longer
// each time, with jitter.
func (c *call) pause(err error) time.Duration {
	if status, ok := errors.AsType[*failure.StatusError](err); ok && status.RetryAfter > 0 {
		return status.RetryAfter
	}
	if c.pauses == nil {
		c.pauses = backoff.NewExponentialBackOff()
		c.pauses.InitialInterval = c.fleet.o.First
		c.pauses.MaxInterval = 60 * c.fleet.o.First
		c.pauses.Reset()
	}
	return c.pauses.NextBackOff()
}

// explain adds to an error what came before it. The caller's own end stays what it is.
func (c *call) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == context.DeadlineExceeded && c.last != nil { // late has ended, not the attempt
		err = fmt.Errorf("%w (%s); the last failure: %w", errTotal, c.fleet.o.Total, c.last)
	}
	attempts := int64(0)
	for _, n := range c.counts {
		attempts += n
	}
	if attempts < 2 {
		return err
	}
	return fmt.Errorf("%s: gave up after %d attempts in %s (%s): %w", c.fleet.o.Role, attempts, time.Since(c.first).Round(time.Millisecond), c.counts.failures(), err)
}

// attempt makes one exchange, or two when the first takes long and hedging is on.
func (c *call) attempt(ctx context.Context, e *endpoint) (answer, Outcome, error) {
	if c.fleet.o.Hedge > 0 {
		return c.hedged(ctx, e)
	}
	return c.fleet.settled(ctx, e, c.message, c.ticket.load)
}

// settled is an exchange whose outcome the endpoint learns, and which gives its place back.
func (f *Fleet) settled(ctx context.Context, e *endpoint, m message, load int) (answer, Outcome, error) {
	sent := time.Now()
	a, err := f.exchange(ctx, e, m)
	outcome := outcomeOf(ctx, err)
	f.settle(e, load, sent, outcome, a.header, err)
	return a, outcome, err
}

// sleep waits; false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
