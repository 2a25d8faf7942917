package tinker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Errors of a server.
var (
	// ErrKey: the server does not accept the API key, or wants one.
	ErrKey = errors.New("the server refuses the API key")
	// ErrFailed: the server took a request and could not do it; the text is the server's.
	ErrFailed = errors.New("the server could not do it")
	// ErrMissing: the server does not have the route, or what the request names.
	ErrMissing = errors.New("the server has no such thing")
	// errLost: whether a request was done is not known.
	errLost = errors.New("the answer was lost")
)

// client asks a server. It is for one training: it numbers nothing itself.
type client struct {
	base     *url.URL
	key      string
	http     *http.Client
	patience time.Duration // with a server that does not answer, or is overloaded
	stall    time.Duration // with a future that does not come
}

// mostAnswer bounds a JSON answer: log-probabilities of some million tokens.
const mostAnswer = 256 << 20

// repeat says whether a request may be sent again when its answer was lost.
type repeat bool

const (
	harmless repeat = true  // doing it twice is doing it once
	harmful  repeat = false // twice would be wrong: the caller decides
)

// post sends a request and reads its answer. Overload and a server that is away are waited for.
func (c *client) post(ctx context.Context, path string, body, into any, again repeat) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return c.ask(ctx, http.MethodPost, path, data, into, again)
}

func (c *client) ask(ctx context.Context, method, path string, body []byte, into any, again repeat) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.once(ctx, method, path, body, into)
		var s *statusError
		switch {
		case err == nil, ctx.Err() != nil:
			return struct{}{}, err
		case errors.As(err, &s) && s.wait():
			// The server did not take it: it says so.
			if s.after > 0 {
				return struct{}{}, backoff.RetryAfter(int(s.after.Seconds()))
			}
			return struct{}{}, err
		case errors.As(err, &s) && s.code < 500:
			return struct{}{}, backoff.Permanent(err)
		case again == harmful:
			return struct{}{}, backoff.Permanent(fmt.Errorf("%w: %w", errLost, err))
		}
		return struct{}{}, err
	}, backoff.WithBackOff(c.backOff()), backoff.WithMaxElapsedTime(c.patience))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (c *client) backOff() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 50 * time.Millisecond
	b.MaxInterval = 20 * time.Second
	return b
}

// statusError is an answer that is none.
type statusError struct {
	code     int
	text     string
	after    time.Duration
	location string // of a redirect
}

func (e *statusError) Error() string {
	return fmt.Sprintf("status %d: %s", e.code, e.text)
}

func (e *statusError) Unwrap() error {
	switch e.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrKey
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return ErrMissing
	case http.StatusGone:
		return errLost
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusConflict:
		return ErrFailed
	}
	return nil
}

// wait: the server is busy and asks for patience.
func (e *statusError) wait() bool {
	return e.code == http.StatusTooManyRequests || e.code == http.StatusServiceUnavailable || e.code == http.StatusTooEarly
}

func (c *client) once(ctx context.Context, method, path string, body []byte, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if c.key != "" {
		r.Header.Set("X-API-Key", c.key)
	}
	a, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	data, err := io.ReadAll(io.LimitReader(a.Body, mostAnswer+1))
	if err != nil {
		return err
	}
	switch {
	case a.StatusCode/100 != 2:
		return &statusError{a.StatusCode, detail(data), retryAfter(a.Header), a.Header.Get("Location")}
	case len(data) > mostAnswer:
		return backoff.Permanent(fmt.Errorf("the answer has more than %d MiB", mostAnswer>>20))
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return backoff.Permanent(fmt.Errorf("the answer is not what the protocol says: %w: %.200s", err, data))
	}
	return nil
}

// detail is the reason in an error's body: FastAPI's "detail", Tinker's "error", or the text.
func detail(data []byte) string {
	var b struct {
		Detail json.RawMessage `json:"detail"`
		Error  string          `json:"error"`
	}
	if json.Unmarshal(data, &b) == nil {
		var text string
		switch {
		case json.Unmarshal(b.Detail, &text) == nil && text != "":
			return text
		case len(b.Detail) > 0:
			return string(b.Detail)
		case b.Error != "":
			return b.Error
		}
	}
	text := strings.TrimSpace(string(data))
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// retryAfter is the header's seconds, at most two minutes.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 1 {
		return 0
	}
	return min(time.Duration(n)*time.Second, 2*time.Minute)
}

// result waits for a future.
func (c *client) result(ctx context.Context, f future, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.stall, fmt.Errorf("no result of request %s in %s", f.RequestID, c.stall))
	defer cancel()
	for {
		var data json.RawMessage
		err := c.post(ctx, "retrieve_future", retrieveRequest{f.RequestID}, &data, harmless)
		var s *statusError
		switch {
		case errors.As(err, &s) && s.code == http.StatusRequestTimeout:
			continue // the server has held the question as long as it wants to
		case errors.As(err, &s) && s.code == http.StatusNotFound:
			return fmt.Errorf("%w: the server does not know request %s (any more)", errLost, f.RequestID)
		case err != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		var answer struct {
			Type  string `json:"type"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(data, &answer); err == nil {
			if answer.Type == "try_again" {
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
				}
				continue
			}
			if answer.Error != "" {
				return fmt.Errorf("%w: %s", ErrFailed, answer.Error)
			}
		}
		if into == nil {
			return nil
		}
		if err := json.Unmarshal(data, into); err != nil {
			return fmt.Errorf("the result of request %s is not what the protocol says: %w: %.200s", f.RequestID, err, data)
		}
		return nil
	}
}
