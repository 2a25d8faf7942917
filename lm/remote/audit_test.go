package remote_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
)

// auditContext is enough for the audit's pairs in the test's tokenizer of nearly single bytes.
const auditContext = 1024

func TestAuditPassesForStargateServe(t *testing.T) {
	m := newModel(t, 3, auditContext)
	url := listen(t, served(m))
	for name, r := range map[string]remote.Role{"server's tokens": {URL: url}, "tokenizer directory": {URL: url, Tokenizer: tokenizerDir(t)}} {
		t.Run(name, func(t *testing.T) {
			c := open(t, r, remote.Options{})
			a, err := c.Audit(t.Context(), remote.AuditOptions{Reference: m})
			if err != nil {
				t.Error(err)
			}
			if len(a.Checks) != 9 || a.Tolerance != 0 {
				t.Errorf("%d checks with a tolerance of %g", len(a.Checks), a.Tolerance)
			}
			for _, check := range a.Checks {
				if check.Result != remote.Passed || check.Largest != 0 {
					t.Errorf("%s: %s, differing by %g: %s", check.Name, check.Result, check.Largest, check.Why)
				}
			}
			again, err := c.Audit(t.Context(), remote.AuditOptions{})
			if err != nil || a.Same(again) != nil {
				t.Errorf("another audit: %v, %v", err, a.Same(again))
			}
		})
	}
}

// Another model with the same tokenizer is found out by its scores, against a reference and
// against an older audit.
func TestAuditKnowsTheModel(t *testing.T) {
	m, other := newModel(t, 3, auditContext), newModel(t, 4, auditContext)
	c := open(t, remote.Role{URL: listen(t, served(m))}, remote.Options{})
	_, err := c.Audit(t.Context(), remote.AuditOptions{Reference: other})
	if !errors.Is(err, remote.ErrAudit) || !strings.Contains(err.Error(), "reference") {
		t.Errorf("against another model: %v", err)
	}
	before, err := c.Audit(t.Context(), remote.AuditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now, err := open(t, remote.Role{URL: listen(t, served(other))}, remote.Options{}).Audit(t.Context(), remote.AuditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Same(now); !errors.Is(err, remote.ErrAudit) || !strings.Contains(err.Error(), "other weights") {
		t.Errorf("the two audits: %v", err)
	}
}

// Wrong scorers are real ones with an answer bent on its way. What is consistently wrong in
// all ways to score shows against drawing.
func TestAuditRefusesWrongScorers(t *testing.T) {
	m := newModel(t, 3, auditContext)
	end := m.Ends()[0]
	for _, wrong := range []struct {
		name  string
		bend  func(path string, request, answer map[string]any)
		check string // the check that has to find it
		says  string
	}{
		{"the end of the turn is counted, because tokenize ignores continue_final_message", func(path string, request, answer map[string]any) {
			if path == "/tokenize" && request["continue_final_message"] == true {
				answer["tokens"] = append(answer["tokens"].([]any), float64(end))
				answer["count"] = answer["count"].(float64) + 1
			}
		}, "", "(the end of the turn) is counted"},
		{"the end of the turn is counted with the last token", func(path string, request, answer map[string]any) {
			eachScore(request, answer, func(lps []float64, _ [][]float64) {
				lps[len(lps)-1] -= 6
			})
		}, "drawn", "the end of the turn is probably counted"},
		{"alternatives are added up as the authors' code does", func(path string, request, answer map[string]any) {
			noEcho(request, answer)
			eachScore(request, answer, func(lps []float64, top [][]float64) {
				for i := range lps {
					for _, lp := range top[i] {
						lps[i] += lp
					}
				}
			})
		}, "drawn", "top-k"},
		{"probabilities of alternatives are added up", func(path string, request, answer map[string]any) {
			noEcho(request, answer)
			eachScore(request, answer, func(lps []float64, top [][]float64) {
				for i := range lps {
					p := math.Exp(lps[i])
					for _, lp := range top[i] {
						p += math.Exp(lp)
					}
					lps[i] = math.Min(0, math.Log(p))
				}
			})
		}, "drawn", "too high"},
		{"the boundary is shifted: each value is the next token's", func(path string, request, answer map[string]any) {
			eachScore(request, answer, func(lps []float64, _ [][]float64) {
				copy(lps, lps[1:])
			})
		}, "drawn", "shifted by one"},
		{"the boundary is shifted: the list begins with the first token's", func(path string, request, answer map[string]any) {
			noEcho(request, answer)
			eachChoice(answer, func(x map[string]any) {
				if list, ok := x["prompt_logprobs"].([]any); ok {
					x["prompt_logprobs"] = append(list[1:], list[1])
				}
			})
		}, "", "shifted"},
		{"tokenize leaves the first token of answers to the prompt", func(path string, request, answer map[string]any) {
			if path == "/tokenize" && request["add_generation_prompt"] == true {
				answer["tokens"] = answer["tokens"].([]any)[:len(answer["tokens"].([]any))-1]
				answer["count"] = answer["count"].(float64) - 1
			}
		}, "", "boundary is shifted"},
		{"scores depend on what is scored together", func(path string, request, answer map[string]any) {
			if prompts, ok := request["prompt"].([]any); ok && len(prompts) > 1 {
				eachScore(request, answer, func(lps []float64, _ [][]float64) { lps[len(lps)-1] -= 5 })
			}
		}, "batched", "only the last token"},
		{"the two ways disagree", func(path string, request, answer map[string]any) {
			if request["echo"] == true {
				eachScore(request, answer, func(lps []float64, _ [][]float64) {
					for i := range lps {
						lps[i] *= 2
					}
				})
			}
		}, "second way", "too low"},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			top := 0
			if strings.Contains(wrong.name, "alternatives") {
				top = 3
			}
			c := open(t, remote.Role{URL: listen(t, bent(served(m), top, wrong.bend))}, remote.Options{})
			a, err := c.Audit(t.Context(), remote.AuditOptions{Tolerance: 0.02})
			if wrong.check == "" { // the probe itself has found it, or the first look
				if err == nil || !strings.Contains(err.Error(), wrong.says) || !errors.Is(err, remote.ErrAudit) && !errors.Is(err, lm.ErrCannotScore) {
					t.Errorf("the audit says %v", err)
				}
				if l, err := c.LogProb(t.Context(), lm.Chat{{Role: lm.User, Content: "Hello?"}}, "Hello there"); err == nil {
					t.Errorf("it scores all the same: %v", l)
				}
				return
			}
			if !errors.Is(err, remote.ErrAudit) {
				t.Fatalf("the audit says %v", err)
			}
			for _, check := range a.Checks {
				if check.Result == remote.Failure {
					if check.Name != wrong.check || !strings.Contains(check.Why, wrong.says) {
						t.Errorf("check %q failed: %s; want %q to say %q", check.Name, check.Why, wrong.check, wrong.says)
					}
					return
				}
			}
			t.Error("no check failed")
		})
	}
}

