package remote_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"stargate/internal/lora"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/serve"
)

// writeAdapter writes a LoRA adapter for m; with strength 0 it changes nothing.
func writeAdapter(t testing.TB, m *local.Model, dir string, strength float64) {
	t.Helper()
	params, err := m.Config().Shapes()
	if err != nil {
		t.Fatal(err)
	}
	var ws []lora.Weight
	for _, p := range params {
		if len(p.Shape) == 2 {
			ws = append(ws, lora.Weight{Name: p.Name, Out: p.Shape[0], In: p.Shape[1]})
		}
	}
	a, err := lora.New(lora.Config{Rank: 4, Alpha: 8}, ws, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, x := range a.Matrices {
		for i := range x.B {
			x.B[i] = float32(strength * r.NormFloat64())
		}
	}
	files, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// adapterServer is a stargate server that loads adapters from dir.
func adapterServer(t testing.TB, m *local.Model, dir string) http.Handler {
	s := serve.New(m, serve.Options{Name: "tiny", AdapterDirs: []string{dir}})
	t.Cleanup(s.Close)
	return s
}

// A policy is published as an adapter on both servers of a role, answers under its name, and
// is taken away again.
func TestAdapters(t *testing.T) {
	m, dir := newModel(t, 3, auditContext), t.TempDir()
	writeAdapter(t, m, filepath.Join(dir, "m1"), 0.2)
	writeAdapter(t, m, filepath.Join(dir, "nothing"), 0)
	urls := []string{listen(t, adapterServer(t, m, dir)), listen(t, adapterServer(t, m, dir))}
	c := open(t, remote.Role{URLs: urls}, remote.Options{})
	name := remote.AdapterName("nano run/7", "m1", "0123")
	if !strings.HasPrefix(name, "m1-nano-run-7-") || name == remote.AdapterName("nano run/7", "m1", "0124") {
		t.Errorf("the name is %q", name)
	}
	m1, err := c.LoadAdapter(t.Context(), name, filepath.Join(dir, "m1"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.OpenAdapter(os.DirFS(filepath.Join(dir, "m1")), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	chat, s := lm.Chat{{Role: lm.User, Content: "I like the party. What would you cook?"}}, lm.Sampling{Temperature: 1, MaxTokens: 20, Seed: 5}
	for range 4 { // both servers
		a, err := m1.Generate(t.Context(), chat, s)
		b, err2 := want.Generate(t.Context(), chat, s)
		if err != nil || err2 != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("with the adapter: %+v, %v; in process %+v, %v", a, err, b, err2)
		}
		score, err := m1.LogProb(t.Context(), chat, "I would cook")
		inProcess, err2 := want.LogProb(t.Context(), chat, "I would cook")
		if err != nil || err2 != nil || !reflect.DeepEqual(score, inProcess) {
			t.Errorf("with the adapter: %+v, %v; in process %+v, %v", score, err, inProcess, err2)
		}
	}
	if m1.Digest() == c.Digest() {
		t.Error("the adapter does not change the digest")
	}
	if models, err := c.Models(t.Context()); err != nil || !reflect.DeepEqual(models, []string{name, "tiny"}) {
		t.Errorf("the models are %v, %v", models, err)
	}

	if _, err := c.LoadAdapter(t.Context(), name, filepath.Join(dir, "m1")); err != nil {
		t.Errorf("the same again, as a resumed run does: %v", err)
	}
	for what, err := range map[string]error{
		"a name that is taken":            second(c.LoadAdapter(t.Context(), name, filepath.Join(dir, "nothing"))),
		"an adapter that changes nothing": second(c.LoadAdapter(t.Context(), "m2", filepath.Join(dir, "nothing"))),
		"a directory that is missing":     second(c.LoadAdapter(t.Context(), "m3", filepath.Join(dir, "missing"))),
		"the base model's name":           second(c.LoadAdapter(t.Context(), "tiny", filepath.Join(dir, "m1"))),
	} {
		if !errors.Is(err, remote.ErrAdapter) {
			t.Errorf("%s: %v, want ErrAdapter", what, err)
		}
	}
	for range 2 {
		if err := c.UnloadAdapter(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if _, err := m1.Generate(t.Context(), chat, s); err == nil {
		t.Error("an adapter that was taken away answers")
	}
	if _, err := c.Generate(t.Context(), chat, s); err != nil {
		t.Errorf("the base model: %v", err)
	}
}

// SGLang has routes and an address of its own for adapters.
func TestAdaptersOfSGLang(t *testing.T) {
	m, dir := newModel(t, 3, auditContext), t.TempDir()
	writeAdapter(t, m, filepath.Join(dir, "m1"), 0.2)
	c := open(t, remote.Role{URL: listen(t, sglang(t, m)), Tokenizer: tokenizerDir(t), Route: remote.CompletionsRoute}, remote.Options{})
	m1, err := c.LoadAdapter(t.Context(), "m1", filepath.Join(dir, "m1"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.OpenAdapter(os.DirFS(filepath.Join(dir, "m1")), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	chat, s := lm.Chat{{Role: lm.User, Content: "What would you cook?"}}, lm.Sampling{Temperature: 1, MaxTokens: 20, Seed: 5}
	a, err := m1.Generate(t.Context(), chat, s)
	b, err2 := want.Generate(t.Context(), chat, s)
	if err != nil || err2 != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("with the adapter: %+v, %v; in process %+v, %v", a, err, b, err2)
	}
	if err := c.UnloadAdapter(t.Context(), "m1"); err != nil {
		t.Error(err)
	}
	if _, err := c.LoadAdapter(t.Context(), "m2", filepath.Join(dir, "missing")); !errors.Is(err, remote.ErrAdapter) {
		t.Errorf("a directory that is missing: %v", err)
	}
	// Others have no such thing.
	hosted := open(t, remote.Role{URL: listen(t, flaky(says(good), 0)), Model: "gpt-tiny"}, remote.Options{})
	if _, err := hosted.LoadAdapter(t.Context(), "m1", dir); !errors.Is(err, remote.ErrUnsupported) {
		t.Errorf("at a hosted API: %v", err)
	}
}

func second(_ *remote.Client, err error) error { return err }

// A server that ignores the name of an adapter and answers with the base model is found out,
// whether it says so or not.
func TestAdapterThatIsIgnored(t *testing.T) {
	m, dir := newModel(t, 3, auditContext), t.TempDir()
	writeAdapter(t, m, filepath.Join(dir, "m1"), 0.2)
	for name, honest := range map[string]bool{"it says who answers": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			base := adapterServer(t, m, dir)
			url := listen(t, rewritten(base, func(body map[string]any) { body["model"] = "tiny" }, func(body, answer map[string]any) {
				if !honest {
					answer["model"] = body["model"]
				}
			}))
			c := open(t, remote.Role{URL: url}, remote.Options{})
			_, err := c.LoadAdapter(t.Context(), "m1", filepath.Join(dir, "m1"))
			if !errors.Is(err, remote.ErrAdapter) || honest && !errors.Is(err, remote.ErrWrongModel) || !honest && !strings.Contains(err.Error(), "as without it") {
				t.Errorf("loading says %v", err)
			}
		})
	}
}

// rewritten changes what goes to h and what comes back; answers without a model are left.
func rewritten(h http.Handler, request func(map[string]any), answer func(request, answer map[string]any)) http.Handler {
	return bent(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if r.Method == http.MethodPost && !strings.Contains(r.URL.Path, "lora") && json.NewDecoder(r.Body).Decode(&body) == nil {
			request(body)
			replaceBody(r, body)
		}
		h.ServeHTTP(w, r)
	}), 0, func(_ string, q, a map[string]any) {
		if a["model"] != nil {
			answer(q, a)
		}
	})
}
