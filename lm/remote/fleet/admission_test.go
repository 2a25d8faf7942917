package fleet

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// server answers after a time, with bounded places, and keeps what it saw.
type server struct {
	mu     sync.Mutex
	takes  time.Duration
	places int // more at once get 429; 0: no bound
	now    int
	most   int
	bodies []string
	times  []time.Time
}

func (s *server) serve(r *http.Request, body string) (*http.Response, error) {
	s.mu.Lock()
	if s.places > 0 && s.now >= s.places {
		s.mu.Unlock()
		return reply(429, "", "Retry-After-Ms: 100")
	}
	s.now++
	s.most = max(s.most, s.now)
	s.bodies = append(s.bodies, body)
	s.times = append(s.times, time.Now())
	s.mu.Unlock()
	err := after(r, s.takes)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return reply(200, "{}")
}

// post makes n calls at once and waits for all.
func post(t *testing.T, f *Fleet, n int, body func(i int) string, load func(i int) int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, _, err := f.Post(t.Context(), "/v1/completions", []byte(body(i)), load(i)); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // in the order of i
	}
	wg.Wait()
}

func same(n int) func(int) int { return func(int) int { return n } }

func number(i int) string { return fmt.Sprint(i) }

func TestOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{takes: time.Second}
		f := open(t, script{"a": s.serve}, Options{Endpoints: []Endpoint{{URL: "http://a", Start: 2, Most: 2}}})
		post(t, f, 9, number, same(1))
		for i, body := range s.bodies {
			if got := s.times[i].Sub(s.times[0]); got != time.Duration(int(body[0]-'0')/2)*time.Second {
				t.Errorf("call %s was served after %v", body, got)
			}
		}
		if s.most != 2 {
			t.Errorf("%d at once", s.most)
		}
		if p := f.Stats().Latency.Quantile(1); p < 5*time.Second || p > 6*time.Second {
			t.Errorf("the longest call took %v, want 5s and at most 19 %% more", p)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{takes: time.Second}
		f := open(t, script{"a": s.serve}, Options{Queue: 3, Endpoints: []Endpoint{{URL: "http://a", Start: 1, Most: 1}}})
		var full int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if _, _, err := f.Post(t.Context(), "/x", nil, 1); errors.Is(err, ErrQueueFull) {
					mu.Lock()
					full++
					mu.Unlock()
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if full != 2 {
			t.Errorf("%d calls found the queue full, want 2 of 6 with one served and three waiting", full)
		}
	})
}

// TestLeastLoaded: what counts is tokens, not requests.
func TestLeastLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &server{takes: time.Second}, &server{takes: time.Second}
		f := open(t, script{"a": a.serve, "b": b.serve}, Options{}, "a", "b")
		loads := []int{1000, 100, 100, 100, 100, 100}
		post(t, f, len(loads), number, func(i int) int { return loads[i] })
		if got := fmt.Sprint(a.bodies, b.bodies); got != "[0] [1 2 3 4 5]" {
			t.Errorf("requests went to %s", got)
		}
	})
}

func TestTokensInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{takes: time.Second}
		f := open(t, script{"a": s.serve}, Options{Endpoints: []Endpoint{{URL: "http://a", Tokens: 1000}}})
		loads := []int{400, 500, 200, 3000, 10} // the fourth is too much in any company, and goes alone
		post(t, f, len(loads), number, func(i int) int { return loads[i] })
		var at []int
		for _, x := range s.times {
			at = append(at, int(x.Sub(s.times[0]).Seconds()))
		}
		if fmt.Sprint(at) != "[0 0 1 2 3]" {
			t.Errorf("requests began in seconds %v", at)
		}
	})
}

