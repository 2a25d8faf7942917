package remote

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"stargate/lm"
)

// answers are bodies of answers: those of testdata/answers, and mistakes.
func addAnswers(f *testing.F, kind string) {
	files, err := filepath.Glob(filepath.Join("testdata", "answers", kind+"*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no answers for %s: %v", kind, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	for _, s := range []string{"", "null", "[]", "{}", `{"choices": null}`, `{"choices": [null]}`, `{"choices": [{}]}`, `[null]`, `[{"meta_info": null}]`, "NaN"} {
		f.Add([]byte(s))
	}
}

// checkReply holds what every parser promises: an answer that is accepted can be used.
func checkReply(t *testing.T, r reply, err error) {
	t.Helper()
	if err != nil {
		return
	}
	if r.Finish != lm.FinishStop && r.Finish != lm.FinishLength {
		t.Errorf("the completion ended for %q", r.Finish)
	}
	if r.billed != nil && (r.billed.PromptTokens < 0 || r.billed.CompletionTokens < 0) {
		t.Errorf("usage %+v", r.billed)
	}
	if r.Tokens != nil && r.Usage.CompletionTokens != len(r.Tokens) {
		t.Errorf("%d tokens, %d counted", len(r.Tokens), r.Usage.CompletionTokens)
	}
	if _, err := json.Marshal(r.Completion); err != nil {
		t.Error(err)
	}
}

func fuzzClient(s Server) *Client {
	return &Client{role: Role{Model: "m"}.withDefaults(), facts: Facts{Server: s, Model: "m"}, dialect: dialects[s], counts: new(counts), density: new(atomic.Int64), completed: new(atomic.Bool)}
}

func FuzzChatAnswer(f *testing.F) {
	addAnswers(f, "chat")
	c := fuzzClient(VLLM)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := c.parseChat(data)
		checkReply(t, r, err)
	})
}

func FuzzCompletionAnswer(f *testing.F) {
	addAnswers(f, "completion")
	c := fuzzClient(VLLM)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := c.parseCompletion(data)
		checkReply(t, r, err)
	})
}

func FuzzMessagesAnswer(f *testing.F) {
	addAnswers(f, "messages")
	c := fuzzClient(Claude)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := c.parseMessages(data)
		checkReply(t, r, err)
	})
}

func FuzzSGLangAnswer(f *testing.F) {
	addAnswers(f, "sglang")
	c := fuzzClient(SGLang)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := c.parseSGLangGenerate(data)
		checkReply(t, r, err)
	})
}

// scored is what the answers in testdata are about: two of these four tokens.
var scored = []sequence{{ids: []int32{1, 733, 338, 13}, from: 2}}

// Every way to score accepts only one possible number per token of the target.
func FuzzScores(f *testing.F) {
	for _, kind := range []string{"scores-prompt_logprobs", "scores-echo", "scores-sglang", "scores-trl", "scores-tgi"} {
		addAnswers(f, kind)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, parse := range map[string]func() (reply, error){
			"prompt_logprobs": func() (reply, error) { return parsePromptLogProbs(data, scored) },
			"echo":            func() (reply, error) { return parseEcho(data, scored, 1) },
			"sglang":          func() (reply, error) { return parseSGLangScores(data, scored, []int{1}) },
			"trl json":        func() (reply, error) { return parseTRLJSON(data, scored) },
			"trl binary":      func() (reply, error) { return parseTRLBinary(data, scored) },
			"tgi":             func() (reply, error) { return parseTGI(data, scored[0]) },
		} {
			r, err := parse()
			if err != nil {
				continue
			}
			if len(r.scores) != 1 || len(r.scores[0]) != 2 {
				t.Errorf("%s: %v for a target of two tokens", name, r.scores)
				continue
			}
			for _, lp := range r.scores[0] {
				if possible(lp) == nil && (math.IsNaN(lp) || lp <= -9000 || lp > 0.001) {
					t.Errorf("%s: %v counts as possible", name, lp)
				}
			}
		}
	})
}

