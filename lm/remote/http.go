package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// HTTP is the plain transport: one server, net/http, patience. It keeps the role's limits of
// concurrency, rate and time, and retries what is temporary.
type HTTP struct {
	base     string
	header   http.Header // secret
	client   *http.Client
	timeout  time.Duration
	places   *semaphore.Weighted
	requests *rate.Limiter // nil: no limit
	tokens   *rate.Limiter // nil: no limit
	patience Patience
	log      *slog.Logger
}

// Patience is how long a request goes on with a server that fails.
type Patience struct {
	Tries   int           // attempts in all (default 6)
	Hung    int           // attempts that may run out of time, of those (default 2): each costs a full timeout
	First   time.Duration // wait after the first failure; the next ones grow (default 500ms)
	Longest time.Duration // longest wait of our own (default 30s)
	Asked   time.Duration // longest wait that a server may ask for (default 10m)
}

func (p Patience) withDefaults() Patience {
	set(&p.Tries, 6)
	set(&p.Hung, 2)
	set(&p.First, 500*time.Millisecond)
	set(&p.Longest, 30*time.Second)
	set(&p.Asked, 10*time.Minute)
	return p
}

// maxAnswer is the most bytes of an answer: log-probabilities of a prompt of 100,000 tokens
// are about 10 MiB.
const maxAnswer = 256 << 20

// HTTPOptions are what a transport needs besides its role. Zero fields mean the default.
type HTTPOptions struct {
	Client   *http.Client // nil: one with a pool as large as the role's concurrency
	Getenv   func(string) string
	Patience Patience
	Log      *slog.Logger // nil: silent
}

// NewHTTP makes the plain transport to the first address of a role. It fails when the role is
// not valid or its key is not in the environment.
func NewHTTP(r Role, o HTTPOptions) (*HTTP, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	r = r.withDefaults()
	if len(r.Addresses()) > 1 {
		return nil, fmt.Errorf("%w: urls: the plain transport has one server; several need package fleet", ErrRole)
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	header, err := r.Header(o.Getenv)
	if err != nil {
		return nil, err
	}
	h := &HTTP{base: r.Addresses()[0], header: header, client: o.Client, timeout: time.Duration(r.Timeout),
		places: semaphore.NewWeighted(int64(r.Concurrency)), patience: o.Patience.withDefaults(), log: o.Log}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.client == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConns, t.MaxIdleConnsPerHost = r.Concurrency, r.Concurrency
		// A redirect would carry the key, or turn POST into GET.
		h.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if n := r.Rate.Requests; n > 0 {
		h.requests = rate.NewLimiter(rate.Limit(n/60), max(1, int(n/60)))
	}
	if n := r.Rate.Tokens; n > 0 {
		h.tokens = rate.NewLimiter(rate.Limit(n/60), max(1, int(n)))
	}
	return h, nil
}

// Post implements [Transport].
func (h *HTTP) Post(ctx context.Context, path string, body []byte, load int) ([]byte, http.Header, error) {
	return h.do(ctx, http.MethodPost, path, body, load)
}

// Get implements [Transport].
func (h *HTTP) Get(ctx context.Context, path string) ([]byte, http.Header, error) {
	return h.do(ctx, http.MethodGet, path, nil, 0)
}

// Close drops idle connections.
func (h *HTTP) Close() { h.client.CloseIdleConnections() }

type exchange struct {
	body   []byte
	header http.Header
}

// do makes attempts until one settles the request.
func (h *HTTP) do(ctx context.Context, method, path string, body []byte, load int) ([]byte, http.Header, error) {
	if err := h.places.Acquire(ctx, 1); err != nil {
		return nil, nil, err
	}
	defer h.places.Release(1)
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = h.patience.First, h.patience.Longest
	tries, hung := 0, 0
	got, err := backoff.Retry(ctx, func() (exchange, error) {
		if err := h.admit(ctx, load); err != nil {
			return exchange{}, backoff.Permanent(err)
		}
		x, err := h.attempt(ctx, method, path, body)
		if err == nil {
			return x, nil
		}
		tries++
		var status *StatusError
		var none *NoAnswerError
		switch {
		case ctx.Err() != nil:
			return x, backoff.Permanent(err)
		case errors.As(err, &status):
			if !status.Temporary() {
				return x, backoff.Permanent(err)
			}
			if status.RetryAfter > h.patience.Asked {
				return x, backoff.Permanent(fmt.Errorf("%w; the server asks to wait %s: repeat the command then", err, status.RetryAfter))
			}
			if status.RetryAfter > 0 {
				err = errors.Join(err, &backoff.RetryAfterError{Duration: status.RetryAfter})
			}
		case errors.As(err, &none) && none.Hung:
			if hung++; hung >= h.patience.Hung {
				return x, backoff.Permanent(err)
			}
		case !errors.As(err, &none):
			return x, backoff.Permanent(err)
		}
		if tries >= h.patience.Tries {
			return x, backoff.Permanent(err)
		}
		return x, err
	},
		backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(0), backoff.WithMaxTries(0),
		backoff.WithNotify(func(err error, in time.Duration) {
			h.log.Debug("trying again", "path", path, "why", err, "in", in.Round(time.Millisecond))
		}))
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if tries > 1 {
			err = fmt.Errorf("%w (%d attempts)", err, tries)
		}
		return nil, nil, err
	}
	return got.body, got.header, nil
}

