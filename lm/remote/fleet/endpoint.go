package fleet

import (
	"net/http"
	"net/url"
	"time"

	"golang.org/x/time/rate"
)

// endpoint is an [Endpoint] at work. The fleet's mutex guards what changes.
type endpoint struct {
	o    Endpoint
	root *url.URL
	name string // the address, fit for people

	concurrency concurrency
	requests    *rate.Limiter // nil: no limit
	tokens      *rate.Limiter // nil: no limit
	paused      time.Time     // no calls before: the server asked for it

	inFlight  int
	load      int // tokens in flight
	busy      int // answers that it is busy, since the last other one
	failed    int // failures since the last success
	lastOK    time.Time
	answered  bool // at least once, if only to refuse
	down      bool
	downSince time.Time
	ejections int
	counts    outcomes
}

func newEndpoint(o Endpoint) (*endpoint, error) {
	root, err := o.root()
	if err != nil {
		return nil, err
	}
	return &endpoint{o: o, root: root, name: root.Redacted(), concurrency: newConcurrency(o.Start, o.Most),
		requests: perMinute(o.RequestsPerMinute), tokens: perMinute(o.TokensPerMinute)}, nil
}

// busyness is the tokens in flight for the endpoint's size.
func (e *endpoint) busyness() float64 { return float64(e.load) / e.concurrency.limit }

// wait is how long the endpoint may take no call of this load.
func (e *endpoint) wait(load int, now time.Time) time.Duration {
	w := e.paused.Sub(now)
	w = max(w, shortage(e.requests, 1, now))
	return max(w, shortage(e.tokens, load, now))
}

// shortage is how long until a limiter has n events. A call that is worth more than a second
// is let through when it has been saved up for.
func shortage(l *rate.Limiter, n int, now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	if n > l.Burst() {
		l.SetBurstAt(now, n)
	}
	missing := float64(n) - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(l.Limit())*float64(time.Second)) + time.Nanosecond // not a moment too early
}

// enter takes a place.
func (e *endpoint) enter(t *ticket, now time.Time) {
	e.inFlight++
	e.load += t.load
	if e.requests != nil {
		e.requests.AllowN(now, 1)
	}
	if e.tokens != nil {
		e.tokens.AllowN(now, t.load)
	}
}

// leave gives a place back.
func (e *endpoint) leave(load int) {
	e.inFlight--
	e.load -= load
}

// pause keeps calls away for d.
func (e *endpoint) pause(d time.Duration, now time.Time) {
	if until := now.Add(d); until.After(e.paused) {
		e.paused = until
	}
}

// usedUp is how long a provider's own count says that nothing is left: OpenAI's and
// OpenAI-compatible x-ratelimit headers.
func usedUp(h http.Header) time.Duration {
	longest := time.Duration(0)
	for _, what := range []string{"Requests", "Tokens"} {
		if h.Get("X-Ratelimit-Remaining-"+what) != "0" {
			continue
		}
		if d, err := time.ParseDuration(h.Get("X-Ratelimit-Reset-" + what)); err == nil {
			longest = max(longest, d)
		}
	}
	return longest
}
