package fleet

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Endpoint is one server of a role.
type Endpoint struct {
	URL    string      // what paths like /v1/models follow: http://gpu1:8000
	Header http.Header // sent with every request: the API key

	Start  int // concurrent requests to begin with; 0: 16
	Most   int // most concurrent requests; 0: 1024, what vLLM runs at once by default on the largest GPUs
	Tokens int // most tokens in flight; 0: no limit. vLLM's prompt_logprobs need memory by the token

	RequestsPerMinute float64 // 0: no limit
	TokensPerMinute   float64 // 0: no limit
}

// Options make a [Fleet]. Zero values are replaced by what the comments name.
type Options struct {
	Role      string // names the fleet in errors: "questioner"
	Endpoints []Endpoint

	Attempt time.Duration // longest time for one attempt; 0: 10 minutes
	Total   time.Duration // longest time for a call, counted from its first attempt, and longest outage of all endpoints that is waited for; 0: an hour
	Startup time.Duration // longest outage that is waited for while no endpoint has ever answered; 0: a minute
	Tries   int           // failed attempts after which a call fails, not counting those that found the server busy; 0: 8
	First   time.Duration // pause after a first failure, later ones grow by half to 60 times as much; 0: half a second
	Hedge   time.Duration // when an attempt takes longer, it is sent to a second endpoint too, and the first answer counts. Paid twice. 0: never
	Queue   int           // most calls that wait for a place; 0: 65536
	MaxBody int64         // most bytes of an answer; 0: 256 MiB
	Probe   string        // path that tells whether an ejected endpoint is back, by any status below 500; "": /health

	Log          *slog.Logger      // told when an endpoint goes away and comes back; nil: silent
	RoundTripper http.RoundTripper // nil: an http.Transport of its own, tuned for many requests to few hosts
}

func (o Options) withDefaults() Options {
	duration := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	duration(&o.Attempt, 10*time.Minute)
	duration(&o.Total, time.Hour)
	duration(&o.Startup, time.Minute)
	duration(&o.First, 500*time.Millisecond)
	if o.Tries == 0 {
		o.Tries = 8
	}
	if o.Queue == 0 {
		o.Queue = 1 << 16
	}
	if o.MaxBody == 0 {
		o.MaxBody = 256 << 20
	}
	if o.Probe == "" {
		o.Probe = "/health"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Role == "" {
		o.Role = "fleet"
	}
	o.Endpoints = append([]Endpoint(nil), o.Endpoints...)
	for i := range o.Endpoints {
		e := &o.Endpoints[i]
		if e.Most == 0 {
			e.Most = 1024
		}
		if e.Start == 0 {
			e.Start = min(16, e.Most)
		}
	}
	return o
}

func (o Options) validate() error {
	if len(o.Endpoints) == 0 {
		return fmt.Errorf("%s: no endpoints; give at least one url", o.Role)
	}
	if o.Attempt < 0 || o.Total < 0 || o.Startup < 0 || o.First < 0 || o.Hedge < 0 || o.Tries < 1 || o.Queue < 1 || o.MaxBody < 1 {
		return fmt.Errorf("%s: limits have to be above 0: attempt %v, total %v, startup %v, first pause %v, hedge %v, tries %d, queue %d, body %d",
			o.Role, o.Attempt, o.Total, o.Startup, o.First, o.Hedge, o.Tries, o.Queue, o.MaxBody)
	}
	seen := map[string]bool{}
	for _, e := range o.Endpoints {
		u, err := e.root()
		if err != nil {
			return fmt.Errorf("%s: %w", o.Role, err)
		}
		if seen[u.String()] {
			return fmt.Errorf("%s: endpoint %s is given twice", o.Role, u.Redacted())
		}
		seen[u.String()] = true
		if e.Start < 1 || e.Most < e.Start || e.Tokens < 0 || e.RequestsPerMinute < 0 || e.TokensPerMinute < 0 {
			return fmt.Errorf("%s: endpoint %s: want 1 ≤ start ≤ most concurrent requests and no limit below 0; got %d, %d, %d tokens in flight, %g requests and %g tokens a minute",
				o.Role, u.Redacted(), e.Start, e.Most, e.Tokens, e.RequestsPerMinute, e.TokensPerMinute)
		}
	}
	return nil
}

// root is the endpoint's address without slashes at the end.
func (e Endpoint) root() (*url.URL, error) {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("endpoint: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("endpoint %q: want an address like http://host:8000", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("endpoint %q: an address with a query or fragment has no paths below it", u.Redacted())
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// perMinute is a limiter of n events a minute that lets a second's worth through at once.
func perMinute(n float64) *rate.Limiter {
	if n == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(n/60), max(1, int(n/60)))
}

// newTransport re-uses connections as much as servers let it. vLLM's server closes idle ones
// after five seconds (uvicorn's default), and a request on its way at that moment is lost:
// ours close before.
func newTransport(o Options) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 0
	for _, e := range o.Endpoints {
		t.MaxIdleConnsPerHost = max(t.MaxIdleConnsPerHost, e.Most)
	}
	t.IdleConnTimeout = 4 * time.Second
	t.ReadBufferSize, t.WriteBufferSize = 16<<10, 16<<10
	return t
}
