package serve

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// mostName bounds an adapter's name, in bytes.
const mostName = 200

// loadRequest is vLLM's POST /v1/load_lora_adapter.
type loadRequest struct {
	Name    string `json:"lora_name"`
	Path    string `json:"lora_path"` // absolute, or below one of Options.AdapterDirs
	Replace bool   `json:"load_inplace"`
}

// unloadRequest is vLLM's POST /v1/unload_lora_adapter.
type unloadRequest struct {
	Name string `json:"lora_name"`
	ID   *int   `json:"lora_int_id"` // vLLM's number of an adapter; the name is enough
}

// loadAdapter answers POST /v1/load_lora_adapter.
func (s *Server) loadAdapter(w *answer, r *http.Request) error {
	if err := s.places.take(1); err != nil {
		return err
	}
	defer s.places.give(1)
	if len(s.adapters.dirs) == 0 {
		return errNoAdapters
	}
	var q loadRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	switch {
	case q.Name == "":
		return invalid("lora_name", "lora_name is missing or empty")
	case q.Path == "":
		return invalid("lora_path", "lora_path is missing or empty")
	case len(q.Name) > mostName || strings.ContainsFunc(q.Name, unicode.IsControl):
		return invalid("lora_name", "lora_name has to be a text of at most %d bytes without control characters", mostName)
	case q.Name == s.opts.Name:
		return invalid("lora_name", "%q is the name of the base model; take another for the adapter", q.Name)
	}
	if err := s.adapters.load(r.Context(), q.Name, q.Path, q.Replace); err != nil {
		return err
	}
	s.opts.Log.Info("adapter loaded", "name", q.Name, "path", q.Path)
	return w.text(fmt.Sprintf("Success: LoRA adapter '%s' added successfully.", q.Name))
}

// unloadAdapter answers POST /v1/unload_lora_adapter.
func (s *Server) unloadAdapter(w *answer, r *http.Request) error {
	if len(s.adapters.dirs) == 0 {
		return errNoAdapters
	}
	var q unloadRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	if q.Name == "" {
		return invalid("lora_name", "lora_name is missing or empty")
	}
	if err := s.adapters.unload(q.Name); err != nil {
		return err
	}
	s.opts.Log.Info("adapter unloaded", "name", q.Name)
	return w.text(fmt.Sprintf("Success: LoRA adapter '%s' removed successfully.", q.Name))
}

var errNoAdapters = &failure{status: http.StatusForbidden, code: "adapters_not_allowed", final: true,
	message: "this server loads no adapters: whoever runs it has to name a directory for them (stargate serve --lora-dir DIR)"}

// text answers with a plain text.
func (a *answer) text(s string) error {
	a.Header().Set("Content-Type", "text/plain; charset=utf-8")
	a.WriteHeader(http.StatusOK)
	_, _ = a.Write([]byte(s)) // a client that went away is nobody's error
	return nil
}
