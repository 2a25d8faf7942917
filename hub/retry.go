package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// patience is how long a pull goes on with a server that fails.
type patience struct {
	tries   int           // attempts in a row that bring no byte
	first   time.Duration // wait after the first of them; the next ones grow
	longest time.Duration // longest wait of our own
	asked   time.Duration // longest wait that a server may ask for with Retry-After
	stall   time.Duration // longest silence within a download
}

// usual rides out a restart of a router or server, not an outage: what was downloaded is kept.
var usual = patience{tries: 6, first: time.Second, longest: 30 * time.Second, asked: 10 * time.Minute, stall: 30 * time.Second}

// transient marks a failure that the next attempt may not meet.
type transient struct {
	err   error
	after time.Duration // what the server asked for, 0 if nothing
}

func (t *transient) Error() string { return t.err.Error() }

// Unwrap gives backoff what it looks for beside the cause.
func (t *transient) Unwrap() []error {
	if t.after > 0 {
		return []error{t.err, &backoff.RetryAfterError{Duration: t.after}}
	}
	return []error{t.err}
}

// retry repeats an attempt while its failures are transient. An attempt that brought
// something starts the count anew.
func retry(ctx context.Context, p patience, log *slog.Logger, what string, attempt func() (progressed bool, err error)) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = p.first, p.longest
	failed := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		progressed, err := attempt()
		if progressed {
			failed = 0
			wait.Reset()
		}
		var t *transient
		switch {
		case err == nil:
			return struct{}{}, nil
		case !errors.As(err, &t):
			return struct{}{}, backoff.Permanent(err)
		case t.after > p.asked:
			return struct{}{}, backoff.Permanent(fmt.Errorf("%w; the server asks to wait %s: repeat the command then", t.err, t.after))
		}
		if failed++; failed >= p.tries {
			return struct{}{}, backoff.Permanent(fmt.Errorf("%w, %d times; repeat the command to go on", t.err, failed))
		}
		return struct{}{}, err
	},
		backoff.WithBackOff(wait),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, in time.Duration) {
			log.Warn("trying again", "what", what, "why", err, "in", in.Round(time.Millisecond))
		}))
	return err
}

// retryAfter is what a response asks for, in either form of RFC 9110, section 10.2.3.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(max(0, s)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