// A model without a way to score is refused with a reason before any check.
func TestAuditOfAChatServer(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"data": [{"id": "llama3", "owned_by": "library"}]}`)
	})
	mux.HandleFunc("/api/version", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"version": "0.12.11"}`) })
	c := open(t, remote.Role{URL: listen(t, mux)}, remote.Options{})
	_, err := c.Audit(t.Context(), remote.AuditOptions{})
	if !errors.Is(err, lm.ErrCannotScore) || !strings.Contains(err.Error(), "stargate serve") {
		t.Errorf("the audit of Ollama says %v", err)
	}
}

// bent changes the JSON answers of h on their way out. Scores are asked for with some
// alternatives, so that there is something to add up.
func bent(h http.Handler, top int, bend func(path string, request, answer map[string]any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var request, answer map[string]any
		r.Body = io.NopCloser(bytes.NewReader(body))
		if _ = json.Unmarshal(body, &request); top > 0 && request["prompt_logprobs"] != nil {
			request["prompt_logprobs"] = top
			replaceBody(r, request)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		out := rec.Body.Bytes()
		if rec.Code == http.StatusOK && json.Unmarshal(out, &answer) == nil {
			bend(r.URL.Path, request, answer)
			out, _ = json.Marshal(answer)
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(out)))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(out)
	})
}

func replaceBody(r *http.Request, v any) {
	data, err := json.Marshal(v)
	if err != nil { // it came from JSON
		panic(err)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
}

func eachChoice(answer map[string]any, fn func(map[string]any)) {
	choices, _ := answer["choices"].([]any)
	for _, x := range choices {
		fn(x.(map[string]any))
	}
}

// eachScore gives fn the log-probabilities of each scored text, from its second token on,
// with those of the alternatives, and puts them back without alternatives.
func eachScore(request, answer map[string]any, fn func(lps []float64, alternatives [][]float64)) {
	eachChoice(answer, func(x map[string]any) {
		if list, ok := x["prompt_logprobs"].([]any); ok {
			ids := x["prompt_token_ids"].([]any)
			var lps []float64
			var top [][]float64
			for i, e := range list[1:] {
				own := strconv.Itoa(int(ids[i+1].(float64)))
				var others []float64
				for id, v := range e.(map[string]any) {
					lp := v.(map[string]any)["logprob"].(float64)
					if id == own {
						lps = append(lps, lp)
					} else {
						others = append(others, lp)
					}
				}
				top = append(top, others)
			}
			fn(lps, top)
			for i := range lps {
				list[i+1] = map[string]any{strconv.Itoa(int(ids[i+1].(float64))): map[string]any{"logprob": lps[i]}}
			}
		}
		if l, ok := x["logprobs"].(map[string]any); ok && request["echo"] == true {
			values := l["token_logprobs"].([]any)
			var lps []float64
			for _, v := range values[1:] {
				lps = append(lps, v.(float64))
			}
			fn(lps, nil)
			for i := range lps {
				values[i+1] = lps[i]
			}
		}
	})
}

// noEcho takes the second way to score away.
func noEcho(request, answer map[string]any) {
	eachChoice(answer, func(x map[string]any) {
		if request["echo"] == true {
			delete(x, "logprobs")
		}
	})
}

var _ lm.Scorer = (*local.Model)(nil)
