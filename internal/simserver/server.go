package simserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options make a [Server].
type Options struct {
	Model    string // its name; "" answers to every name
	Hardware Hardware
	Lengths  Lengths
	Network  Lengths // delay of the network in milliseconds of the server's time, there and back together; the zero value: none
	Faults   Faults
	Key      string  // wanted as Authorization: Bearer; "": none
	Scale    float64 // how many times as fast as the clock the server's time runs; 0: once
	Foreign  bool    // token ids of any vocabulary are taken, for clients with a tokenizer of their own
}

// Server is an [http.Handler]. The zero value is not usable: see [New].
type Server struct {
	opts    Options
	mux     *http.ServeMux
	faults  faulter
	served  atomic.Int64 // requests, for the key's expiry
	started time.Time

	mu        sync.Mutex
	engine    *engine
	timer     *time.Timer
	window    window
	cancelled int
}

// window is what a report is about.
type window struct {
	work        Work // of the engine when it began
	first, last time.Duration
	began       bool
}

// New is a server that is idle. It needs no closing: it holds no goroutine and, when no
// request is in flight, no timer that will fire.
func New(o Options) (*Server, error) {
	if err := errors.Join(o.Hardware.validate(), o.Faults.validate()); err != nil {
		return nil, err
	}
	if o.Scale == 0 {
		o.Scale = 1
	}
	if o.Lengths.Median <= 0 || o.Scale < 0 {
		return nil, fmt.Errorf("simserver: want Lengths.Median and Scale above 0, got %g and %g", o.Lengths.Median, o.Scale)
	}
	s := &Server{opts: o, faults: faulter{Faults: o.Faults, attempts: map[uint64]uint64{}}, started: time.Now(), engine: newEngine(o.Hardware), mux: http.NewServeMux()}
	s.timer = time.AfterFunc(math.MaxInt64, s.tick)
	s.timer.Stop()
	s.mux.HandleFunc("POST /v1/chat/completions", s.post(func(w http.ResponseWriter, r *http.Request, q *request) error { return s.complete(w, r, q, true) }))
	s.mux.HandleFunc("POST /v1/completions", s.post(func(w http.ResponseWriter, r *http.Request, q *request) error { return s.complete(w, r, q, false) }))
	s.mux.HandleFunc("POST /tokenize", s.post(s.tokenize))
	s.mux.HandleFunc("POST /detokenize", s.post(s.detokenize))
	s.mux.HandleFunc("GET /v1/models", s.models)
	s.mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, struct{}{}) })
	s.mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		send(w, http.StatusOK, map[string]string{"version": "simserver"})
	})
	s.mux.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, s.Report()) })
	s.mux.HandleFunc("DELETE /report", func(w http.ResponseWriter, _ *http.Request) { s.Reset(); send(w, http.StatusOK, s.Report()) })
	return s, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.opts.Key != "" && r.Header.Get("Authorization") != "Bearer "+s.opts.Key {
		s.refuse(w, &refusal{http.StatusUnauthorized, "invalid_api_key", "Incorrect API key provided."})
		return
	}
	if n := s.served.Add(1); s.opts.Faults.KeyExpires > 0 && n > int64(s.opts.Faults.KeyExpires) {
		s.refuse(w, &refusal{http.StatusUnauthorized, "invalid_api_key", "Your API key has expired."})
		return
	}
	s.mux.ServeHTTP(w, r)
}

// post reads a body, checks the model, and writes errors.
func (s *Server) post(answer func(http.ResponseWriter, *http.Request, *request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client went away in the middle of its request
		}
		var q request
		if err := json.Unmarshal(body, &q); err != nil {
			s.refuse(w, invalid("the body is not a request: %v", err))
			return
		}
		if s.opts.Model != "" && q.Model != s.opts.Model {
			s.refuse(w, &refusal{http.StatusNotFound, "model_not_found", fmt.Sprintf("The model `%s` does not exist.", q.Model)})
			return
		}
		var no *refusal
		switch err := answer(w, r, &q); {
		case errors.As(err, &no):
			s.refuse(w, no)
		case err != nil && r.Context().Err() == nil:
			s.refuse(w, &refusal{http.StatusInternalServerError, "internal", err.Error()})
		}
	}
}

// complete answers both routes that generate.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, q *request, chat bool) error {
	if chat != (q.Messages != nil) {
		return invalid("want messages on /v1/chat/completions and a prompt on /v1/completions")
	}
	choices, name, err := s.choices(q)
	if err != nil {
		return err
	}
	ctx := r.Context()
	delay := s.delay(name)
	if err := s.sleep(ctx, delay/2); err != nil {
		return err
	}
	f := s.faults.next(name)
	switch f {
	case busyFault:
		return errBusy
	case errorFault:
		return errors.New("CUDA error: an illegal memory access was encountered (simulated)")
	case hangFault:
		<-ctx.Done()
		return ctx.Err()
	}
	if err := s.run(ctx, choices); err != nil {
		return err
	}
	if err := s.sleep(ctx, delay/2); err != nil {
		return err
	}
	spoil(f, q, choices)
	body, err := json.Marshal(answer(q, chat, choices))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	switch f {
	case garbageFault:
		copy(body[len(body)/2:], "<html><body>upstream ")
	case cutFault:
		w.Write(body[:len(body)/2])           // that the rest is missing is the point
		http.NewResponseController(w).Flush() // so that this half arrives
		panic(http.ErrAbortHandler)           // net/http's way to cut a connection
	}
	_, err = w.Write(body)
	return err
}

