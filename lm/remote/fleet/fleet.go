package fleet

import (
	"context"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Fleet is a transport to the endpoints of a role. It is safe for concurrent use.
type Fleet struct {
	o            Options
	roundTripper http.RoundTripper
	numbers      atomic.Uint64 // of calls
	endpoints    []*endpoint

	life       context.Context // of probes
	end        context.CancelFunc
	background sync.WaitGroup // probes and hedged attempts

	mu       sync.Mutex
	queue    []*ticket // by number
	timer    *time.Timer
	prefixes *prefixes
	closed   bool
	hedges   int64
	calls    calls
}

// New is a fleet for the endpoints of a role. It sends nothing yet. Close it at the end.
func New(o Options) (*Fleet, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	f := &Fleet{o: o, roundTripper: o.RoundTripper, prefixes: newPrefixes(1 << 16)}
	if f.roundTripper == nil {
		f.roundTripper = newTransport(o)
	}
	for _, e := range o.Endpoints {
		made, err := newEndpoint(e)
		if err != nil {
			return nil, err
		}
		f.endpoints = append(f.endpoints, made)
	}
	f.life, f.end = context.WithCancel(context.Background())
	f.timer = time.AfterFunc(math.MaxInt64, f.wake)
	f.timer.Stop()
	return f, nil
}

// Post sends body (JSON) to path of the endpoint that suits it, and again where that may
// help. load is the request's expected tokens, prompt and completion together. The answer is
// the caller's.
//
// It fails with a [failure.StatusError] or a [failure.NoAnswerError], with [ErrQueueFull] or
// [ErrClosed], or with the cause of ctx's end, at once when it ends.
func (f *Fleet) Post(ctx context.Context, path string, body []byte, load int) ([]byte, http.Header, error) {
	return f.call(ctx, nil, message{http.MethodPost, path, notNil(body)}, load)
}

// Get asks for path. Its errors are those of [Fleet.Post].
func (f *Fleet) Get(ctx context.Context, path string) ([]byte, http.Header, error) {
	return f.call(ctx, nil, message{method: http.MethodGet, path: path}, 0)
}

func notNil(body []byte) []byte {
	if body == nil {
		return []byte{}
	}
	return body
}

// Limit lowers the most concurrent requests of every endpoint: for servers that turned out to
// do less at once than was thought. It never raises them.
func (f *Fleet) Limit(most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.endpoints {
		e.o.Most = max(1, min(e.o.Most, most))
		e.o.Start = min(e.o.Start, e.o.Most)
		e.concurrency.most = float64(e.o.Most)
		e.concurrency.limit = min(e.concurrency.limit, e.concurrency.most)
	}
}

// Close fails the calls that wait, ends probes, and drops idle connections. Attempts in flight
// are left to end with their callers.
func (f *Fleet) Close() {
	f.mu.Lock()
	f.closed = true
	f.failWaiting(ErrClosed, nil)
	f.timer.Stop()
	f.mu.Unlock()
	f.end()
	f.background.Wait()
	if t, ok := f.roundTripper.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Single is one endpoint of a fleet, under the fleet's limits: for what every server has to
// be told or asked, like loading an adapter or whether it has the model. It is a transport
// too. A call waits for its endpoint even when others have places.
type Single struct {
	fleet *Fleet
	only  *endpoint
}

// Each gives the endpoints in the order of the options.
func (f *Fleet) Each() []Single {
	all := make([]Single, len(f.endpoints))
	for i, e := range f.endpoints {
		all[i] = Single{f, e}
	}
	return all
}

// URL is the endpoint's address without what is secret in it.
func (s Single) URL() string { return s.only.name }

// Post is [Fleet.Post] at this endpoint.
func (s Single) Post(ctx context.Context, path string, body []byte, load int) ([]byte, http.Header, error) {
	return s.fleet.call(ctx, s.only, message{http.MethodPost, path, notNil(body)}, load)
}

// Get is [Fleet.Get] at this endpoint.
func (s Single) Get(ctx context.Context, path string) ([]byte, http.Header, error) {
	return s.fleet.call(ctx, s.only, message{method: http.MethodGet, path: path}, 0)
}