func TestRates(t *testing.T) {
	for _, c := range []struct {
		name     string
		endpoint Endpoint
		want     time.Duration
	}{
		{"requests", Endpoint{RequestsPerMinute: 120}, 14 * time.Second}, // two at once, then one each half second
		{"tokens", Endpoint{TokensPerMinute: 6000}, 29 * time.Second},    // a second's worth at once
	} {
		bubble(t, c.name, func(t *testing.T) {
			s := &server{}
			c.endpoint.URL = "http://a"
			f := open(t, script{"a": s.serve}, Options{Endpoints: []Endpoint{c.endpoint}})
			began := time.Now()
			post(t, f, 30, number, same(100))
			if took := time.Since(began); took < c.want-time.Millisecond || took > c.want+time.Millisecond {
				t.Errorf("30 calls of 100 tokens took %v, want %v", took, c.want)
			}
		})
	}
	bubble(t, "a call worth more than a second", func(t *testing.T) {
		s := &server{}
		f := open(t, script{"a": s.serve}, Options{Endpoints: []Endpoint{{URL: "http://a", TokensPerMinute: 6000}}})
		began := time.Now()
		post(t, f, 3, number, same(1000))
		if took := time.Since(began); took < 28*time.Second || took > 30*time.Second {
			t.Errorf("3 calls of 1000 tokens at 100 a second took %v", took)
		}
	})
	bubble(t, "a provider's own count", func(t *testing.T) {
		n := 0
		f := open(t, script{"a": func(*http.Request, string) (*http.Response, error) {
			n++
			return reply(200, "", fmt.Sprint("X-Ratelimit-Remaining-Requests: ", 3-n), "X-Ratelimit-Reset-Requests: 6m1.5s")
		}}, Options{}, "a")
		began := time.Now()
		for range 4 {
			if _, _, err := f.Post(t.Context(), "/x", nil, 1); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 6*time.Minute+1500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// TestFindsTheConcurrency: the limit grows to what the server takes, and stays near it.
func TestFindsTheConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{takes: time.Second, places: 100}
		f := open(t, script{"a": s.serve}, Options{Endpoints: []Endpoint{{URL: "http://a", Most: 1000}}})
		began := time.Now()
		post(t, f, 5000, number, same(1))
		stats := f.Stats()
		t.Logf("%v for 50 s of work; %v", time.Since(began), stats.Attempts)
		if took := time.Since(began); took > 58*time.Second {
			t.Errorf("50 seconds of work took %v", took)
		}
		if l := stats.Endpoints[0].Limit; l < 85 || l > 105 {
			t.Errorf("the limit is %v, the server takes 100", l)
		}
		if busy := stats.Attempts[Busy]; busy > 250 {
			t.Errorf("%d of 5000 calls were refused", busy)
		}
	})
}

// TestPausesARateLimit: a server that lets nothing through is left alone for as long as it
// asks, whoever wants something of it.
func TestPausesARateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		began := time.Now()
		f := open(t, script{"a": func(*http.Request, string) (*http.Response, error) {
			attempts.Add(1)
			if time.Since(began) < time.Minute {
				return reply(429, "", "Retry-After: 30")
			}
			return reply(200, "")
		}}, Options{Endpoints: []Endpoint{{URL: "http://a", Start: 4}}})
		post(t, f, 40, number, same(1))
		if n := attempts.Load(); n > 48 {
			t.Errorf("%d attempts for 40 calls", n)
		}
	})
}

// prompt is a request whose messages begin with a name, long enough to have prefixes.
func prompt(who string, turn int) string {
	return fmt.Sprintf(`{"model":"m","seed":%d,"messages":[{"role":"user","content":"%s"}]}`, turn, strings.Repeat(who+" ", 1000)+strings.Repeat("and then ", 30*turn))
}

// TestPrefixes: turns of a conversation go where its beginning is, and the load stays even.
func TestPrefixes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &server{takes: time.Second}, &server{takes: time.Second}
		f := open(t, script{"a": a.serve, "b": b.serve}, Options{}, "a", "b")
		for turn := range 3 {
			post(t, f, 20, func(i int) string { return prompt(fmt.Sprintf("user%02d", (i*7+turn)%20), turn) }, same(100))
		}
		at := map[string]string{}
		moved := 0
		for name, s := range map[string]*server{"a": a, "b": b} {
			for _, body := range s.bodies {
				i := strings.Index(body, "user0")
				if i < 0 {
					i = strings.Index(body, "user1")
				}
				who := body[i : i+6]
				if at[who] != "" && at[who] != name {
					moved++
				}
				at[who] = name
			}
		}
		if moved > 0 || len(a.bodies) != 30 || len(b.bodies) != 30 {
			t.Errorf("%d turns went elsewhere than the one before; %d and %d requests", moved, len(a.bodies), len(b.bodies))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := &server{takes: time.Second}, &server{takes: time.Second}
		f := open(t, script{"a": a.serve, "b": b.serve}, Options{Endpoints: []Endpoint{{URL: "http://a", Start: 100}, {URL: "http://b", Start: 100}}})
		post(t, f, 40, func(i int) string { return prompt("all the same", 0) }, same(100))
		if n := len(a.bodies); n < 15 || n > 25 {
			t.Errorf("one prompt, 40 times: %d at the first endpoint, want about half", n)
		}
	})
}

