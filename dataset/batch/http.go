package batch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"stargate/lm/remote"
)

// caller makes the requests of a batch API. Asking and uploading are repeated while the
// server may do better next time; creating a job is not, because it costs money.
type caller struct {
	base   string
	header http.Header // secret
	client *http.Client
	tries  uint
	first  time.Duration // wait after the first failure
}

// A batch file of 200 MB takes minutes on a slow line.
const callTimeout = 15 * time.Minute

func newCaller(r remote.Role, getenv func(string) string) (*caller, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	header, err := r.Header(getenv)
	if err != nil {
		return nil, err
	}
	return &caller{base: r.Addresses()[0], header: header, tries: 6, first: time.Second, client: &http.Client{
		Timeout: callTimeout,
		// A redirect would carry the key away.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// again repeats what costs nothing.
func (c *caller) again(ctx context.Context, do func() error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = c.first, 30*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := do()
		var status *remote.StatusError
		switch {
		case err == nil:
			return struct{}{}, nil
		case ctx.Err() != nil:
			return struct{}{}, backoff.Permanent(ctx.Err())
		case errors.As(err, &status) && !status.Temporary():
			return struct{}{}, backoff.Permanent(err)
		case errors.As(err, &status) && status.RetryAfter > 0:
			return struct{}{}, errors.Join(err, backoff.RetryAfter(int(status.RetryAfter.Seconds()+1)))
		case errors.Is(err, errFormat):
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(c.tries), backoff.WithMaxElapsedTime(0))
	return err
}

// errFormat marks an answer that is not what the API promises.
var errFormat = errors.New("the batch API's answer is not understood")

// get asks for JSON.
func (c *caller) get(ctx context.Context, path string, into any) error {
	return c.again(ctx, func() error {
		return c.once(ctx, http.MethodGet, path, "", nil, func(r io.Reader) error { return decode(r, path, into) })
	})
}

// lines asks for JSONL and visits its lines. A transfer that breaks is begun anew, so visit
// must bear a line twice; an error of visit ends it.
func (c *caller) lines(ctx context.Context, path string, visit func(line []byte) error) error {
	var own error
	err := c.again(ctx, func() error {
		return c.once(ctx, http.MethodGet, path, "", nil, func(r io.Reader) error {
			s := bufio.NewScanner(r)
			s.Buffer(nil, 64<<20)
			for s.Scan() {
				if len(bytes.TrimSpace(s.Bytes())) == 0 {
					continue
				}
				if own = visit(s.Bytes()); own != nil {
					return fmt.Errorf("%w: %w", errFormat, own)
				}
			}
			return s.Err()
		})
	})
	if own != nil {
		return own
	}
	return err
}

// once makes one attempt. An answer whose status is not 2xx is a *[remote.StatusError].
func (c *caller) once(ctx context.Context, method, path, contentType string, body []byte, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = c.header.Clone()
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, remote.Redact(c.base+path), unwrapURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, err := io.ReadAll(io.LimitReader(resp.Body, remote.MaxErrorBody))
		return errors.Join(&remote.StatusError{Method: method, URL: remote.Redact(c.base + path), Status: resp.StatusCode, Header: resp.Header,
			Body: text, RetryAfter: remote.RetryAfter(resp.Header, time.Now())}, err)
	}
	return read(resp.Body)
}

// unwrapURL drops the address that net/http puts into its errors: it was redacted above.
func unwrapURL(err error) error {
	type wrapper interface{ Unwrap() error }
	if w, ok := err.(wrapper); ok && w.Unwrap() != nil {
		return w.Unwrap()
	}
	return err
}

// most is the largest JSON document that is not a batch's answers.
const most = 64 << 20

func decode(r io.Reader, path string, into any) error {
	data, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %s: %w", errFormat, path, err)
	}
	return nil
}