// The quick way to read scores and the general one never differ.
func FuzzTakeScores(f *testing.F) {
	addAnswers(f, "scores-prompt_logprobs")
	for _, list := range []string{
		`[null,{"733":{"logprob":-7.21}},{"338":{"logprob":-1e-3,"rank":null,"decoded_token":null}},{"13":{"logprob":0,"rank":1,"decoded_token":"\u00e9\n\"}]"}}]`,
		`[null,{"733":{"logprob":-7.21}},{"338":{"logprob":-1.2.3}},{"13":{"logprob":-01}}]`,
		`[null,{"733":{"logprob":-7.21}},{"338":{"logprob":-1.27}},{"13":{"logprob":-0.5,"decoded_token":"\q"}}]`,
		`[null, {"733":{"logprob":-7.21}}, {"338":{"logprob":-1.27}},{"13":{"logprob":-1e999}}]`,
		`[null,{"733":{"logprob":-7.21}},{"338":{"logprob":-1.27}},{"13":{"logprob":-0.5}}], "prompt_logprobs": [null]`,
		`[null,{"733":{"logprob":-7.21}},{"338":{"logprob":-1.27}}]`,
	} {
		f.Add([]byte(`{"choices":[{"prompt_logprobs":` + list + `}]}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		quick, quickErr := parsePromptLogProbs(data, scored)
		general, err := readPromptLogProbs(data, scored, nil)
		if (quickErr == nil) != (err == nil) || err == nil && !reflect.DeepEqual(quick, general) {
			t.Errorf("%s\nquick   %v, %v\ngeneral %v, %v", data, quick, quickErr, general, err)
		}
	})
}

// The error object of any server gives a message of bounded length, and a meaning.
func FuzzExplain(f *testing.F) {
	for _, s := range []string{`{"error": {"message": "This model's maximum context length is 8192 tokens", "code": "context_length_exceeded"}}`, `{"object": "error", "message": "x", "code": 400}`,
		`{"detail": [{"loc": ["body"], "msg": "field required"}]}`, `{"error": "Input validation error", "error_type": "validation"}`, `{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}`, `oops`, ``} {
		f.Add(400, s)
		f.Add(429, s)
	}
	c := fuzzClient(Hosted)
	f.Fuzz(func(t *testing.T, status int, body string) {
		err := c.explain(&StatusError{Status: status, Body: []byte(body)})
		if len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("an error of %d bytes: %q", len(err.Error()), err)
		}
		if o := outcomeOf(err); o == OK || o == Failed {
			t.Errorf("status %d %q has the outcome %s", status, body, o)
		}
	})
}

// Stripping reasoning twice is stripping it once, unless the answer has tags of its own; and
// it only ever takes away.
func FuzzThinking(f *testing.F) {
	for _, s := range []string{"<think>a</think>b", "a</think>b", "<think>a", "a", "", " <think> a </think> \n b </think>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		answer, found := splitThinking(text)
		if !strings.HasSuffix(text, answer) || !found && answer != text {
			t.Errorf("%q became %q (%v)", text, answer, found)
		}
	})
}

// The documented shape of each server's scores reads as the same numbers.
func TestScoreShapes(t *testing.T) {
	for file, parse := range map[string]func([]byte) (reply, error){
		"scores-prompt_logprobs": func(b []byte) (reply, error) { return parsePromptLogProbs(b, scored) },
		"scores-echo":            func(b []byte) (reply, error) { return parseEcho(b, scored, 1) },
		"scores-sglang":          func(b []byte) (reply, error) { return parseSGLangScores(b, scored, []int{1}) },
		"scores-trl":             func(b []byte) (reply, error) { return parseTRLJSON(b, scored) },
		"scores-trl-binary":      func(b []byte) (reply, error) { return parseTRLBinary(b, scored) },
		"scores-tgi":             func(b []byte) (reply, error) { return parseTGI(b, scored[0]) },
	} {
		data, err := os.ReadFile(filepath.Join("testdata", "answers", file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := parse(data)
		if err != nil || len(r.scores) != 1 || len(r.scores[0]) != 2 || math.Abs(r.scores[0][0]+1.27) > 1e-6 || r.scores[0][1] != -0.5 {
			t.Errorf("%s: %v, %v", file, r.scores, err)
		}
		// The values that stand for trouble are no scores: missing, foreign, shifted, too many.
		for what, wrong := range map[string][2]string{
			"foreign id": {"338", "339"}, "no value": {"-1.27", "null"}, "not finite": {"-1.27", "NaN"},
		} {
			if bent := strings.ReplaceAll(string(data), wrong[0], wrong[1]); bent != string(data) {
				if r, err := parse([]byte(bent)); err == nil {
					t.Errorf("%s with %s is read as %v", file, what, r.scores)
				}
			}
		}
	}
}

func TestPossible(t *testing.T) {
	for lp, ok := range map[float64]bool{0: true, 1e-7: true, -0.5: true, -8999: true, -9000: false, -9999: false, 0.01: false, math.Inf(-1): false, math.Inf(1): false, math.NaN(): false} {
		if (possible(lp) == nil) != ok {
			t.Errorf("%g: %v", lp, possible(lp))
		}
	}
}

func TestModelNames(t *testing.T) {
	for _, c := range []struct {
		server          Server
		asked, answered string
		ok              bool
	}{
		{Hosted, "gpt-4o", "gpt-4o", true}, {Hosted, "gpt-4o", "gpt-4o-2024-08-06", true}, {Hosted, "gpt-4o", "gpt-4o-mini", false}, {Hosted, "gpt-4", "gpt-4.1", false}, {Hosted, "gpt-4", "gpt-4-0613", true}, {Claude, "claude-opus-4", "claude-opus-4-5", false},
		{Hosted, "openai/gpt-4o", "gpt-4o-2024-08-06", true}, {Hosted, "openai/gpt-4o", "openai/gpt-4o", true}, {Hosted, "gpt-4o-2024-08-06", "gpt-4o", false},
		{Claude, "claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", true}, {Claude, "claude-3-5-sonnet-latest", "claude-3-5-haiku-20241022", false},
		{VLLM, "m", "m", true}, {VLLM, "m", "m-2024", false}, {VLLM, "m", "", true}, {Ollama, "llama3", "llama3:latest", true}, {Ollama, "llama3", "llama3:70b", false},
		{LlamaCpp, "m", "gpt-3.5-turbo", true}, {TGI, "tgi", "org/m", true},
	} {
		client := fuzzClient(c.server)
		client.role.Model = c.asked
		if err := client.checkModel(c.answered); (err == nil) != c.ok {
			t.Errorf("%s: %q asked, %q answered: %v", c.server, c.asked, c.answered, err)
		}
	}
}
