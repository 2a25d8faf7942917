package remote

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"stargate/lm/remote/fleet"
)

// Role says who plays a role of the loop behind HTTP, and what that may cost. It holds no
// secret: the API key is read from the environment when it is needed and is in no file, log
// or error.
//
//	questioner:
//	  url: http://gpu1:8000          # the server; "/v1" at the end may stay or go
//	  model: mistral-7b-instruct
//	  concurrency: 256
//	oracle:
//	  url: https://api.anthropic.com
//	  api: anthropic
//	  model: claude-sonnet-4-5
//	  api_key_env: ANTHROPIC_API_KEY
//	  price: {input: 3, output: 15}  # per million tokens
//	  rate: {requests: 50, tokens: 40000}
type Role struct {
	URL    string   `yaml:"url,omitempty" json:"url,omitempty"`
	URLs   []string `yaml:"urls,omitempty" json:"urls,omitempty"`     // several servers with the same model, instead of url
	Prefix string   `yaml:"prefix,omitempty" json:"prefix,omitempty"` // what stands before "/chat/completions" or "/messages" (default "/v1")
	Model  string   `yaml:"model,omitempty" json:"model,omitempty"`   // may be left out where a server has just one
	API    API      `yaml:"api,omitempty" json:"api,omitempty"`       // openai (default) or anthropic
	Server Server   `yaml:"server,omitempty" json:"server,omitempty"` // what the server is (default auto: ask it)
	Route  Route    `yaml:"route,omitempty" json:"route,omitempty"`   // chat (default) or completions

	APIKeyEnv string `yaml:"api_key_env,omitempty" json:"api_key_env,omitempty"` // environment variable with the key
	Tokenizer string `yaml:"tokenizer,omitempty" json:"tokenizer,omitempty"`     // Hugging Face directory with tokenizer and chat template; no weights are needed

	Price Price `yaml:"price,omitempty" json:"price,omitzero"`
	Rate  Rate  `yaml:"rate,omitempty" json:"rate,omitzero"`
	// Concurrency is the most requests in flight, per server. Left out, each server finds its
	// own: 16 at first, more with every answer while all places are taken, less when it says
	// that it is busy, at most 1024; llama.cpp at most twice its slots, Ollama 8.
	Concurrency int `yaml:"concurrency,omitempty" json:"concurrency,omitempty"`
	// TokensInFlight limits what a server works on at once, in tokens; 0 is no limit. Scoring
	// needs memory by the token: about 4 bytes times the vocabulary for each (vLLM).
	TokensInFlight int `yaml:"tokens_in_flight,omitempty" json:"tokens_in_flight,omitempty"`

	Timeout   Duration `yaml:"timeout,omitempty" json:"timeout,omitzero"`        // for one attempt (default 10m)
	MaxTokens int      `yaml:"max_tokens,omitempty" json:"max_tokens,omitempty"` // of an answer, where the caller sets no limit (default: what fits, or 4096 where that is unknown)

	// Omit are sampling fields that this server refuses and the run can do without
	// ("temperature", "top_p", "seed", …). Leaving one out changes what is drawn, so it is said
	// here and never done silently.
	Omit []string `yaml:"omit,omitempty" json:"omit,omitempty"`
	// AnswersAs are further names that answers may carry as their model: gateways and
	// snapshots rename. Without it the name has to be the one asked for.
	AnswersAs []string `yaml:"answers_as,omitempty" json:"answers_as,omitempty"`
	// Thinking says what becomes of reasoning in front of an answer: strip (default) or keep.
	Thinking Thinking `yaml:"thinking,omitempty" json:"thinking,omitempty"`
	// Extra are further fields of generation requests, sent as they are
	// (chat_template_kwargs, reasoning_effort, provider, …).
	Extra map[string]any `yaml:"extra,omitempty" json:"extra,omitempty"`
}

// API is a protocol for generation.
type API string

// The protocols.
const (
	OpenAI    API = "openai"
	Anthropic API = "anthropic"
)

// Server is a kind of server: what it can do besides generating differs.
type Server string

// The kinds of servers. A hosted API, a gateway, or anything else that speaks OpenAI's
// protocol is Hosted.
const (
	Auto     Server = "auto"
	VLLM     Server = "vllm"
	SGLang   Server = "sglang"
	TGI      Server = "tgi"
	TRL      Server = "trl"
	Hosted   Server = "openai"
	Claude   Server = "anthropic"
	Stargate Server = "stargate"
	LlamaCpp Server = "llama.cpp"
	Ollama   Server = "ollama"
)

