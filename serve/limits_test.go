package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stargate/lm/local"
)

// forever is a request that nothing but its end ends.
const forever = `{"prompt": "I like the", "max_tokens": 30000, "temperature": 1, "ignore_eos": true, "stream": true}`

// start sends a request and returns when its first event has come.
func (c *client) start(ctx context.Context, body string) (*http.Response, *bufio.Reader) {
	c.t.Helper()
	resp, _, in := c.begin(ctx, body)
	return resp, in
}

// begin is start, with the first line, which may hold the whole answer of a short request.
func (c *client) begin(ctx context.Context, body string) (*http.Response, string, *bufio.Reader) {
	c.t.Helper()
	r := c.request(http.MethodPost, "/v1/completions", body).WithContext(ctx)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { resp.Body.Close() })
	in := bufio.NewReader(resp.Body)
	line, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "data: ") {
		c.t.Fatalf("the stream begins with %q, %v", line, err)
	}
	return resp, line, in
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// A client that goes away takes its sequences out of the batch and frees its places.
func TestCancelledRequestLeavesTheBatch(t *testing.T) {
	m := testModel(t, endless, local.Options{Workers: 1})
	s := New(m, Options{})
	c := newClient(t, s)
	for _, body := range []string{forever, strings.Replace(forever, `{`, `{"n": 5, `, 1)} {
		ctx, cancel := context.WithCancel(t.Context())
		c.start(ctx, body)
		if m.Stats().Running == 0 {
			t.Error("nothing runs while a request is answered")
		}
		cancel()
		eventually(t, "the batch is empty", func() bool { return m.Stats().Running == 0 && s.places.taken.Load() == 0 })
	}
	if drawn := m.Stats().Drawn; drawn > 60000 {
		t.Errorf("%d tokens were drawn for requests that were cancelled after their first", drawn)
	}

	// A request that is not streamed leaves as well.
	ctx, cancel := context.WithCancel(t.Context())
	r := c.request(http.MethodPost, "/v1/completions", strings.Replace(forever, `"stream": true`, `"stream": false`, 1)).WithContext(ctx)
	ended := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		ended <- err
	}()
	eventually(t, "the request runs", func() bool { return m.Stats().Running == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled request ended with %v", err)
	}
	eventually(t, "the batch is empty", func() bool { return m.Stats().Running == 0 && s.places.taken.Load() == 0 })
	status, _, metrics := c.do(http.MethodGet, "/metrics", "")
	if status != http.StatusOK || !strings.Contains(string(metrics), `stargate_http_requests_total{code="499",route="/v1/completions"} 1`) {
		t.Errorf("the metrics do not count the request that went away: %d", status)
	}
}

// Who comes when all places are taken is told when to come again.
func TestOverload(t *testing.T) {
	m := testModel(t, endless, local.Options{Workers: 1})
	s := New(m, Options{Limits: Limits{Sequences: 4}})
	c := newClient(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 3 {
		c.start(ctx, forever)
	}
	status, header, answer := c.do(http.MethodPost, "/v1/completions", `{"prompt": "a", "n": 2, "max_tokens": 1}`)
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || errorCode(t, answer) != "overloaded" {
		t.Errorf("two places wanted of one: %d, Retry-After %q, %s", status, header.Get("Retry-After"), answer)
	}
	if status, _, answer := c.do(http.MethodPost, "/v1/completions", `{"prompt": "a", "max_tokens": 1}`); status != http.StatusOK {
		t.Errorf("the last place: %d %s", status, answer)
	}
	c.start(ctx, forever)
	for _, path := range []string{"/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize"} {
		if status, _, _ := c.do(http.MethodPost, path, `{}`); status != http.StatusTooManyRequests {
			t.Errorf("%s with no place left: %d", path, status)
		}
	}
	if status, _, _ := c.do(http.MethodGet, "/health", ""); status != http.StatusOK {
		t.Errorf("health under load: %d", status)
	}
	cancel()
	eventually(t, "the places are free", func() bool { return s.places.taken.Load() == 0 })
	if status, _, answer := c.do(http.MethodPost, "/v1/completions", `{"prompt": "a", "max_tokens": 1, "n": 4}`); status != http.StatusOK {
		t.Errorf("after the load: %d %s", status, answer)
	}
}

func TestLimits(t *testing.T) {
	m := testModel(t, endless, local.Options{Workers: 1})
	s := New(m, Options{Limits: Limits{Body: 1000, Batch: 3, Time: 50 * time.Millisecond}})
	c := newClient(t, s)
	whole := strings.Replace(forever, `"stream": true`, `"stream": false`, 1)
	for _, x := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"body", `{"prompt": "` + strings.Repeat("a", 1000) + `"}`, 413, "body_too_large"},
		{"batch", `{"prompt": ["a", "b", "c", "d"]}`, 400, "batch_too_large"},
		{"batch by choices", `{"prompt": ["a", "b"], "n": 2}`, 400, "batch_too_large"},
		{"batch that overflows", `{"prompt": ["a", "b"], "n": 4611686018427387905}`, 400, "batch_too_large"},
		{"prompt", `{"prompt": "a", "max_tokens": 32768}`, 400, "context_length_exceeded"},
		{"time", whole, 504, "timeout"},
	} {
		t.Run(x.name, func(t *testing.T) {
			status, header, answer := c.do(http.MethodPost, "/v1/completions", x.body)
			if status != x.status || errorCode(t, answer) != x.code {
				t.Errorf("%d %s, want %d %s", status, answer, x.status, x.code)
			}
			if x.name == "time" && header.Get("X-Should-Retry") != "false" {
				t.Error("clients would send a request again that takes too long")
			}
		})
	}
	// A stream that takes too long ends with an error event. It has time to begin.
	s = New(m, Options{Limits: Limits{Time: 2 * time.Second}})
	_, in := newClient(t, s).start(t.Context(), forever)
	rest, err := io.ReadAll(in)
	if err != nil || !strings.Contains(string(rest), `"code":"timeout"`) || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("a stream over time ends with %.200q, %v", rest[max(0, len(rest)-200):], err)
	}
	eventually(t, "the places are free", func() bool { return s.places.taken.Load() == 0 && m.Stats().Running == 0 })
}