func TestFailover(t *testing.T) {
	bubble(t, "a failed attempt goes elsewhere", func(t *testing.T) {
		b := &server{takes: time.Second}
		f := open(t, script{"a": func(*http.Request, string) (*http.Response, error) { return reply(500, "") }, "b": b.serve}, Options{}, "a", "b")
		post(t, f, 20, number, same(1))
		s := f.Stats()
		if len(b.bodies) != 20 || s.Attempts[ServerError] > 20 {
			t.Errorf("%d calls served, attempts %v", len(b.bodies), s.Attempts)
		}
		if s.Endpoints[0].Ejections == 0 {
			t.Errorf("an endpoint that always fails is still in: %+v", s.Endpoints[0])
		}
	})
	bubble(t, "a dead endpoint draws no calls, and comes back", func(t *testing.T) {
		a, b := &server{takes: time.Second}, &server{takes: time.Second}
		var dead atomic.Bool
		dead.Store(true)
		f := open(t, script{"a": func(r *http.Request, body string) (*http.Response, error) {
			switch {
			case dead.Load():
				return refuse(r, body)
			case r.URL.Path == "/health":
				return reply(404, "")
			}
			return a.serve(r, body)
		}, "b": b.serve}, Options{}, "a", "b")
		post(t, f, 20, number, same(1))
		if s := f.Stats(); s.Attempts[Unreachable] != 1 || !s.Endpoints[0].Down || len(b.bodies) != 20 {
			t.Errorf("statistics %+v", s)
		}
		dead.Store(false)
		time.Sleep(time.Minute)
		post(t, f, 20, number, same(1))
		if n := len(a.bodies); n < 8 || n > 10 { // its limit begins anew, the other's has grown
			t.Errorf("%d of 20 calls went to the endpoint that is back", len(a.bodies))
		}
	})
}

func TestHedge(t *testing.T) {
	bubble(t, "a slow attempt is overtaken", func(t *testing.T) {
		b := &server{takes: time.Second}
		gone := make(chan error, 1)
		f := open(t, script{"a": func(r *http.Request, _ string) (*http.Response, error) {
			err := after(r, time.Hour)
			gone <- err
			return nil, err
		}, "b": b.serve}, Options{Hedge: 5 * time.Second}, "a", "b")
		began := time.Now()
		if _, _, err := f.Post(t.Context(), "/x", nil, 1); err != nil || time.Since(began) != 6*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if err := <-gone; !errors.Is(err, errSlower) {
			t.Errorf("the slower attempt ended with %v", err)
		}
		synctest.Wait()
		if s := f.Stats(); s.Hedges != 1 || s.Attempts[OK] != 1 || s.Attempts[Cancelled] != 1 || s.InFlight != 0 {
			t.Errorf("statistics %+v", s)
		}
	})
	bubble(t, "off, there is none", func(t *testing.T) {
		a, b := &server{takes: time.Minute}, &server{takes: time.Second}
		f := open(t, script{"a": a.serve, "b": b.serve}, Options{}, "a", "b")
		post(t, f, 1, number, same(1))
		if len(b.bodies) != 0 || f.Stats().Hedges != 0 {
			t.Errorf("a second endpoint was asked: %+v", f.Stats())
		}
	})
}

func TestSingleThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &server{takes: time.Second}
		f := open(t, script{"a": refuse, "b": b.serve}, Options{}, "a", "b")
		began := time.Now()
		_, _, err := f.Each()[0].Post(t.Context(), "/v1/load_lora_adapter", nil, 0)
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "http://a has been away") || took < time.Minute || took > 3*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
		post(t, f, 1, number, same(1))
	})
}

func TestSingle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &server{takes: time.Second}, &server{takes: time.Second}
		f := open(t, script{"a": a.serve, "b": b.serve}, Options{Endpoints: []Endpoint{{URL: "http://a", Start: 1, Most: 1}, {URL: "http://b"}}})
		var wg sync.WaitGroup
		for range 3 {
			for _, e := range f.Each() {
				wg.Go(func() {
					if _, _, err := e.Post(t.Context(), "/v1/load_lora_adapter", []byte(e.URL()), 0); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
		}
		post(t, f, 1, number, same(1)) // is not held up by those that wait for the first
		wg.Wait()
		if got := fmt.Sprint(a.bodies, b.bodies); got != "[http://a http://a http://a] [http://b http://b http://b 0]" {
			t.Errorf("got %s", got)
		}
	})
}
