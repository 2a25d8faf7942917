package tinkertest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/internal/optim"
	"stargate/lm/local"
)

// Dialect is how a server differs from Tinker's own. The zero value does not.
type Dialect struct {
	SequenceMean bool   // divides a sequence's loss by its weights, and averages sequences (SkyRL on JAX)
	NoForward    bool   // lacks the route forward
	NoNumbers    bool   // does a request twice that came twice
	NoNorms      bool   // tells no gradient norm
	Lists        bool   // tells log-probabilities as bare lists, from the first token with a weight on (SkyRL on PyTorch)
	TryAgain     bool   // says "try_again" where others answer 408
	BareNames    bool   // has no "sampler_weights/" in archive routes
	URL          bool   // answers an archive's address as JSON instead of a redirect
	Key          string // the API key it wants
}

// Server trains adapters on one base model.
type Server struct {
	URL   string
	Model string // its base model's name

	dialect Dialect
	base    *llama.Decoder
	config  llama.Config
	shapes  []lora.Weight
	pool    *kernel.Pool

	mu          sync.Mutex
	sessions    map[string]bool
	models      map[string]*model
	requests    map[string]*request // by request id
	numbered    map[string]string   // request ids by model and seq_id
	checkpoints map[string]checkpoint
	samplers    map[string][]byte
	trained     map[string]int // tokens by key, see Trained
	lose        map[string]int // answers to lose, by route
	refuse      map[string]int // requests to refuse as overload, by route
	count       int
	Calls       map[string]int // requests that were done, by route; read it when nothing is under way
	Tokens      int            // that models were given, to train on or to measure a loss; likewise

	// Policy opens a sampler's adapter; nil: the server has no route asample.
	Policy func(adapter fs.FS) (*local.Model, error)
	opened map[string]*local.Model
	ctx    context.Context // of the test
}

type request struct {
	polls  int
	result any
	err    error
}

// New starts a server of base, called name, that ends with the test.
func New(t testing.TB, base *llama.Model, name string, d Dialect) *Server {
	pool := kernel.NewPool(2)
	s := &Server{Model: name, dialect: d, base: llama.NewDecoder(base, pool, llama.NewCache(base.Config, 1)), config: base.Config, pool: pool, sessions: map[string]bool{}, models: map[string]*model{}, requests: map[string]*request{}, numbered: map[string]string{},
		checkpoints: map[string]checkpoint{}, samplers: map[string][]byte{}, trained: map[string]int{}, lose: map[string]int{}, refuse: map[string]int{}, Calls: map[string]int{}}
	for _, p := range base.Params() {
		if len(p.Shape) == 2 {
			s.shapes = append(s.shapes, lora.Weight{Name: p.Name, Out: p.Shape[0], In: p.Shape[1]})
		}
	}
	s.opened, s.ctx = map[string]*local.Model{}, t.Context()
	h := httptest.NewServer(s)
	s.URL = h.URL
	t.Cleanup(func() {
		h.Close()
		for _, m := range s.opened {
			m.Close()
		}
		s.pool.Close()
	})
	return s
}

// Lose makes the server do the next n requests of a route without answering.
func (s *Server) Lose(route string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose[route] = n
}

// Refuse makes the server answer the next n requests of a route with status 429.
func (s *Server) Refuse(route string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[route] = n
}

// Restart forgets all but what was saved.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
	clear(s.models)
	clear(s.requests)
	clear(s.numbered)
}

// Trained are the tokens that carried loss in steps with a learning rate above 0, since the
// start: how often each, by the list of all tokens up to it, as fmt prints it.
func (s *Server) Trained() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.trained)
}

// Checkpoints are the names of training checkpoints on the server.
func (s *Server) Checkpoints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.checkpoints))
}

// failure is an error with the status that it is answered with.
type failure struct {
	status int
	text   string
}

func (f failure) Error() string { return f.text }

