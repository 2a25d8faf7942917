package fleet

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stargate/lm/remote/failure"
)

// TestChaos: whatever servers do and callers give up, every call ends, in one of the ways
// that are promised, with its own answer, and nothing is left behind.
func TestChaos(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			const calls = 150
			var mu sync.Mutex
			r := rand.New(rand.NewPCG(seed, 0))
			random := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return r.IntN(n)
			}
			most := 1 + random(20)
			var inFlight, tooMany atomic.Int64
			s := script{}
			o := Options{Role: "chaos", Attempt: time.Minute, Total: 30 * time.Minute, Hedge: time.Duration(random(2)) * 5 * time.Second}
			for _, host := range []string{"a", "b", "c"}[:1+random(3)] {
				var now atomic.Int64
				s[host] = func(r *http.Request, body string) (*http.Response, error) {
					if r.URL.Path == "/health" {
						if random(3) == 0 {
							return refuse(r, body)
						}
						return reply(200, "")
					}
					inFlight.Add(1)
					defer inFlight.Add(-1)
					if now.Add(1) > int64(most) {
						tooMany.Add(1)
					}
					defer now.Add(-1)
					if err := after(r, time.Duration(random(4000))*time.Millisecond); err != nil {
						return nil, err
					}
					switch random(30) {
					case 0:
						return reply(429, "", "Retry-After: 2")
					case 1:
						return reply(503, "")
					case 2:
						return reply(500, "")
					case 3:
						return cut(r, body)
					case 4:
						return refuse(r, body)
					case 5:
						return hang(r, body)
					case 6:
						return reply(400, "")
					}
					return reply(200, body)
				}
				o.Endpoints = append(o.Endpoints, Endpoint{URL: "http://" + host, Start: 1, Most: most, Tokens: 100 * random(20)})
			}
			f := open(t, s, o)
			var answered, refused, gaveUp atomic.Int64
			var wg sync.WaitGroup
			for i := range calls {
				body := strings.Repeat(string(rune('a'+i%26)), 10+random(2000))
				load := random(200)
				wait, patience := time.Duration(random(60))*time.Second, time.Duration(random(20))*time.Minute
				wg.Go(func() {
					time.Sleep(wait)
					ctx := t.Context()
					if random(3) == 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, patience)
						defer cancel()
					}
					began := time.Now()
					got, _, err := f.Post(ctx, "/x", []byte(body), load)
					_, status := errors.AsType[*failure.StatusError](err)
					_, none := errors.AsType[*failure.NoAnswerError](err)
					switch {
					case err == nil && string(got) == body:
						answered.Add(1)
					case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && time.Since(began) == patience:
						gaveUp.Add(1)
					case status || none:
						refused.Add(1)
					default:
						t.Errorf("after %v of %v: %.20q, %v", time.Since(began), patience, got, err)
					}
				})
			}
			wg.Wait()
			synctest.Wait() // the slower of two hedged attempts
			stats := f.Stats()
			if stats.InFlight != 0 || stats.Tokens != 0 || stats.Waiting != 0 || inFlight.Load() != 0 {
				t.Errorf("left behind: %+v", stats)
			}
			if stats.Calls != calls || stats.Cancelled != gaveUp.Load() || stats.Failed != refused.Load() || stats.Latency.Count() != answered.Load() {
				t.Errorf("%d answered, %d refused, %d gave up; statistics %+v", answered.Load(), refused.Load(), gaveUp.Load(), stats)
			}
			if tooMany.Load() > 0 {
				t.Errorf("more than %d at once, %d times", most, tooMany.Load())
			}
			f.Close()
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