var servers = []Server{Auto, VLLM, SGLang, TGI, TRL, Hosted, Claude, Stargate, LlamaCpp, Ollama}

// Route is how a chat reaches the server.
type Route string

// The routes: as messages that the server puts into its template, or as the token ids of the
// template that the server's /tokenize or the role's tokenizer gives.
const (
	ChatRoute        Route = "chat"
	CompletionsRoute Route = "completions"
)

// Thinking is what becomes of reasoning.
type Thinking string

// Reasoning in a field of its own is never part of a text. Between <think> and </think> at
// the beginning of a text it is cut out, unless it is to be kept.
const (
	StripThinking Thinking = "strip"
	KeepThinking  Thinking = "keep"
)

// Price is money per million tokens, in any one currency.
type Price struct {
	Input  float64 `yaml:"input" json:"input"`
	Output float64 `yaml:"output" json:"output"`
}

// Cost is the price of tokens.
func (p Price) Cost(in, out int64) float64 {
	return float64(in)*p.Input/1e6 + float64(out)*p.Output/1e6
}

// Rate is what each server allows per minute; 0 is no limit.
type Rate struct {
	Requests float64 `yaml:"requests" json:"requests,omitempty"`
	Tokens   float64 `yaml:"tokens" json:"tokens,omitempty"` // prompts and answers together
}

// Duration is a time as people write it: "90s", "10m".
type Duration time.Duration

// UnmarshalText reads what [time.ParseDuration] reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration: write 90s or 10m", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes it so that UnmarshalText reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// ErrRole marks a role that is not set up well. The text names the field.
var ErrRole = errors.New("role")

// Addresses are the servers of the role without "/v1" and slashes at the end: a path like
// "/v1/models" follows them.
func (r Role) Addresses() []string {
	all := r.URLs
	if r.URL != "" {
		all = append([]string{r.URL}, all...)
	}
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = strings.TrimRight(a, "/")
		if r.Prefix == "" || r.Prefix == "/v1" {
			out[i] = strings.TrimRight(strings.TrimSuffix(out[i], "/v1"), "/")
		}
	}
	return out
}