func errorCode(t *testing.T, answer []byte) string {
	t.Helper()
	var e struct {
		Error struct{ Code, Message, Type string }
	}
	if err := json.Unmarshal(answer, &e); err != nil || e.Error.Message == "" || e.Error.Type == "" {
		t.Errorf("no error object: %s (%v)", answer, err)
	}
	return e.Error.Code
}

func TestKeyIsNeeded(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	c := newClient(t, New(m, Options{Keys: []string{"secret", "other"}}))
	for _, path := range []string{"/v1/models", "/metrics", "/v1/completions", "/nowhere"} {
		for _, key := range []string{"", "Secret", "secret2"} {
			c.key = key
			status, _, answer := c.do(http.MethodGet, path, "")
			if status != http.StatusUnauthorized || errorCode(t, answer) != "invalid_api_key" {
				t.Errorf("%s with key %q: %d %s", path, key, status, answer)
			}
		}
	}
	for _, key := range []string{"secret", "other"} {
		c.key = key
		if status, _, answer := c.do(http.MethodGet, "/v1/models", ""); status != http.StatusOK {
			t.Errorf("with key %q: %d %s", key, status, answer)
		}
	}
	c.key = ""
	if status, _, _ := c.do(http.MethodGet, "/health", ""); status != http.StatusOK {
		t.Errorf("health without a key: %d", status)
	}
}

// Without a key only this machine is served, and no page from elsewhere.
func TestWithoutKeyThisMachineOnly(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	open, keyed := New(m, Options{}), New(m, Options{Keys: []string{"k"}})
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", ":0"} {
		if l, err := open.Listen(addr); err == nil || !strings.Contains(err.Error(), "API key") {
			t.Errorf("%s without a key: %v", addr, err)
			if err == nil {
				l.Close()
			}
		}
	}
	l, err := keyed.Listen("0.0.0.0:0")
	if err != nil {
		t.Errorf("with a key: %v", err)
	} else {
		l.Close()
	}
	c := newClient(t, open)
	ask := func(change func(*http.Request)) int {
		r := c.request(http.MethodPost, "/tokenize", `{"prompt": "a"}`)
		change(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, x := range []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"as it is", func(*http.Request) {}, 200},
		{"by name", func(r *http.Request) { r.Host = "localhost:8000" }, 200},
		{"another name", func(r *http.Request) { r.Host = "evil.example" }, 403},
		{"another address", func(r *http.Request) { r.Host = "192.0.2.1:80" }, 403},
		{"a page of another origin", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		{"a form", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
	} {
		if got := ask(x.change); got != x.status {
			t.Errorf("%s: %d, want %d", x.name, got, x.status)
		}
	}
}

// The end lets requests finish, and cuts off those that do not.
func TestGracefulEnd(t *testing.T) {
	m := testModel(t, endless, local.Options{Workers: 1})
	s := New(m, Options{Limits: Limits{Grace: 300 * time.Millisecond}})
	l, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	c := &client{t: t, url: "http://" + l.Addr().String()}
	_, long := c.start(t.Context(), forever)
	_, short := c.start(t.Context(), `{"prompt": "I like the", "max_tokens": 50, "ignore_eos": true, "stream": true}`)
	end()
	rest, err := io.ReadAll(short)
	if err != nil || strings.Contains(string(rest), `"error"`) || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the short request ends with %.200q, %v", rest[max(0, len(rest)-200):], err)
	}
	rest, err = io.ReadAll(long)
	if err != nil || !strings.Contains(string(rest), `"code":"ending"`) {
		t.Errorf("the long request ends with %.200q, %v", rest[max(0, len(rest)-200):], err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("the server still listens")
	}
	eventually(t, "the batch is empty", func() bool { return m.Stats().Running == 0 })
}

func TestClosedModel(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	c := newClient(t, New(m, Options{}))
	m.Close()
	status, header, answer := c.do(http.MethodPost, "/v1/completions", `{"prompt": "a"}`)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || errorCode(t, answer) != "ending" {
		t.Errorf("a closed model: %d %s", status, answer)
	}
}

func TestMetrics(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	c := newClient(t, New(m, Options{}))
	c.post("/v1/completions", object{"prompt": []int32{5, 6, 7}, "max_tokens": 4, "ignore_eos": true}, &object{})
	c.do(http.MethodGet, "/elsewhere", "")
	_, _, text := c.do(http.MethodGet, "/metrics", "")
	for _, want := range []string{
		`stargate_http_requests_total{code="200",route="/v1/completions"} 1`, `stargate_http_requests_total{code="404",route="other"} 1`,
		"stargate_prompt_tokens_total 3", "stargate_completion_tokens_total 4", "stargate_places 256", "stargate_places_taken 0",
		"stargate_engine_predictions_total 4", "stargate_completion_seconds_count 1", "go_goroutines",
	} {
		if !strings.Contains(string(text), want+"\n") && !strings.Contains(string(text), want+" ") {
			t.Errorf("the metrics lack %q", want)
		}
	}
}
