package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/nano"
	"stargate/serve"
)

// scriptedJudge is an OpenAI-compatible server that prefers the longer of two responses, finds
// every task general, and counts the comparisons that it was paid for.
func scriptedJudge(t *testing.T) (url string, paid *atomic.Int64, stop func()) {
	t.Helper()
	paid = new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"judge","object":"model"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Messages []struct{ Content string } `json:"messages"`
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &q)
		}
		if err != nil || len(q.Messages) == 0 {
			http.Error(w, `{"error":{"message":"what?"}}`, http.StatusBadRequest)
			return
		}
		_, both, comparison := strings.Cut(q.Messages[len(q.Messages)-1].Content, "A: ")
		a, b, _ := strings.Cut(both, "B: ")
		answer := "Both are polite. Final Response: A"
		if len(b) > len(a) {
			answer = "The second says more. Final Response: B"
		}
		if comparison {
			paid.Add(1)
		} else { // a task to rate, or the probe of a run that begins
			answer = "It depends on who asks. Rating: 2"
		}
		json.NewEncoder(w).Encode(map[string]any{"id": "1", "object": "chat.completion", "model": "judge",
			"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]string{"role": "assistant", "content": answer}}},
			"usage":   map[string]int{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, paid, s.Close
}

// nanoIn is the built-in model, opened from a directory of its own.
func nanoIn(t *testing.T, name string) (m *local.Model, dir string) {
	t.Helper()
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	if m, err = local.OpenDir(dir, local.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, dir
}

// modelServer serves the built-in model from a directory of its own.
func modelServer(t *testing.T, name string, adapters ...string) (url, dir string) {
	t.Helper()
	m, dir := nanoIn(t, name)
	s := httptest.NewServer(serve.New(m, serve.Options{Name: name, AdapterDirs: adapters}))
	t.Cleanup(s.Close)
	return s.URL, dir
}

const serversFile = `
name: servers
extends: nano
roles:
  questioner: {url: %q, model: base, price: {input: 1, output: 2}}
  roleplayer: [{url: %q, model: other}]
  judge: [{url: %q, model: judge, price: {input: 10, output: 30}}, {name: m0 itself}]
trainer: {base: %q}
data:
  a: {tasks: 2, personas: 2}
  b: {tasks: 2, personas: 2}
  test: {tasks: 2, personas: 2}
algorithm:
  iterations: 2
  samples: 2
  max_turns: 2
  tune: {epochs: 1, held_out: 0, lora: {rank: 4, alpha: 8}}
evaluation:
  win_pairs: 4
  credit: true
`

// The whole loop with the questioner and scorer on one server, the Roleplayer on another, and
// a judge on a third: policies reach the first as adapters. A run that was stopped by its
// budget goes on with a larger one and pays nothing twice.
func TestRunOnServers(t *testing.T) {
	dir := t.TempDir()
	base, weights := modelServer(t, "base", dir)
	other, _ := modelServer(t, "other")
	judge, paid, _ := scriptedJudge(t)
	file := filepath.Join(dir, "servers.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, serversFile, base, other, judge, weights), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Options{Experiment: file, Out: filepath.Join(dir, "run"), Budget: remote.Limits{Tokens: 6000}}
	if _, err := Run(context.Background(), o); !errors.Is(err, remote.ErrBudget) {
		t.Fatalf("a run of 6000 tokens ended with %v, want %v", err, remote.ErrBudget)
	}
	o.Budget.Tokens = 0
	out, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	r := out.Result
	for _, role := range []string{"questioner", "scorer", "roleplayer", "judge (judge)", "judge (m0 itself)"} {
		if r.Calls[role].Made == 0 {
			t.Errorf("no calls of the %s: %+v", role, r.Calls)
		}
	}
	if got := r.Calls["judge (judge)"]; int64(got.Made) != paid.Load() {
		t.Errorf("the judge was paid for %d calls, the report has %d", paid.Load(), got.Made)
	}
	if c := r.Calls["judge (judge)"]; c.Cost != float64(c.TokensIn)*10/1e6+float64(c.TokensOut)*30/1e6 {
		t.Errorf("the judge's cost is %g for %d and %d tokens", c.Cost, c.TokensIn, c.TokensOut)
	}
	for _, m := range []string{"m1", "m2"} {
		if _, err := os.Stat(filepath.Join(o.Out, "models", m, "adapter", "adapter_config.json")); err != nil {
			t.Errorf("%s has no adapter: %v", m, err)
		}
	}
	if len(r.Judges) != 2 || r.Judges[0].Judge != "judge" || r.Judges[1].Judge != "m0 itself" {
		t.Errorf("judges: %+v", r.Judges)
	}
	if len(r.Credit) == 0 {
		t.Error("no question was credited")
	}
	first, err := os.ReadFile(filepath.Join(o.Out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	before := paid.Load()
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(filepath.Join(o.Out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(again) || paid.Load() != before {
		t.Errorf("repeated, the run paid for %d further calls; report the same: %v", paid.Load()-before, string(first) == string(again))
	}
}

// A server that cannot score is refused before anything is asked of it.
func TestRunRefusesAScorerThatCannotScore(t *testing.T) {
	judge, paid, _ := scriptedJudge(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, serversFile, judge, judge, judge, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer("model: base", "model: judge", "model: other", "model: judge").Replace(string(text)))
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Run(context.Background(), Options{Experiment: file, Out: filepath.Join(dir, "run")})
	if err == nil || !strings.Contains(err.Error(), "roles: scorer") {
		t.Errorf("got %v, want an error that names the scorer", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "run", "report.json")); err == nil || paid.Load() > 8 {
		t.Errorf("the run went on: %d calls", paid.Load())
	}
}
