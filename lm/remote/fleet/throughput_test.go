package fleet_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stargate/internal/simserver"
	"stargate/lm/remote/fleet"
)

// hosts are simulated servers by name, reached without a network.
type hosts map[string]*simserver.Server

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	return h[r.URL.Host].RoundTripper().RoundTrip(r)
}

// simulated is a server as package simserver has it, with a network of a few milliseconds.
func simulated(t testing.TB, change func(*simserver.Options)) *simserver.Server {
	t.Helper()
	o := simserver.Options{Hardware: simserver.Usual(), Lengths: simserver.Lengths{Median: 60, Sigma: 0.6}, Network: simserver.Lengths{Median: 3, Sigma: 0.7}}
	if change != nil {
		change(&o)
	}
	s, err := simserver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// question is the i-th of requests of which ten share a prompt, as samples of a pair do.
func question(i int) []byte {
	return fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":"My name is Ada %d. %sAsk me."}],"temperature":0.9,"max_tokens":700,"seed":%d}`,
		i/10, strings.Repeat("I would like to plan a party. ", 20), i)
}

// score is the i-th request for log-probabilities.
func score(i int) []byte {
	ids := fmt.Sprint(50_000_000 + i)
	return fmt.Appendf(nil, `{"model":"m","prompt":[%s],"max_tokens":1,"prompt_logprobs":0}`, strings.TrimSuffix(strings.Repeat(ids+",", 300+i%200), ","))
}

// drive keeps callers busy with n requests.
func drive(t testing.TB, f *fleet.Fleet, callers, n int, path string, body func(int) []byte, load int) {
	t.Helper()
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range next {
				if _, _, err := f.Post(t.Context(), path, body(i), load); err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestReachesTheServersMaximum: with enough callers, servers do at least 97 % of what they
// could with a batch that is always full, ramp and end included. Time is the server's own.
func TestReachesTheServersMaximum(t *testing.T) {
	const want = 0.97
	for _, c := range []struct {
		name    string
		servers int
		change  func(*simserver.Options)
		path    string
		body    func(int) []byte
		n       int
	}{
		{"generation", 1, nil, "/v1/chat/completions", question, 5_000},
		{"generation, a short queue", 1, func(o *simserver.Options) { o.Hardware.Queue = 8 }, "/v1/chat/completions", question, 5_000},
		{"generation, a queue without end", 1, func(o *simserver.Options) { o.Hardware.Queue = 1 << 30 }, "/v1/chat/completions", question, 5_000},
		{"generation, two servers", 2, nil, "/v1/chat/completions", question, 14_000},
		{"scoring", 1, nil, "/v1/completions", score, 800},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hosts{}
				o := fleet.Options{RoundTripper: h}
				for i := range c.servers {
					name := fmt.Sprintf("gpu%d", i)
					h[name] = simulated(t, c.change)
					o.Endpoints = append(o.Endpoints, fleet.Endpoint{URL: "http://" + name})
				}
				f, err := fleet.New(o)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				drive(t, f, 400*c.servers, c.n, c.path, c.body, 200)
				stats := f.Stats()
				for name, s := range h {
					r := s.Report()
					t.Logf("%s: %.2f %% of its maximum in %v: %+v", name, 100*r.Share, r.Elapsed.Round(time.Second), r.Work)
					if r.Share < want {
						t.Errorf("%s did %.2f %% of its maximum", name, 100*r.Share)
					}
				}
				t.Logf("attempts %v, median latency %v", stats.Attempts, stats.Latency.Quantile(0.5))
			})
		})
	}
}