// admit waits until the rate allows an attempt.
func (h *HTTP) admit(ctx context.Context, load int) error {
	if h.requests != nil {
		if err := h.requests.Wait(ctx); err != nil {
			return err
		}
	}
	if h.tokens != nil && load > 0 {
		return h.tokens.WaitN(ctx, min(load, h.tokens.Burst()))
	}
	return nil
}

// attempt sends the request once.
func (h *HTTP) attempt(ctx context.Context, method, path string, body []byte) (exchange, error) {
	timed, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(timed, method, h.base+path, bytes.NewReader(body))
	if err != nil {
		return exchange{}, fmt.Errorf("request: %w", err)
	}
	r.Header = h.header.Clone()
	began := false
	failed := func(err error) error {
		if ctx.Err() != nil { // the caller gave up
			return ctx.Err()
		}
		return &NoAnswerError{Method: method, URL: Redact(r.URL.String()), Hung: timed.Err() != nil, Cut: began, Err: err}
	}
	resp, err := h.client.Do(r)
	if err != nil {
		return exchange{}, failed(err)
	}
	defer resp.Body.Close()
	began = true
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		text, err := io.ReadAll(io.LimitReader(resp.Body, MaxErrorBody))
		if err != nil && len(text) == 0 {
			text = []byte(err.Error()) // the status says enough
		}
		return exchange{}, &StatusError{Method: method, URL: Redact(r.URL.String()), Status: resp.StatusCode, Header: resp.Header,
			Body: scrub(text, h.header), RetryAfter: RetryAfter(resp.Header, time.Now())}
	}
	answer, err := readAll(resp.Body, resp.ContentLength, maxAnswer)
	switch {
	case errors.Is(err, errTooLong):
		return exchange{}, fmt.Errorf("%s %s: %w", method, Redact(r.URL.String()), err)
	case err != nil:
		return exchange{}, failed(err)
	}
	return exchange{answer, resp.Header}, nil
}

var errTooLong = errors.New("the answer is longer than anything a model server should send")

// readAll is io.ReadAll with a limit and, where the length is known, one allocation.
func readAll(r io.Reader, length, most int64) ([]byte, error) {
	var b bytes.Buffer
	if length > 0 && length <= most {
		b.Grow(int(length) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r, most+1))
	if err == nil && n > most {
		err = errTooLong
	}
	return b.Bytes(), err
}

// scrub takes the keys that a request carried out of what the server said to it.
func scrub(text []byte, sent http.Header) []byte {
	for _, name := range []string{"Authorization", "X-Api-Key"} {
		key := strings.TrimPrefix(sent.Get(name), "Bearer ")
		if key != "" {
			text = bytes.ReplaceAll(text, []byte(key), []byte("(the key)"))
		}
	}
	return text
}
