package remote_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"stargate/internal/chattemplate"
	"stargate/internal/llama"
	"stargate/internal/tokenizer"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
	"stargate/serve"
)

// modelFiles are a tokenizer with the built-in model's template.
var modelFiles = sync.OnceValues(func() (map[string][]byte, error) {
	texts := func(yield func(string) bool) {
		for _, s := range []string{"What would you like to cook tonight?", "I like thing number seven.", "the theme of the thing there", "My name is Ada. Help me plan a party.", "Zoë’s café €"} {
			for range 20 {
				if !yield(s) {
					return
				}
			}
		}
	}
	tok, err := tokenizer.Train(texts, tokenizer.Options{VocabSize: 300, MinFrequency: 2,
		Special: []string{"<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"}})
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(tok)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(tokenizer.Config{EOSToken: "<|end|>", ChatTemplate: chattemplate.Nano})
	if err != nil {
		return nil, err
	}
	return map[string][]byte{tokenizer.File: data, tokenizer.ConfigFile: config}, nil
})

// newModel is a small random model with large weights, so that what it says depends on what
// it reads. Models of different seeds differ.
func newModel(t testing.TB, seed uint64, context int) *local.Model {
	t.Helper()
	files, err := modelFiles()
	if err != nil {
		t.Fatal(err)
	}
	w, err := llama.NewModel(llama.Config{ModelType: "mistral", VocabSize: 300, HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2,
		NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 8, MaxPositionEmbeddings: context})
	if err != nil {
		t.Fatal(err)
	}
	w.Init(seed)
	for _, p := range w.Params() {
		if p.Decay {
			for i := range p.Data {
				p.Data[i] *= 12
			}
		}
	}
	m, err := local.New(w, files, local.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// tokenizerDir is a directory with the model's tokenizer and template.
func tokenizerDir(t testing.TB) string {
	t.Helper()
	files, err := modelFiles()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// listen serves h and gives its address.
func listen(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// open makes a client of a role that does not wait long.
func open(t testing.TB, r remote.Role, o remote.Options) *remote.Client {
	t.Helper()
	c, err := tryOpen(t, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryOpen(t testing.TB, r remote.Role, o remote.Options) (*remote.Client, error) {
	t.Helper()
	if o.Transport == nil {
		f, err := brisk(r, o.Getenv)
		if err != nil {
			return nil, err
		}
		t.Cleanup(f.Close)
		o.Transport = forgetful{f}
	}
	return remote.Open(t.Context(), r, o)
}

// forgetful overwrites every answer that is given back: who still reads it gets nonsense.
type forgetful struct{ *fleet.Fleet }

func (f forgetful) Recycle(answer []byte) {
	for i := range answer[:cap(answer)] {
		answer[:cap(answer)][i] = '?'
	}
	f.Fleet.Recycle(answer)
}

// brisk is the role's fleet with little patience.
func brisk(r remote.Role, getenv func(string) string) (*fleet.Fleet, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	o, err := r.Fleet("test", getenv)
	if err != nil {
		return nil, err
	}
	o.Tries, o.First, o.Startup, o.Total = 4, time.Millisecond, 50*time.Millisecond, 10*time.Second
	return fleet.New(o)
}

// served is a stargate server of a model.
func served(m *local.Model) http.Handler { return serve.New(m, serve.Options{Name: "tiny"}) }