// delay is the network's share of a request's latency.
func (s *Server) delay(name uint64) time.Duration {
	if s.opts.Network.Median == 0 {
		return 0
	}
	r := rand.New(rand.NewPCG(name, 1))
	ms := s.opts.Network.Median * math.Exp(s.opts.Network.Sigma*r.NormFloat64())
	return time.Duration(ms * float64(time.Millisecond))
}

// sleep waits d of the server's time.
func (s *Server) sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(time.Duration(float64(d) / s.opts.Scale))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errBusy = &refusal{http.StatusTooManyRequests, "overloaded", "all places of the server are taken"}

// run takes the choices through the engine, or out of it when the client goes away.
func (s *Server) run(ctx context.Context, choices []*choice) error {
	s.mu.Lock()
	now := s.now()
	finished := s.engine.advance(now)
	full := s.engine.full(len(choices))
	if !full {
		if !s.window.began {
			s.window.began, s.window.first = true, now
		}
		for _, c := range choices {
			s.engine.add(c.seq, now)
		}
	}
	s.rearm(finished)
	s.mu.Unlock()
	if full {
		return errBusy
	}
	for _, c := range choices {
		select {
		case <-c.seq.done:
		case <-ctx.Done():
			s.cancel(choices)
			return ctx.Err()
		}
	}
	return nil
}

func (s *Server) cancel(choices []*choice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	finished := s.engine.advance(now)
	for _, c := range choices {
		if c.seq.finished == 0 {
			s.engine.cancel(c.seq, now)
			s.cancelled++
		}
	}
	s.rearm(finished)
}

// tick plays the engine up to now.
func (s *Server) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rearm(s.engine.advance(s.now()))
}

// rearm tells the finished, and sets the timer for the end of the current steps.
func (s *Server) rearm(finished []*sequence) {
	for _, f := range finished {
		s.window.last = max(s.window.last, f.finished)
		close(f.done)
	}
	if at, busy := s.engine.next(); busy {
		s.timer.Reset(max(0, time.Duration(math.Ceil(float64(at-s.now())/s.opts.Scale))))
	}
}

// now is the server's time.
func (s *Server) now() time.Duration {
	return time.Duration(float64(time.Since(s.started)) * s.opts.Scale)
}

func (s *Server) tokenize(w http.ResponseWriter, _ *http.Request, q *request) error {
	if q.Messages != nil && q.AddGenerationPrompt == nil {
		q.AddGenerationPrompt = new(true)
	}
	prompts, err := q.prompts()
	if err != nil {
		return err
	}
	if len(prompts) != 1 {
		return invalid("want one prompt")
	}
	send(w, http.StatusOK, struct {
		Count       int      `json:"count"`
		MaxModelLen int      `json:"max_model_len"`
		Tokens      []int32  `json:"tokens"`
		TokenStrs   []string `json:"token_strs"`
	}{len(prompts[0]), s.opts.Hardware.Context, prompts[0], nil})
	return nil
}

func (s *Server) detokenize(w http.ResponseWriter, _ *http.Request, q *request) error {
	var text []byte
	var err error
	for _, id := range q.Tokens {
		if text, err = decode(text, id); err != nil {
			return invalid("%v", err)
		}
	}
	send(w, http.StatusOK, map[string]string{"prompt": string(text)})
	return nil
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	type card struct {
		ID          string `json:"id"`
		Object      string `json:"object"`
		OwnedBy     string `json:"owned_by"`
		MaxModelLen int    `json:"max_model_len"`
	}
	name := s.opts.Model
	if name == "" {
		name = "sim"
	}
	send(w, http.StatusOK, struct {
		Object string `json:"object"`
		Data   []card `json:"data"`
	}{"list", []card{{name, "model", "vllm", s.opts.Hardware.Context}}})
}

// refuse writes an error in OpenAI's form.
func (s *Server) refuse(w http.ResponseWriter, r *refusal) {
	if r.status == http.StatusTooManyRequests {
		after := s.opts.Faults.RetryAfter
		if after == 0 {
			after = time.Second
		}
		wall := float64(after) / s.opts.Scale
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wall/float64(time.Second)))))
		w.Header().Set("Retry-After-Ms", strconv.FormatFloat(wall/float64(time.Millisecond), 'f', 3, 64))
	}
	type object struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    string `json:"code"`
	}
	send(w, r.status, map[string]object{"error": {r.message, "error", r.code}})
}

func send(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic("simserver: an answer cannot be JSON: " + err.Error()) // a bug
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	w.Write(data) // a client that went away does not read it
}