// withDefaults fills in what is left out.
func (r Role) withDefaults() Role {
	set(&r.API, OpenAI)
	set(&r.Server, Auto)
	set(&r.Route, ChatRoute)
	set(&r.Thinking, StripThinking)
	set(&r.Prefix, "/v1")
	set(&r.Timeout, Duration(10*time.Minute))
	if r.API == Anthropic {
		r.Server = Claude
	}
	r.Prefix = strings.TrimRight(r.Prefix, "/")
	return r
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// variable is the name of an environment variable.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// omittable are the fields that Omit may name.
var omittable = []string{"temperature", "top_p", "top_k", "seed", "stop", "max_tokens"}

// owned are the fields that requests are made of: Extra cannot change them.
var owned = []string{"model", "messages", "prompt", "input_ids", "inputs", "stream", "stream_options", "n", "best_of", "seed", "temperature", "top_p", "top_k",
	"max_tokens", "max_completion_tokens", "max_new_tokens", "stop", "stop_sequences", "system", "echo", "logprobs", "top_logprobs", "prompt_logprobs",
	"return_token_ids", "add_generation_prompt", "continue_final_message", "add_special_tokens", "sampling_params"}

// Validate says what is wrong with a role, naming the field. It does not look at the network
// or the environment.
func (r Role) Validate() error {
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrRole, field, fmt.Sprintf(format, args...))
	}
	d := r.withDefaults()
	switch {
	case r.URL == "" && len(r.URLs) == 0:
		return bad("url", "missing: the address of the server, such as http://127.0.0.1:8000")
	case r.URL != "" && len(r.URLs) > 0:
		return bad("urls", "give either url or urls")
	}
	seen := map[string]bool{}
	for _, a := range append(slices.Clone(r.URLs), r.URL) {
		if a == "" {
			continue
		}
		u, err := url.Parse(a)
		switch {
		case !strings.ContainsAny(a, "/@"):
			return bad("url", "%s is no address: write http://%s", a, a)
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			return bad("url", "%s is no address such as http://127.0.0.1:8000", Redact(a))
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return bad("url", "%s has a user, query or fragment: a key belongs into the environment variable that api_key_env names", Redact(a))
		case seen[a]:
			return bad("urls", "%s is given twice", a)
		}
		seen[a] = true
	}
	switch {
	case r.APIKeyEnv != "" && !variable.MatchString(r.APIKeyEnv):
		return bad("api_key_env", "this is no name of an environment variable: put the key into a variable and its name here, such as OPENAI_API_KEY") // it may be the key
	case d.API != OpenAI && d.API != Anthropic:
		return bad("api", "%q: want openai or anthropic", r.API)
	case !slices.Contains(servers, d.Server):
		return bad("server", "%q: want one of %s", r.Server, joined(servers))
	case d.API == Anthropic && r.Server != "" && r.Server != Auto && r.Server != Claude:
		return bad("server", "%q does not speak the api anthropic", r.Server)
	case d.API == OpenAI && d.Server == Claude:
		return bad("server", "anthropic wants api: anthropic")
	case d.Route != ChatRoute && d.Route != CompletionsRoute:
		return bad("route", "%q: want chat or completions", r.Route)
	case d.API == Anthropic && d.Route != ChatRoute:
		return bad("route", "the api anthropic has no completions")
	case d.Thinking != StripThinking && d.Thinking != KeepThinking:
		return bad("thinking", "%q: want strip or keep", r.Thinking)
	case !strings.HasPrefix(d.Prefix, "/"):
		return bad("prefix", "%q has to begin with a slash", r.Prefix)
	case !(r.Price.Input >= 0 && r.Price.Output >= 0):
		return bad("price", "%g and %g: want numbers from 0, money per million tokens", r.Price.Input, r.Price.Output)
	case !(r.Rate.Requests >= 0 && r.Rate.Tokens >= 0):
		return bad("rate", "%g and %g: want numbers from 0, per minute", r.Rate.Requests, r.Rate.Tokens)
	case r.Concurrency < 0:
		return bad("concurrency", "%d: want 1 or more", r.Concurrency)
	case r.TokensInFlight < 0:
		return bad("tokens_in_flight", "%d: want 1 or more", r.TokensInFlight)
	case r.Timeout < 0:
		return bad("timeout", "%s: want a time above 0", time.Duration(r.Timeout))
	case r.MaxTokens < 0:
		return bad("max_tokens", "%d: want 1 or more", r.MaxTokens)
	}
	for _, name := range r.Omit {
		if !slices.Contains(omittable, name) {
			return bad("omit", "%q: want some of %s", name, strings.Join(omittable, ", "))
		}
	}
	for name := range r.Extra {
		if slices.Contains(owned, name) {
			return bad("extra", "%s is set by the run itself", name)
		}
	}
	if r.Tokenizer != "" {
		for _, name := range []string{"chat_template", "chat_template_kwargs"} {
			if _, ok := r.Extra[name]; ok {
				return bad("extra", "%s has no effect on the template of the tokenizer directory: leave one of the two out", name)
			}
		}
	}
	return nil
}

func joined[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// Header is what every request of the role carries: the key, if it has one, as its API wants
// it. getenv is os.Getenv, or a stand-in. The result is secret.
func (r Role) Header(getenv func(string) string) (http.Header, error) {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"stargate"}}
	if r.API == Anthropic {
		h.Set("Anthropic-Version", "2023-06-01")
	}
	if r.APIKeyEnv == "" {
		return h, nil
	}
	key := strings.TrimSpace(getenv(r.APIKeyEnv))
	if key == "" {
		return nil, fmt.Errorf("%w: api_key_env: the environment variable %s is empty or not set", ErrRole, r.APIKeyEnv)
	}
	if strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, fmt.Errorf("%w: api_key_env: the key in %s has characters that no key has (spaces, line breaks)", ErrRole, r.APIKeyEnv)
	}
	if r.API == Anthropic {
		h.Set("X-Api-Key", key)
	} else {
		h.Set("Authorization", "Bearer "+key)
	}
	return h, nil
}

// Fleet are the settings of the role's transport: its servers, with the key and the limits.
// name stands in errors ("oracle"). Rate and Concurrency hold for each server.
func (r Role) Fleet(name string, getenv func(string) string) (fleet.Options, error) {
	if err := r.Validate(); err != nil {
		return fleet.Options{}, err
	}
	header, err := r.Header(getenv)
	if err != nil {
		return fleet.Options{}, err
	}
	r = r.withDefaults()
	o := fleet.Options{Role: name, Attempt: time.Duration(r.Timeout)}
	for _, a := range r.Addresses() {
		o.Endpoints = append(o.Endpoints, fleet.Endpoint{URL: a, Header: header, Most: r.Concurrency, Tokens: r.TokensInFlight,
			RequestsPerMinute: r.Rate.Requests, TokensPerMinute: r.Rate.Tokens})
	}
	return o, nil
}
