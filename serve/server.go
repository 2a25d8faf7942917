package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"stargate/lm/local"
)

// Options of a server.
type Options struct {
	Name   string   // what clients call the model
	Keys   []string // API keys, any of which opens the server; none: the loopback interface only
	Limits Limits
	Log    *slog.Logger // nil: silent

	// AdapterDirs are directories below which clients may load LoRA adapters from; none: they
	// may not.
	AdapterDirs []string
}

// Limits protect a server from its clients. Zero fields mean the default.
type Limits struct {
	Body      int64         // bytes of a request (8 MiB)
	Batch     int           // completions of a request: prompts times n (128)
	Sequences int           // completions in flight; more get 429 (256)
	Time      time.Duration // of a request (10 min)
	Grace     time.Duration // for requests in flight when the server is to end (30 s)
	Idle      time.Duration // of a client that neither sends its request nor takes its answer (30 s)

	Adapters    int // LoRA adapters loaded at once (8)
	AdapterRank int // of a LoRA adapter (256)
}

func (l Limits) withDefaults() Limits {
	l.Body = cmp.Or(l.Body, 8<<20)
	l.Sequences = cmp.Or(l.Sequences, 256)
	l.Batch = min(cmp.Or(l.Batch, 128), l.Sequences)
	l.Time = cmp.Or(l.Time, 10*time.Minute)
	l.Grace = cmp.Or(l.Grace, 30*time.Second)
	l.Idle = cmp.Or(l.Idle, 30*time.Second)
	l.Adapters = cmp.Or(l.Adapters, 8)
	l.AdapterRank = cmp.Or(l.AdapterRank, 256)
	return l
}

// Server serves one model, and adapters of it. It is an [http.Handler].
type Server struct {
	model    *local.Model
	adapters *adapters
	opts     Options
	created  int64 // Unix seconds: what /v1/models says
	keys     keys
	places   places
	meter    *meter
	handler  http.Handler
	ending   chan struct{} // closed when no new request is welcome
	random   func() uint64 // seeds of requests that bring none
}

// New makes a server of a model, which stays the caller's to close, after the server.
func New(m *local.Model, o Options) *Server {
	o.Limits = o.Limits.withDefaults()
	o.Name = cmp.Or(o.Name, "model")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{model: m, opts: o, created: time.Now().Unix(), keys: newKeys(o.Keys), ending: make(chan struct{}), random: randomSeed}
	s.places.limit = int64(o.Limits.Sequences)
	s.adapters = newAdapters(m, s.opts)
	s.meter = newMeter(s)
	s.handler = s.routes()
	return s
}

// Close ends the adapters that clients have loaded; requests that use one fail with 503.
func (s *Server) Close() { s.adapters.close() }

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Listen opens the address to serve on. An address beyond the loopback interface needs an
// API key, because whoever reaches the server may use it.
func (s *Server) Listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	if !s.keys.needed() && !loopback(l.Addr().String()) {
		l.Close()
		return nil, fmt.Errorf("serve: %s can be reached by other machines and there is no API key: give one, or listen on 127.0.0.1", addr)
	}
	return l, nil
}

// loopback says whether only this machine reaches an address of the form host:port.
func loopback(addr string) bool {
	at, err := netip.ParseAddrPort(addr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// Serve answers until ctx ends. Then it takes no new request, lets those in flight finish
// for Limits.Grace, and cuts off what is left. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	hs := &http.Server{
		Handler:           s,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: s.opts.Limits.Idle,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(l) }()
	s.opts.Log.Info("serving", "model", s.opts.Name, "address", l.Addr().String(), "key needed", s.keys.needed())
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	close(s.ending)
	s.opts.Log.Info("ending", "in flight", s.places.taken.Load(), "grace", s.opts.Limits.Grace)
	grace, cancel := context.WithTimeout(base, s.opts.Limits.Grace)
	defer cancel()
	err := hs.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		cut(errEnding) // the handlers answer 503
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err = hs.Shutdown(last); err != nil {
			err = hs.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("serve: end: %w", err)
	}
	return nil
}