func fail(status int, format string, args ...any) error {
	return failure{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/api/v1/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	if s.dialect.Key != "" && r.Header.Get("X-API-Key") != s.dialect.Key && !strings.HasSuffix(path, "/download") {
		answer(w, nil, fail(http.StatusUnauthorized, "invalid API key"))
		return
	}
	if strings.HasPrefix(path, "training_runs/") {
		s.files(w, r, path)
		return
	}
	if s.refuse[path] > 0 {
		s.refuse[path]--
		w.Header().Set("Retry-After", "0")
		answer(w, nil, fail(http.StatusTooManyRequests, "too many requests"))
		return
	}
	var body body
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			answer(w, nil, fail(http.StatusUnprocessableEntity, "%v", err))
			return
		}
	}
	out, err := s.route(path, body)
	if err == nil {
		s.Calls[path]++
	}
	if s.lose[path] > 0 {
		s.lose[path]--
		panic(http.ErrAbortHandler) // the connection breaks
	}
	answer(w, out, err)
}

func answer(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	var f failure
	if errors.As(err, &f) {
		w.WriteHeader(f.status)
		out = map[string]string{"detail": f.text}
	} else if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		out = map[string]string{"detail": err.Error()}
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// body is any request's.
type body struct {
	SessionID string `json:"session_id"`
	BaseModel string `json:"base_model"`
	LoRA      struct {
		Rank int    `json:"rank"`
		Seed uint64 `json:"seed"`
		MLP  *bool  `json:"train_mlp"`
		Attn *bool  `json:"train_attn"`
	} `json:"lora_config"`
	ModelID   string      `json:"model_id"`
	SeqID     *int        `json:"seq_id"`
	Backward  lossRequest `json:"forward_backward_input"`
	Forward   lossRequest `json:"forward_input"`
	Path      string      `json:"path"`
	ModelPath string      `json:"model_path"`
	Samples   int         `json:"num_samples"`
	Prompt    modelInput  `json:"prompt"`
	Sampling  struct {
		MaxTokens   int     `json:"max_tokens"`
		Seed        uint64  `json:"seed"`
		Stop        []int32 `json:"stop"`
		Temperature float64 `json:"temperature"`
		TopK        int     `json:"top_k"`
		TopP        float64 `json:"top_p"`
	} `json:"sampling_params"`
	Optimizer bool   `json:"optimizer"`
	RequestID string `json:"request_id"`
	Adam      struct {
		Rate  float64 `json:"learning_rate"`
		Beta1 float64 `json:"beta1"`
		Beta2 float64 `json:"beta2"`
		Eps   float64 `json:"eps"`
		Decay float64 `json:"weight_decay"`
		Clip  float64 `json:"grad_clip_norm"`
	} `json:"adam_params"`
}

type modelInput struct {
	Chunks []struct {
		Type   string  `json:"type"`
		Tokens []int32 `json:"tokens"`
	} `json:"chunks"`
}

type lossRequest struct {
	LossFn string `json:"loss_fn"`
	Data   []struct {
		Model  modelInput `json:"model_input"`
		Inputs map[string]struct {
			Data []float64 `json:"data"`
		} `json:"loss_fn_inputs"`
	} `json:"data"`
}

func (l lossRequest) rows() ([]row, error) {
	if l.LossFn != "cross_entropy" {
		return nil, fail(http.StatusUnprocessableEntity, "loss_fn %q", l.LossFn)
	}
	var rows []row
	for i, d := range l.Data {
		var inputs, targets []int32
		for _, c := range d.Model.Chunks {
			if c.Type != "encoded_text" {
				return nil, fail(http.StatusUnprocessableEntity, "chunk of type %q", c.Type)
			}
			inputs = append(inputs, c.Tokens...)
		}
		for _, x := range d.Inputs["target_tokens"].Data {
			targets = append(targets, int32(x))
		}
		r, err := parse(inputs, targets, d.Inputs["weights"].Data)
		if err != nil {
			return nil, fail(http.StatusUnprocessableEntity, "datum %d: %v", i, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

var identifier = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func (s *Server) route(path string, b body) (any, error) {
	switch path {
	case "healthz":
		return map[string]string{"status": "ok"}, nil
	case "get_server_capabilities":
		return map[string]any{"supported_models": []map[string]string{{"model_name": s.Model}}}, nil
	case "create_session":
		id := s.id("session")
		s.sessions[id] = true
		return map[string]string{"type": "create_session", "session_id": id}, nil
	case "session_heartbeat":
		if !s.sessions[b.SessionID] {
			return nil, fail(http.StatusNotFound, "Session not found")
		}
		return map[string]string{"type": "session_heartbeat"}, nil
	case "create_model":
		return s.createModel(b)
	case "retrieve_future":
		return s.retrieve(b.RequestID)
	case "asample":
		if s.Policy != nil {
			return s.sample(b)
		}
	}
	do, ok := map[string]func(*model, body) (any, error){
		"forward_backward": s.backward, "forward": s.forward, "optim_step": s.step, "save_weights": s.save, "load_weights": s.load,
		"save_weights_for_sampler": s.sampler, "unload_model": s.unload,
	}[path]
	if !ok || path == "forward" && s.dialect.NoForward {
		return nil, fail(http.StatusNotFound, "Not Found")
	}
	m, ok := s.models[b.ModelID]
	if !ok {
		return nil, fail(http.StatusNotFound, "Model not found")
	}
	key := ""
	if b.SeqID != nil && !s.dialect.NoNumbers && path != "save_weights" {
		key = fmt.Sprintf("%s/%d", b.ModelID, *b.SeqID)
		if id, ok := s.numbered[key]; ok {
			return map[string]string{"request_id": id, "future_id": id}, nil
		}
	}
	out, err := do(m, b)
	var f failure
	if errors.As(err, &f) && f.status != 0 {
		return nil, err // refused at once
	}
	id := s.future(out, err)
	if key != "" {
		s.numbered[key] = id
	}
	return map[string]string{"request_id": id, "future_id": id}, nil
}

func (s *Server) id(of string) string {
	s.count++
	return fmt.Sprintf("%s_%d", of, s.count)
}

// future keeps a result until it is asked for. Every second one is not ready when it is asked
// for first.
func (s *Server) future(out any, err error) string {
	id := s.id("request")
	s.requests[id] = &request{result: out, err: err, polls: s.count % 2}
	return id
}

func (s *Server) retrieve(id string) (any, error) {
	r, ok := s.requests[id]
	switch {
	case !ok:
		return nil, fail(http.StatusNotFound, "Future not found")
	case r.polls > 0:
		r.polls--
		if s.dialect.TryAgain {
			return map[string]string{"type": "try_again", "request_id": id, "queue_state": "active"}, nil
		}
		return nil, fail(http.StatusRequestTimeout, "Timeout waiting for result")
	case r.err != nil:
		return nil, fail(http.StatusBadRequest, "%v", r.err)
	}
	return r.result, nil
}

func (s *Server) createModel(b body) (any, error) {
	switch {
	case !s.sessions[b.SessionID]:
		return nil, fail(http.StatusNotFound, "Session not found")
	case b.BaseModel != s.Model:
		return nil, fail(http.StatusBadRequest, "unknown model %q", b.BaseModel)
	case b.LoRA.Rank < 1:
		return nil, fail(http.StatusUnprocessableEntity, "rank %d", b.LoRA.Rank)
	}
	on := func(x *bool) bool { return x == nil || *x }
	m, err := newModel(s.base, s.config, s.shapes, b.LoRA.Rank, b.LoRA.Seed, on(b.LoRA.Attn), on(b.LoRA.MLP))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "%v", err)
	}
	id := s.id("model")
	s.models[id] = m
	request := s.future(map[string]string{"model_id": id}, nil)
	return map[string]string{"request_id": request, "future_id": request}, nil
}

func (s *Server) forward(m *model, b body) (any, error) {
	rows, err := b.Forward.rows()
	if err != nil {
		return nil, err
	}
	return s.losses(m, rows)
}

func (s *Server) backward(m *model, b body) (any, error) {
	rows, err := b.Backward.rows()
	if err != nil {
		return nil, err
	}
	out, err := s.losses(m, rows)
	if err != nil {
		return nil, err
	}
	m.seen = append(m.seen, rows...)
	if s.dialect.SequenceMean {
		for _, r := range rows {
			sum := 0.0
			for _, w := range r.weights {
				sum += w
			}
			for t := range r.weights {
				r.weights[t] /= sum * float64(len(rows))
			}
		}
	}
	return out, m.backward(rows)
}

// losses are the results of forward and forward_backward.
func (s *Server) losses(m *model, rows []row) (any, error) {
	var outputs []map[string]any
	for _, r := range rows {
		s.Tokens += len(r.tokens) - 1 // the last is a target only
		lps, err := m.logprobs(r)
		if err != nil {
			return nil, err
		}
		var told any = map[string]any{"data": lps, "dtype": "float32", "shape": []int{len(lps)}}
		if s.dialect.Lists {
			first := slices.IndexFunc(r.weights, func(w float64) bool { return w > 0 }) - 1
			told = lps[first:]
		}
		outputs = append(outputs, map[string]any{"logprobs": told})
	}
	return map[string]any{"loss_fn_output_type": "scalar", "loss_fn_outputs": outputs, "metrics": map[string]float64{}}, nil
}

func (s *Server) step(m *model, b body) (any, error) {
	a := b.Adam
	if a.Rate > 0 {
		for _, r := range m.seen {
			for t, w := range r.weights {
				if w > 0 {
					s.trained[fmt.Sprint(r.tokens[:t+1])]++
				}
			}
		}
	}
	m.seen = nil
	norm, err := m.step(s.pool, optim.Options{Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, Decay: a.Decay, MaxNorm: a.Clip}, a.Rate)
	if err != nil {
		return nil, err
	}
	metrics := map[string]float64{"skyrl.ai/learning_rate": a.Rate}
	if !s.dialect.NoNorms && !math.IsNaN(norm) {
		metrics["skyrl.ai/grad_norm"] = norm
	}
	return map[string]any{"metrics": metrics}, nil
}

func (s *Server) save(m *model, b body) (any, error) {
	if !identifier.MatchString(b.Path) {
		return nil, fail(http.StatusUnprocessableEntity, "path %q", b.Path)
	}
	at := "tinker://" + b.ModelID + "/weights/" + b.Path
	if _, ok := s.checkpoints[at]; ok {
		return nil, fail(http.StatusConflict, "Checkpoint '%s' already exists for model '%s'", b.Path, b.ModelID)
	}
	s.checkpoints[at] = m.save()
	return map[string]string{"path": at, "type": "save_weights"}, nil
}

func (s *Server) load(m *model, b body) (any, error) {
	c, ok := s.checkpoints[b.Path]
	if !ok {
		return nil, fail(http.StatusNotFound, "Checkpoint not found: %s", b.Path)
	}
	return map[string]string{"type": "load_weights"}, m.load(c, b.Optimizer)
}

func (s *Server) sampler(m *model, b body) (any, error) {
	if !identifier.MatchString(b.Path) {
		return nil, fail(http.StatusUnprocessableEntity, "path %q", b.Path)
	}
	files, err := m.adapter.Files()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.WriteHeader(&tar.Header{Name: "./" + name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			return nil, err
		}
		if _, err := t.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, err
	}
	s.samplers[b.ModelID+"/"+b.Path] = out.Bytes()
	return map[string]string{"path": "tinker://" + b.ModelID + "/sampler_weights/" + b.Path, "type": "save_weights_for_sampler"}, nil
}

func (s *Server) unload(_ *model, b body) (any, error) {
	delete(s.models, b.ModelID)
	return map[string]string{"model_id": b.ModelID, "status": "unloaded"}, nil
}

// files serves archives and removes checkpoints.
func (s *Server) files(w http.ResponseWriter, r *http.Request, path string) {
	parts := strings.Split(path, "/") // training_runs MODEL checkpoints [KIND] NAME [archive|download]
	if len(parts) < 4 || parts[2] != "checkpoints" {
		http.NotFound(w, r)
		return
	}
	id, rest := parts[1], parts[3:]
	if r.Method == http.MethodDelete {
		at := "tinker://" + id + "/" + strings.Join(rest, "/")
		if _, ok := s.checkpoints[at]; !ok {
			answer(w, nil, fail(http.StatusNotFound, "Checkpoint not found"))
			return
		}
		delete(s.checkpoints, at)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	last := rest[len(rest)-1]
	name := strings.Join(rest[:len(rest)-1], "/")
	bare := strings.TrimPrefix(name, "sampler_weights/")
	data, ok := s.samplers[id+"/"+bare]
	if !ok || s.dialect.BareNames && bare != name {
		answer(w, nil, fail(http.StatusNotFound, "Checkpoint not found"))
		return
	}
	switch last {
	case "archive":
		to := s.URL + "/api/v1/training_runs/" + id + "/checkpoints/" + bare + "/download"
		if s.dialect.URL {
			answer(w, map[string]string{"url": to, "expires": "2030-01-01T00:00:00Z"}, nil)
			return
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	case "download":
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(data) // a client that is gone needs no answer
	default:
		http.NotFound(w, r)
	}
}
