package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"stargate/eval"
	"stargate/lm/remote"
)

// scriptedOracle is an OpenAI-compatible server that advises everybody to take one step at a
// time, will not speak of secrets, and counts the gold responses it was paid for.
func scriptedOracle(t *testing.T) (url string, paid *atomic.Int64) {
	t.Helper()
	paid = new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"oracle","object":"model"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Messages []struct{ Content string } `json:"messages"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(q.Messages) == 0 {
			http.Error(w, `{"error":{"message":"what?"}}`, http.StatusBadRequest)
			return
		}
		text, answer := q.Messages[len(q.Messages)-1].Content, "Take one step at a time."
		if strings.Contains(text, "secret") {
			answer = "I'm sorry, but I cannot help with that."
		}
		if text != "Say hello." { // the probe of a run that begins
			paid.Add(1)
		}
		json.NewEncoder(w).Encode(map[string]any{"id": "1", "object": "chat.completion", "model": "oracle",
			"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]string{"role": "assistant", "content": answer}}},
			"usage":   map[string]int{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, paid
}

// ownData is a data directory with two tasks and two personas in each split, and no golds.
func ownData(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var tasks, personas strings.Builder
	for _, split := range []string{"A", "B", "test"} {
		for i, task := range []string{"Plan my day", "Tell me a secret"} {
			fmt.Fprintf(&tasks, `{"id":"%s-t%d","task":"%s %s.","split":"%s"}`+"\n", split, i, task, split, split)
		}
		for i, name := range []string{"Ada", "Bo"} {
			fmt.Fprintf(&personas, `{"id":"%s-p%d","name":"%s","persona":"I'm %s of group %s. I like tea.","split":"%s"}`+"\n", split, i, name, name, split, split)
		}
	}
	tasks.WriteString(`{"id":"again","task":"Plan my day A.","split":"A"}` + "\n")
	for name, text := range map[string]string{"tasks.jsonl": tasks.String(), "personas.jsonl": personas.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Gold responses that the data lacks are made before the first iteration: paid for once,
// within the budget, and what the oracle refuses is left out and listed.
func TestAnOracleMakesTheGoldsThatAreMissing(t *testing.T) {
	url, paid := scriptedOracle(t)
	e := small(t)
	e.World, e.Algorithm.Iterations = "", 1
	e.Roles.Oracle = &Player{Role: remote.Role{URL: url, Model: "oracle", Concurrency: 1, Price: remote.Price{Input: 10, Output: 30}}}
	o := Options{Resolved: e, Out: filepath.Join(t.TempDir(), "run"), Workers: 1, Source: Source{Data: ownData(t)}, Budget: remote.Limits{Tokens: 1500}}
	if _, err := Run(t.Context(), o); !errors.Is(err, remote.ErrBudget) {
		t.Fatalf("golds for 1500 tokens: %v, want %v", err, remote.ErrBudget)
	}
	if n := paid.Load(); n == 0 || n > 13 {
		t.Errorf("%d golds for 1500 tokens, of 110 each", n)
	}
	o.Budget.Tokens = 0
	out, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	const pairs, draws = 6, 4 // pairs with a gold; and as many that are refused in each of four draws
	if n := paid.Load(); n != pairs+pairs*draws {
		t.Errorf("%d answers of the oracle were paid for, want %d", n, pairs+pairs*draws)
	}
	r := out.Result
	if c := r.Calls["oracle"]; int64(c.Made) != paid.Load() || c.Cost == 0 {
		t.Errorf("the report has %+v for the oracle, which was paid %d times", c, paid.Load())
	}
	if r.LeftOut == nil || len(r.LeftOut.Pairs) != pairs || r.LeftOut.Pairs[0] != (eval.LeftOutPair{Split: "A", Task: r.LeftOut.Pairs[0].Task, Persona: r.LeftOut.Pairs[0].Persona, Reason: "refused"}) {
		t.Errorf("left out: %+v", r.LeftOut)
	}
	if r.LeftOut != nil && (len(r.LeftOut.Entries) != 1 || !strings.Contains(r.LeftOut.Entries[0].Reason, "repeats")) {
		t.Errorf("the repeated task: %+v", r.LeftOut.Entries)
	}
	for _, file := range []string{"gold.jsonl", "gold.report.json"} {
		if _, err := os.Stat(filepath.Join(o.Out, file)); err != nil {
			t.Error(err)
		}
	}
	if it, err := ReadIteration(t.Context(), o.Out, 1); err != nil || len(it.Iteration.Selected) == 0 {
		t.Errorf("read from the ledger: %+v, %v", it, err)
	}

	before := paid.Load()
	again, err := Run(t.Context(), o)
	if err != nil || !reflect.DeepEqual(again.Result, r) || paid.Load() != before {
		t.Errorf("repeated, the run paid for %d golds and ended with %v", paid.Load()-before, err)
	}

	// The golds it made are data like any other: a run on them asks nobody.
	golds, err := os.ReadFile(filepath.Join(o.Out, "gold.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Source.Data, "gold.jsonl"), golds, 0o644); err != nil {
		t.Fatal(err)
	}
	o.Out = filepath.Join(t.TempDir(), "another")
	another, err := Run(t.Context(), o)
	if err != nil || paid.Load() != before {
		t.Fatalf("on golds that are there %d were paid for: %v", paid.Load()-before, err)
	}
	if !reflect.DeepEqual(another.Result.LeftOut, r.LeftOut) || !reflect.DeepEqual(another.Result.GoldLogProb, r.GoldLogProb) {
		t.Error("the same golds give another result")
	}
}

// Golds that nobody can make are an error that says who could.
func TestMissingGoldsWithoutAnOracle(t *testing.T) {
	e := small(t)
	e.World = ""
	_, err := Run(t.Context(), Options{Resolved: e, Out: filepath.Join(t.TempDir(), "run"), Source: Source{Data: ownData(t)}})
	if err == nil || !strings.Contains(err.Error(), "roles: oracle") || !strings.Contains(err.Error(), "stargate data gold generate") {
		t.Errorf("%v", err)
	}
}
