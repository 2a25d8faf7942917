package remote_test

import (
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Every kind of server is recognised by itself, asked in its own words (testdata/requests),
// and understood: what it says is what the engine behind it computes.
func TestDialects(t *testing.T) {
	m := newModel(t, 3, auditContext)
	dir := tokenizerDir(t)
	key := func(name string) string { return map[string]string{"TEST_KEY": "secret"}[name] }
	for _, c := range []struct {
		name    string
		server  http.Handler
		role    remote.Role
		is      remote.Server
		scoring []string // how it scores
		whyNot  string   // or why it cannot
		ids     bool     // it tells the ids it draws
	}{
		{"vllm", vllm(t, m), remote.Role{}, remote.VLLM, []string{"prompt_logprobs", "echo"}, "", true},
		{"vllm-completions", vllm(t, m), remote.Role{Route: remote.CompletionsRoute, Extra: map[string]any{"chat_template_kwargs": map[string]any{}, "min_p": 0.0}}, remote.VLLM, []string{"prompt_logprobs", "echo"}, "", true},
		{"stargate", served(m), remote.Role{}, remote.Stargate, []string{"prompt_logprobs", "echo"}, "", true},
		{"sglang", sglang(t, m), remote.Role{Tokenizer: dir, Route: remote.CompletionsRoute}, remote.SGLang, []string{"return_logprob", "return_logprob from the start"}, "", true},
		{"sglang-without-tokenizer", sglang(t, m), remote.Role{}, remote.SGLang, nil, "tokenizer directory", false},
		{"trl", trl(t, m), remote.Role{Tokenizer: dir}, remote.TRL, []string{"get_sequence_logprobs, json", "get_sequence_logprobs, binary"}, "", true},
		{"tgi", tgi(t, m, true), remote.Role{Tokenizer: dir}, remote.TGI, []string{"decoder_input_details"}, "", false},
		{"tgi-without-flag", tgi(t, m, false), remote.Role{Tokenizer: dir}, remote.TGI, nil, "--enable-prefill-logprobs", false},
		{"tgi-without-tokenizer", tgi(t, m, true), remote.Role{}, remote.TGI, nil, "tokenizer directory", false},
		{"llama.cpp", chatOnly(t, m, llamaCpp), remote.Role{}, remote.LlamaCpp, nil, "llama.cpp gives log-probabilities of the tokens it draws only", false},
		{"ollama", chatOnly(t, m, ollama), remote.Role{Model: "tiny"}, remote.Ollama, nil, "Ollama gives log-probabilities of the tokens it draws only", false},
		{"openai", hosted(t, m), remote.Role{Model: "gpt-tiny"}, remote.Hosted, nil, "a chat API gives log-probabilities of what it draws only", false},
		{"anthropic", anthropic(t, m), remote.Role{API: remote.Anthropic, Model: "claude-tiny", APIKeyEnv: "TEST_KEY"}, remote.Claude, nil, "this API gives no log-probabilities", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := &recorder{inner: c.server}
			c.role.URL = listen(t, wire)
			client := open(t, c.role, remote.Options{Getenv: key})
			f := client.Facts()
			if f.Server != c.is || !reflect.DeepEqual(f.Scoring, c.scoring) || !strings.Contains(f.WhyNot, c.whyNot) || (f.WhyNot == "") != (c.whyNot == "") {
				t.Errorf("the facts are %+v", f)
			}

			chat := lm.Chat{{Role: lm.System, Content: "Be <kind>."}, {Role: lm.User, Content: "What would you like to cook tonight?"}}
			s := lm.Sampling{Temperature: 0.75, TopP: 0.9, MaxTokens: 12, Seed: 1 << 40, Stop: []string{"!!"}}
			asSent := s
			switch c.is {
			case remote.LlamaCpp:
				asSent.Seed = 1 << 9 // below 1<<32 - 1
			case remote.Ollama:
				asSent.Seed = 1 << 8 // below 1<<31
			case remote.Claude:
				asSent.Seed = 0
			}
			got, err := client.Generate(t.Context(), chat, s)
			if err != nil {
				t.Fatal(err)
			}
			want := generated(t, m, chat, asSent)
			if !c.ids {
				want.Tokens = nil
				if want.Finish == lm.FinishStop && c.is != remote.Claude {
					want.Usage.CompletionTokens++ // the end of the turn is billed
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("generated %+v, in process %+v", got, want)
			}

			l, err := client.LogProb(t.Context(), chat, "I like thing number seven, and")
			if c.scoring == nil {
				if !errors.Is(err, lm.ErrCannotScore) || !strings.Contains(err.Error(), c.whyNot) {
					t.Errorf("scored %v, %v", l, err)
				}
			} else {
				truth, err2 := m.LogProb(t.Context(), chat, "I like thing number seven, and")
				if err != nil || err2 != nil || !reflect.DeepEqual(l, truth) {
					t.Errorf("scored %+v, %v; in process %+v, %v", l, err, truth, err2)
				}
			}
			golden(t, filepath.Join("testdata", "requests", c.name+".txt"), wire.String())

			a, err := client.Audit(t.Context(), remote.AuditOptions{Tolerance: 1e-5})
			if c.scoring == nil {
				if !errors.Is(err, lm.ErrCannotScore) {
					t.Errorf("the audit says %v", err)
				}
				return
			}
			if err != nil || len(a.Checks) != 8 {
				t.Errorf("the audit: %d checks, %v", len(a.Checks), err)
			}
			for _, check := range a.Checks {
				if check.Result == remote.NotOffered && c.is != remote.TGI && c.is != remote.TRL {
					t.Errorf("%s is not offered: %s", check.Name, check.Why)
				}
			}
		})
	}
}

func generated(t *testing.T, m *local.Model, chat lm.Chat, s lm.Sampling) lm.Completion {
	t.Helper()
	c, err := m.Generate(t.Context(), chat, s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// golden holds text to a file.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s: the requests are now\n%s\n(go test -run Dialects -update rewrites it)", file, text)
	}
}
