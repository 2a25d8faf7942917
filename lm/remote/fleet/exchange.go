package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"stargate/lm/remote/failure"
)

// message is what a call sends, as often as it takes.
type message struct {
	method string
	path   string // may hold a query
	body   []byte
}

// answer is what comes back.
type answer struct {
	body   []byte
	header http.Header
}

var errHung = errors.New("the time for one attempt is over")

// exchange is one attempt: the request, and the whole answer.
func (f *Fleet) exchange(ctx context.Context, e *endpoint, m message) (answer, error) {
	timed, cancel := context.WithTimeoutCause(ctx, f.o.Attempt, errHung)
	defer cancel()
	r := e.request(timed, m)
	resp, err := f.roundTripper.RoundTrip(r)
	if err != nil {
		return answer{}, noAnswer(ctx, timed, m.method, r, false, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		text, err := io.ReadAll(io.LimitReader(resp.Body, failure.MaxErrorBody))
		if err != nil && len(text) == 0 {
			text = []byte(err.Error()) // the status says enough
		}
		return answer{}, &failure.StatusError{Method: m.method, URL: failure.Redact(r.URL.String()), Status: resp.StatusCode, Header: resp.Header,
			Body: e.scrub(text), RetryAfter: failure.RetryAfter(resp.Header, time.Now())}
	}
	body, err := readAll(resp.Body, resp.ContentLength, f.o.MaxBody)
	switch {
	case errors.Is(err, errTooLong):
		return answer{}, fmt.Errorf("%s %s: %w: more than %d bytes", m.method, failure.Redact(r.URL.String()), err, f.o.MaxBody)
	case err != nil:
		return answer{}, noAnswer(ctx, timed, m.method, r, true, err)
	}
	return answer{body, resp.Header}, nil
}

func noAnswer(ctx, timed context.Context, method string, r *http.Request, began bool, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	hung := context.Cause(timed) == errHung
	return &failure.NoAnswerError{Method: method, URL: failure.Redact(r.URL.String()), Hung: hung, Cut: began && !hung, Err: err}
}

// request is the message as one to this endpoint.
func (e *endpoint) request(ctx context.Context, m message) *http.Request {
	u := *e.root
	path, query, _ := strings.Cut(m.path, "?")
	u.Path += path
	u.RawQuery = query
	header := maps.Clone(e.o.Header) // net/http adds to it; the values are only read
	if header == nil {
		header = http.Header{}
	}
	r := &http.Request{Method: m.method, URL: &u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if m.body != nil {
		if header["Content-Type"] == nil {
			header["Content-Type"] = jsonType
		}
		r.ContentLength = int64(len(m.body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.body)), nil }
		r.Body = io.NopCloser(bytes.NewReader(m.body))
	}
	return r.WithContext(ctx)
}

var jsonType = []string{"application/json"}

// scrub takes what is secret in the endpoint's headers out of what a server said: some
// repeat the key that they do not accept.
func (e *endpoint) scrub(text []byte) []byte {
	for _, name := range []string{"Authorization", "X-Api-Key", "Api-Key"} {
		if key := strings.TrimPrefix(e.o.Header.Get(name), "Bearer "); key != "" {
			text = bytes.ReplaceAll(text, []byte(key), []byte("(the key)"))
		}
	}
	return text
}

var errTooLong = errors.New("the answer is longer than anything a model server should send")

// readAll reads a body of at most so many bytes, with one allocation at most where the length
// is known.
func readAll(r io.Reader, length, most int64) ([]byte, error) {
	b := bytes.NewBuffer(spare())
	if length > 0 && length <= most {
		b.Grow(int(length) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r, most+1))
	if err == nil && n > most {
		err = errTooLong
	}
	return b.Bytes(), err
}

// spares are the bodies of answers that nobody reads any more.
var spares sync.Pool

// mostSpare is the largest body that is kept.
const mostSpare = 1 << 20

func spare() []byte {
	if b, ok := spares.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

// Recycle takes an answer back whose caller is done with it, so that a later one can have its
// memory. Answers that are not given back are collected as garbage.
func (f *Fleet) Recycle(answer []byte) {
	if c := cap(answer); c > 0 && c <= mostSpare {
		spares.Put(&answer)
	}
}

// Recycle is [Fleet.Recycle].
func (s Single) Recycle(answer []byte) { s.fleet.Recycle(answer) }
