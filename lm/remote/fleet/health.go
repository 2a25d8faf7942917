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

// ejectAfter is how many failures in a row, with no success of any call between, take an
// endpoint out.
const ejectAfter = 5

// probeTime is how long a probe may take.
const probeTime = 5 * time.Second

// settle tells an endpoint how an attempt ended, gives its place back, and lets the next
// calls in.
func (f *Fleet) settle(e *endpoint, load int, sent time.Time, o Outcome, h http.Header, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	e.counts[o]++
	switch o {
	case OK:
		e.answered, e.busy, e.failed, e.lastOK = true, 0, 0, now
		e.concurrency.success(e.inFlight)
		if d := usedUp(h); d > 0 {
			e.pause(d, now)
		}
	case Busy:
		e.answered = true
		e.concurrency.overload(sent, now, e.inFlight)
		// A server whose queue is full takes a call whenever it finishes one. A rate limit is
		// another matter: more refusals than calls in flight say that nothing gets through.
		if e.busy++; e.busy >= e.inFlight {
			e.pause(retryAfter(err), now)
		}
	case Refused:
		e.answered, e.busy, e.failed = true, 0, 0
	case Cancelled:
	default:
		e.failed++
		if o == Hung && !e.lastOK.After(sent) { // nothing came through: it is not this one connection
			e.concurrency.overload(sent, now, e.inFlight)
		}
		if e.failed >= ejectAfter || refusedConnection(err) {
			f.eject(e, err)
		}
	}
	e.leave(load)
	f.dispatch()
}

func retryAfter(err error) time.Duration {
	if status, ok := errors.AsType[*failure.StatusError](err); ok {
		return status.RetryAfter
	}
	return 0
}

// eject takes an endpoint out and begins to probe it. The mutex is held.
func (f *Fleet) eject(e *endpoint, why error) {
	if e.down || f.closed {
		return
	}
	e.down, e.downSince = true, time.Now()
	e.ejections++
	f.o.Log.Warn("a server is away; waiting for it", "role", f.o.Role, "server", e.name, "patience", f.patience(e), "error", why)
	f.background.Go(func() { f.probe(e, why) })
}

// probe asks an endpoint for any sign of life until it gives one, then lets it back in with
// a limit as at first. When all endpoints are out for too long, the calls in the queue fail.
func (f *Fleet) probe(e *endpoint, why error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = f.o.First, 30*time.Second
	pauses.Reset()
	for sleep(f.life, pauses.NextBackOff()) {
		ctx, cancel := context.WithTimeoutCause(f.life, probeTime, errHung)
		resp, err := f.roundTripper.RoundTrip(e.request(ctx, message{method: http.MethodGet, path: f.o.Probe}))
		if err == nil {
			err = resp.Body.Close()
			if err == nil && resp.StatusCode >= 500 {
				err = fmt.Errorf("GET %s%s: status %d", e.name, f.o.Probe, resp.StatusCode)
			}
		}
		cancel()
		f.mu.Lock()
		if err == nil {
			e.down, e.answered, e.failed, e.busy = false, true, 0, 0
			e.concurrency = newConcurrency(e.o.Start, e.o.Most)
			f.o.Log.Info("the server is back", "role", f.o.Role, "server", e.name, "away", time.Since(e.downSince).Round(time.Millisecond))
			f.dispatch()
			f.mu.Unlock()
			return
		}
		f.giveUp(e, why)
		f.mu.Unlock()
	}
}

// patience is how long an outage of an endpoint is waited for.
func (f *Fleet) patience(e *endpoint) time.Duration {
	if e.answered {
		return f.o.Total
	}
	return f.o.Startup
}

// giveUp fails calls that have waited for longer than a call may take: those that want an
// endpoint that is out, and all of them when none is there. The mutex is held.
func (f *Fleet) giveUp(e *endpoint, why error) {
	if out := time.Since(e.downSince); out > f.patience(e) {
		f.failWaiting(f.absent(e.name+" has been away", out, why), e)
	}
	since, patience := time.Time{}, f.o.Startup
	for _, e := range f.endpoints {
		if !e.down {
			return
		}
		if e.downSince.After(since) {
			since = e.downSince
		}
		if e.answered {
			patience = f.o.Total
		}
	}
	if out := time.Since(since); out > patience {
		f.failWaiting(f.absent("no endpoint has been there", out, why), nil)
	}
}

func (f *Fleet) absent(what string, out time.Duration, why error) error {
	return fmt.Errorf("%s: %s for %s; is the server running, and the address right? The first failure: %w", f.o.Role, what, out.Round(time.Second), why)
}
