package remote_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"stargate/lm/remote"
)

func TestRoleFromYAML(t *testing.T) {
	const text = `
url: https://api.anthropic.com/v1/
api: anthropic
model: claude-sonnet
api_key_env: ANTHROPIC_API_KEY
price: {input: 3, output: 15}
rate: {requests: 50, tokens: 40000}
concurrency: 8
timeout: 90s
max_tokens: 1024
omit: [top_p]
extra: {thinking: {type: disabled}}
`
	var r remote.Role
	if err := yaml.Load([]byte(text), &r, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	want := remote.Role{URL: "https://api.anthropic.com/v1/", API: remote.Anthropic, Model: "claude-sonnet", APIKeyEnv: "ANTHROPIC_API_KEY",
		Price: remote.Price{Input: 3, Output: 15}, Rate: remote.Rate{Requests: 50, Tokens: 40000}, Concurrency: 8, Timeout: remote.Duration(90 * time.Second),
		MaxTokens: 1024, Omit: []string{"top_p"}, Extra: map[string]any{"thinking": map[string]any{"type": "disabled"}}}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v, want %+v", r, want)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	if got := r.Addresses(); !reflect.DeepEqual(got, []string{"https://api.anthropic.com"}) {
		t.Errorf("the addresses are %q", got)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again remote.Role
	if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("through JSON: %+v, %v", again, err)
	}
}

// Every mistake is an error that names the field.
func TestRoleMistakes(t *testing.T) {
	const url = "http://127.0.0.1:8000"
	for field, r := range map[string]remote.Role{
		"url: missing":          {},
		"url: 127.0.0.1":        {URL: "127.0.0.1:8000"},
		"url: ftp":              {URL: "ftp://host/"},
		"api_key_env":           {URL: "https://me:secret@host"},
		"urls: give either":     {URL: url, URLs: []string{"http://b"}},
		"urls: http://b":        {URLs: []string{"http://b", "http://b"}},
		"api: ":                 {URL: url, API: "openapi"},
		"server: ":              {URL: url, Server: "vlm"},
		"server: \"vllm\"":      {URL: url, API: remote.Anthropic, Server: remote.VLLM},
		"server: anthropic":     {URL: url, Server: remote.Claude},
		"route: ":               {URL: url, Route: "messages"},
		"route: the api":        {URL: url, API: remote.Anthropic, Route: remote.CompletionsRoute},
		"thinking: ":            {URL: url, Thinking: "hide"},
		"prefix: ":              {URL: url, Prefix: "v1"},
		"price: ":               {URL: url, Price: remote.Price{Input: -1}},
		"rate: ":                {URL: url, Rate: remote.Rate{Tokens: -1}},
		"concurrency: ":         {URL: url, Concurrency: -1},
		"tokens_in_flight: ":    {URL: url, TokensInFlight: -1},
		"timeout: ":             {URL: url, Timeout: -1},
		"max_tokens: ":          {URL: url, MaxTokens: -1},
		"omit: ":                {URL: url, Omit: []string{"model"}},
		"extra: temperature":    {URL: url, Extra: map[string]any{"temperature": 1}},
		"extra: chat_template ": {URL: url, Tokenizer: "dir", Extra: map[string]any{"chat_template": "x"}},
	} {
		err := r.Validate()
		if !errors.Is(err, remote.ErrRole) || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v; want an error that names %q", r, err, field)
		}
	}
	if _, err := (remote.Role{URL: url, APIKeyEnv: "K"}).Header(func(string) string { return "sk-1\n2" }); !errors.Is(err, remote.ErrRole) || strings.Contains(err.Error(), "sk-1") {
		t.Errorf("a key with a line break: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for url, c := range map[string]struct{ prefix, want string }{
		"http://a:8000":                {"", "http://a:8000"},
		"http://a:8000/":               {"", "http://a:8000"},
		"http://a:8000/v1":             {"", "http://a:8000"},
		"https://openrouter.ai/api/v1": {"", "https://openrouter.ai/api"},
		"https://g.example/":           {"/v1beta/openai", "https://g.example"},
	} {
		r := remote.Role{URL: url, Prefix: c.prefix}
		if got := r.Addresses(); got[0] != c.want {
			t.Errorf("%s is %s, want %s", url, got[0], c.want)
		}
	}
}

// The digest follows what changes answers, and nothing else.
func TestDigest(t *testing.T) {
	m := newModel(t, 3, 256)
	digest := func(r remote.Role) string {
		r.URL = listen(t, served(m))
		return open(t, r, remote.Options{}).Digest()
	}
	base := digest(remote.Role{})
	for name, r := range map[string]remote.Role{
		"another address, price and limits": {Price: remote.Price{Input: 1}, Concurrency: 3, Timeout: remote.Duration(time.Minute)},
		"defaults spelled out":              {Model: "tiny", Server: remote.Stargate, API: remote.OpenAI, Route: remote.ChatRoute, Thinking: remote.StripThinking},
	} {
		if digest(r) != base {
			t.Errorf("%s changes the digest", name)
		}
	}
	seen := map[string]string{base: "none"}
	for name, r := range map[string]remote.Role{
		"route": {Route: remote.CompletionsRoute}, "thinking": {Thinking: remote.KeepThinking}, "omit": {Omit: []string{"seed"}},
		"max_tokens": {MaxTokens: 7}, "extra": {Extra: map[string]any{"user": "x"}},
	} {
		d := digest(r)
		if other, ok := seen[d]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
}

// Without a word from the user, a server that answers few requests at once is asked few.
func TestConcurrencyOfSlots(t *testing.T) {
	m := newModel(t, 3, 256)
	for _, c := range []struct {
		name   string
		routes map[string]any
		role   int
		most   float64
	}{
		{"llama.cpp with one slot", llamaCpp, 0, 2},
		{"llama.cpp, as the user says", llamaCpp, 6, 6},
		{"Ollama", ollama, 0, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := remote.Role{URL: listen(t, chatOnly(t, m, c.routes)), Model: "tiny", Concurrency: c.role}
			f, err := brisk(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			open(t, r, remote.Options{Transport: f})
			if got := f.Stats().Endpoints[0].Limit; got != c.most {
				t.Errorf("%g requests are let in at once, want %g", got, c.most)
			}
		})
	}
}
