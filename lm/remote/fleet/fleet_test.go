package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stargate/lm/remote/failure"
)

// The tests run in bubbles of testing/synctest: their clock moves only when everybody waits,
// so waits are exact and take no time.

// script is a round tripper: one function per host, called in the request's goroutine.
type script map[string]func(r *http.Request, body string) (*http.Response, error)

func (s script) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	return s[r.URL.Host](r, string(body))
}

// reply is an answer; headers are "Name: value".
func reply(status int, body string, headers ...string) (*http.Response, error) {
	h := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
}

// after waits, as a server does, unless the client goes away.
func after(r *http.Request, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.Context().Done():
		return context.Cause(r.Context())
	}
}

// hang never answers.
func hang(r *http.Request, _ string) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// refuse is a host where nobody listens.
func refuse(*http.Request, string) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

// cut sends half an answer.
func cut(*http.Request, string) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1,
		Body: io.NopCloser(io.MultiReader(strings.NewReader(`{"half":`), errReader{}))}, nil
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// open is a fleet on a script, one endpoint per host that is named.
func open(t *testing.T, s script, o Options, hosts ...string) *Fleet {
	t.Helper()
	for _, h := range hosts {
		o.Endpoints = append(o.Endpoints, Endpoint{URL: "http://" + h})
	}
	o.RoundTripper = s
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name     string
		first    func(*http.Request, string) (*http.Response, error) // what the first two attempts meet
		attempts map[Outcome]int64
		least    time.Duration // waited for
		most     time.Duration
	}{
		{"429 with Retry-After", func(*http.Request, string) (*http.Response, error) { return reply(429, "", "Retry-After: 7") },
			map[Outcome]int64{Busy: 2, OK: 1}, 14 * time.Second, 14 * time.Second},
		{"429 with milliseconds", func(*http.Request, string) (*http.Response, error) {
			return reply(429, "", "Retry-After: 1", "Retry-After-Ms: 250")
		}, map[Outcome]int64{Busy: 2, OK: 1}, 500 * time.Millisecond, 500 * time.Millisecond},
		{"503", func(*http.Request, string) (*http.Response, error) { return reply(503, "") },
			map[Outcome]int64{Busy: 2, OK: 1}, 500 * time.Millisecond, 2 * time.Second},
		{"500", func(*http.Request, string) (*http.Response, error) { return reply(500, "CUDA error") },
			map[Outcome]int64{ServerError: 2, OK: 1}, 500 * time.Millisecond, 2 * time.Second},
		{"a cut answer", cut, map[Outcome]int64{Cut: 2, OK: 1}, 500 * time.Millisecond, 2 * time.Second},
		{"a reset connection", func(*http.Request, string) (*http.Response, error) { return nil, io.EOF },
			map[Outcome]int64{Unreachable: 2, OK: 1}, 500 * time.Millisecond, 2 * time.Second},
		{"a hung socket", hang, map[Outcome]int64{Hung: 2, OK: 1}, 2*time.Minute + 500*time.Millisecond, 2*time.Minute + 2*time.Second},
	} {
		bubble(t, c.name, func(t *testing.T) {
			n := 0
			f := open(t, script{"a": func(r *http.Request, body string) (*http.Response, error) {
				if n++; n <= 2 {
					return c.first(r, body)
				}
				return reply(200, body+r.URL.Path, "X-Answered: yes")
			}}, Options{Attempt: time.Minute}, "a")
			began := time.Now()
			body, header, err := f.Post(t.Context(), "/v1/completions", []byte("request to "), 10)
			if err != nil || string(body) != "request to /v1/completions" || header.Get("X-Answered") != "yes" {
				t.Errorf("Post: %q, %v, %v", body, header, err)
			}
			if took := time.Since(began); took < c.least || took > c.most {
				t.Errorf("took %v, want %v to %v", took, c.least, c.most)
			}
			s := f.Stats()
			if fmt.Sprint(s.Attempts) != fmt.Sprint(c.attempts) || s.InFlight != 0 || s.Tokens != 0 || s.Calls != 1 || s.Failed != 0 {
				t.Errorf("statistics %+v, want attempts %v", s, c.attempts)
			}
		})
	}
}

