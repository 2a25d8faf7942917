package serve

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

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
	Digest      string  `json:"digest"` // stargate: of weights, tokenizer and template; another model under the same name has another
}

func (s *Server) cards() []card {
	cards := []card{{ID: s.opts.Name, Object: "model", Created: s.created, OwnedBy: "stargate", Root: s.opts.Name, MaxModelLen: s.model.Room(), Digest: s.model.Digest()}}
	for _, a := range s.adapters.list() {
		cards = append(cards, card{ID: a.name, Object: "model", Created: a.created, OwnedBy: "stargate", Root: a.root, Parent: &s.opts.Name, MaxModelLen: a.model.Room(), Digest: a.model.Digest()})
	}
	return cards
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

// served is the model of a request, which the request holds until it lets go.
type served struct {
	*local.Model
	name  string
	letGo func()
}

// resolve is the model of a request: the field model names it; without one it is the
// server's own. An adapter stays until letGo is called, whatever is unloaded meanwhile.
func (s *Server) resolve(name *string) (served, error) {
	if name == nil || *name == "" || *name == s.opts.Name {
		return served{s.model, s.opts.Name, func() {}}, nil
	}
	if a := s.adapters.use(*name); a != nil {
		return served{a.model, a.name, func() { s.adapters.release(a) }}, nil
	}
	return served{}, s.unknownModel(*name)
}

func (s *Server) unknownModel(name string) error {
	var names []string
	for _, c := range s.cards() {
		names = append(names, strconv.Quote(c.ID))
	}
	return &failure{status: http.StatusNotFound, param: "model", code: "model_not_found", message: fmt.Sprintf("there is no model %q here, only %s", name, strings.Join(names, ", "))}
}
