package serve

import (
	"fmt"
	"net/http"

	"stargate/lm/local"
)

// card is a model as /v1/models shows it, with vLLM's root, parent and max_model_len.
type card struct {
	ID          string  `json:"id"`
	Object      string  `json:"object"` // "model"
	Created     int64   `json:"created"`
	OwnedBy     string  `json:"owned_by"`
	Root        string  `json:"root"`
	Parent      *string `json:"parent"` // of an adapter, the model it belongs to
	MaxModelLen int     `json:"max_model_len"`
}

func (s *Server) cards() []card {
	return []card{{ID: s.opts.Name, Object: "model", Created: s.created, OwnedBy: "stargate", Root: s.opts.Name, MaxModelLen: s.model.Room()}}
}

// listModels answers GET /v1/models.
func (s *Server) listModels(w *answer, _ *http.Request) error {
	return w.send(http.StatusOK, struct {
		Object string `json:"object"`
		Data   []card `json:"data"`
	}{"list", s.cards()})
}

// oneModel answers GET /v1/models/{model}.
func (s *Server) oneModel(w *answer, r *http.Request) error {
	name := r.PathValue("model")
	for _, c := range s.cards() {
		if c.ID == name {
			return w.send(http.StatusOK, c)
		}
	}
	return s.unknownModel(name)
}

// resolve is the model of a request: the field model names it; without one it is the
// server's own. Adapters, when there are some, are models with names of their own here.
func (s *Server) resolve(name *string) (m *local.Model, served string, err error) {
	if name == nil || *name == "" || *name == s.opts.Name {
		return s.model, s.opts.Name, nil
	}
	return nil, "", s.unknownModel(*name)
}

func (s *Server) unknownModel(name string) error {
	return &failure{status: http.StatusNotFound, param: "model", code: "model_not_found", message: fmt.Sprintf("there is no model %q here, only %q", name, s.opts.Name)}
}

// loadAdapter answers POST /v1/load_lora_adapter.
func (s *Server) loadAdapter(*answer, *http.Request) error { return errAdapters }

// unloadAdapter answers POST /v1/unload_lora_adapter.
func (s *Server) unloadAdapter(*answer, *http.Request) error { return errAdapters }

var errAdapters = &failure{status: http.StatusNotImplemented, code: "adapters_not_supported", final: true,
	message: "this server cannot load LoRA adapters at run time; serve a directory with the adapter merged instead"}