func TestFinalAnswers(t *testing.T) {
	for _, status := range []int{301, 400, 401, 403, 404, 413, 422, 501} {
		bubble(t, fmt.Sprint(status), func(t *testing.T) {
			f := open(t, script{"a": func(*http.Request, string) (*http.Response, error) {
				return reply(status, `{"error":{"message":"your key sekret is not liked"}}`)
			}}, Options{Role: "judge", Endpoints: []Endpoint{{URL: "http://a/", Header: http.Header{"Authorization": {"Bearer sekret"}}}}})
			_, _, err := f.Post(t.Context(), "/v1/chat/completions", nil, 1)
			e, ok := errors.AsType[*failure.StatusError](err)
			if !ok || e.Status != status || e.URL != "http://a/v1/chat/completions" {
				t.Errorf("error %#v", err)
			}
			if strings.Contains(err.Error(), "sekret") {
				t.Errorf("the key is in the error: %v", err)
			}
			if s := f.Stats(); s.Attempts[Refused] != 1 || len(s.Attempts) != 1 || s.Failed != 1 {
				t.Errorf("statistics %+v", s)
			}
		})
	}
	bubble(t, "a certificate that is not trusted", func(t *testing.T) {
		f := open(t, script{"a": func(*http.Request, string) (*http.Response, error) {
			return nil, &tls.CertificateVerificationError{Err: errors.New("expired")}
		}}, Options{}, "a")
		if _, _, err := f.Get(t.Context(), "/v1/models"); f.Stats().Attempts[Refused] != 1 || !strings.Contains(err.Error(), "expired") {
			t.Errorf("%v, %+v", err, f.Stats())
		}
	})
	bubble(t, "an account without money", func(t *testing.T) {
		f := open(t, script{"a": func(*http.Request, string) (*http.Response, error) {
			return reply(429, `{"error":{"message":"no money","code":"insufficient_quota"}}`)
		}}, Options{}, "a")
		if _, _, err := f.Get(t.Context(), "/v1/models"); f.Stats().Attempts[Refused] != 1 {
			t.Errorf("%v, %+v", err, f.Stats())
		}
	})
}

