package serve

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// handler answers a request; its error is written as the answer.
type handler func(w *answer, r *http.Request) error

// routes is every path of the server.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	add := func(method, path string, open bool, h handler) {
		mux.Handle(path, s.guard(method, path, open, h))
	}
	add(http.MethodGet, "/health", true, s.health)
	add(http.MethodGet, "/metrics", false, s.metrics)
	add(http.MethodGet, "/v1/models", false, s.listModels)
	add(http.MethodGet, "/v1/models/{model...}", false, s.oneModel)
	add(http.MethodPost, "/v1/chat/completions", false, s.chat)
	add(http.MethodPost, "/v1/completions", false, s.completions)
	add(http.MethodPost, "/tokenize", false, s.tokenize)
	add(http.MethodPost, "/detokenize", false, s.detokenize)
	add(http.MethodPost, "/v1/load_lora_adapter", false, s.loadAdapter)
	add(http.MethodPost, "/v1/unload_lora_adapter", false, s.unloadAdapter)
	mux.Handle("/", s.guard("", "other", false, func(w *answer, r *http.Request) error {
		return &failure{status: http.StatusNotFound, code: "unknown_url", message: "there is nothing at " + r.URL.Path + "; the routes are under /v1, and /tokenize, /detokenize, /health and /metrics"}
	}))
	return mux
}

// guard is what every request passes: who may ask, the method, the count. An open route
// needs no key.
func (s *Server) guard(method, path string, open bool, h handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		a := &answer{ResponseWriter: w, idle: s.opts.Limits.Idle}
		err := func() error {
			if err := foreign.Check(r); err != nil {
				return &failure{status: http.StatusForbidden, code: "cross_origin", message: "requests from web pages of other origins are refused"}
			}
			if !open {
				if err := s.admit(r); err != nil {
					return err
				}
			}
			if method != "" && r.Method != method && !(method == http.MethodGet && r.Method == http.MethodHead) {
				a.Header().Set("Allow", method)
				return &failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: r.URL.Path + " wants " + method + ", not " + r.Method}
			}
			return h(a, r)
		}()
		if err != nil {
			s.fail(a, r, err)
		}
		s.meter.request(path, a.status, time.Since(began))
	})
}

// answer is a ResponseWriter that knows what was sent and does not wait for ever.
type answer struct {
	http.ResponseWriter
	status int // 0: nothing sent yet
	idle   time.Duration
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if err := a.patience(); err != nil {
		return 0, err
	}
	return a.ResponseWriter.Write(data)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// patience gives the client some time to take what comes.
func (a *answer) patience() error {
	return deadline(http.NewResponseController(a.ResponseWriter).SetWriteDeadline, time.Now().Add(a.idle))
}

// send writes v as the answer.
func (a *answer) send(status int, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	a.Header().Set("Content-Type", "application/json")
	a.WriteHeader(status)
	_, _ = a.Write(append(data, '\n')) // a client that went away is nobody's error
	return nil
}

// encode is JSON without escapes for HTML; floats have the shortest form that reads back
// to the same bits.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