func TestGivesUp(t *testing.T) {
	bubble(t, "after the tries", func(t *testing.T) {
		f := open(t, script{"a": func(r *http.Request, _ string) (*http.Response, error) {
			if r.URL.Path == "/health" {
				return reply(200, "")
			}
			return reply(500, "out of memory")
		}}, Options{Role: "scorer", Tries: 7}, "a")
		_, _, err := f.Post(t.Context(), "/x", nil, 1)
		if e, ok := errors.AsType[*failure.StatusError](err); !ok || e.Status != 500 {
			t.Errorf("error %v", err)
		}
		if want := "scorer: gave up after 7 attempts in "; err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "(7 server-error): POST http://a/x: status 500: out of memory") {
			t.Errorf("error %v, want %s…", err, want)
		}
	})
	bubble(t, "after the time, however busy", func(t *testing.T) {
		f := open(t, script{"a": func(*http.Request, string) (*http.Response, error) { return reply(429, "", "Retry-After: 50") }},
			Options{Total: 2 * time.Minute}, "a")
		began := time.Now()
		_, _, err := f.Post(t.Context(), "/x", nil, 1)
		if e, ok := errors.AsType[*failure.StatusError](err); !ok || e.Status != 429 || time.Since(began) > 2*time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
	bubble(t, "in the middle of an attempt", func(t *testing.T) {
		f := open(t, script{"a": hang}, Options{Attempt: 40 * time.Second, Total: time.Minute}, "a")
		began := time.Now()
		_, _, err := f.Post(t.Context(), "/x", nil, 1)
		if e, ok := errors.AsType[*failure.NoAnswerError](err); !ok || !e.Hung || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
	bubble(t, "when nobody has ever been there", func(t *testing.T) {
		f := open(t, script{"a": refuse, "b": refuse}, Options{Role: "oracle"}, "a", "b")
		began := time.Now()
		_, _, err := f.Get(t.Context(), "/v1/models")
		if took := time.Since(began); took < time.Minute || took > 3*time.Minute {
			t.Errorf("after %v", took)
		}
		if err == nil || !strings.Contains(err.Error(), "is the server running") || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("error %v", err)
		}
	})
	bubble(t, "not while a server restarts", func(t *testing.T) {
		up := time.Now().Add(20 * time.Minute)
		n := 0
		f := open(t, script{"a": func(r *http.Request, body string) (*http.Response, error) {
			if n++; n == 1 || time.Now().After(up) {
				return reply(200, "here")
			}
			return refuse(r, body)
		}}, Options{}, "a")
		for range 2 {
			if body, _, err := f.Post(t.Context(), "/x", nil, 1); err != nil || string(body) != "here" {
				t.Fatalf("%q, %v", body, err)
			}
		}
		if late := time.Since(up); late < 0 || late > time.Minute {
			t.Errorf("served %v after the server was back", late)
		}
		if s := f.Stats(); s.Endpoints[0].Ejections != 1 || s.Endpoints[0].Down {
			t.Errorf("statistics %+v", s)
		}
	})
	bubble(t, "on an answer without end", func(t *testing.T) {
		f := open(t, script{"a": func(*http.Request, string) (*http.Response, error) { return reply(200, strings.Repeat("x", 100)) }}, Options{MaxBody: 99}, "a")
		if _, _, err := f.Get(t.Context(), "/x"); !errors.Is(err, errTooLong) {
			t.Errorf("error %v", err)
		}
	})
}

// TestCancel: a caller that gives up gets its answer at once and leaves no trace, wherever
// the call is.
func TestCancel(t *testing.T) {
	for _, c := range []struct {
		name   string
		server func(*http.Request, string) (*http.Response, error)
	}{
		{"in an attempt", hang},
		{"in a pause", func(*http.Request, string) (*http.Response, error) { return reply(429, "", "Retry-After: 60") }},
		{"while the endpoint is out", refuse},
	} {
		bubble(t, c.name, func(t *testing.T) {
			f := open(t, script{"a": c.server}, Options{}, "a")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			began := time.Now()
			if _, _, err := f.Post(ctx, "/x", nil, 3); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
			if s := f.Stats(); s.Waiting != 0 || s.InFlight != 0 || s.Tokens != 0 || s.Cancelled != 1 || s.Failed != 0 {
				t.Errorf("statistics %+v", s)
			}
		})
	}
	bubble(t, "in the queue", func(t *testing.T) {
		f := open(t, script{"a": func(r *http.Request, _ string) (*http.Response, error) {
			if err := after(r, time.Minute); err != nil {
				return nil, err
			}
			return reply(200, "")
		}}, Options{Endpoints: []Endpoint{{URL: "http://a", Start: 1, Most: 1}}})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := f.Post(t.Context(), "/x", nil, 3); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := f.Post(ctx, "/x", nil, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		wg.Wait()
		if s := f.Stats(); s.Attempts[OK] != 1 || len(s.Attempts) != 1 || s.Waiting != 0 || s.InFlight != 0 {
			t.Errorf("statistics %+v", s)
		}
	})
	bubble(t, "the fleet is closed", func(t *testing.T) {
		f := open(t, script{"a": refuse}, Options{}, "a")
		done := make(chan error, 1)
		go func() {
			_, _, err := f.Post(t.Context(), "/x", nil, 3)
			done <- err
		}()
		synctest.Wait()
		f.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("error %v", err)
		}
		if _, _, err := f.Post(t.Context(), "/x", nil, 3); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v after Close", err)
		}
	})
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "no endpoints"},
		{Options{Role: "judge", Endpoints: []Endpoint{{URL: "gpu1:8000"}}}, `judge: endpoint "gpu1:8000": want an address like http://host:8000`},
		{Options{Endpoints: []Endpoint{{URL: "http://u:geheim@a?x=1"}}}, "query"},
		{Options{Endpoints: []Endpoint{{URL: "http://a"}, {URL: "http://a/"}}}, "twice"},
		{Options{Endpoints: []Endpoint{{URL: "http://a", Start: 5, Most: 4}}}, "start"},
		{Options{Endpoints: []Endpoint{{URL: "http://a", TokensPerMinute: -1}}}, "no limit below 0"},
		{Options{Endpoints: []Endpoint{{URL: "http://a"}}, Tries: -1}, "above 0"},
	} {
		_, err := New(c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("New(%+v): %v, want %q", c.o, err, c.want)
		}
	}
}
