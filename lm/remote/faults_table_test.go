package remote_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stargate/internal/simserver"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
)

// faultRow is a fault with what a user reads of it.
type faultRow struct {
	name string
	bad  http.HandlerFunc
	kind func(http.Handler) http.Handler // of server; nil: a hosted API
	call func(*testing.T, *remote.Client) error
}

// vllmSays is a choice of a vLLM server that drew so many tokens.
func vllmSays(text, finish string, drawn int) http.HandlerFunc {
	return says(fmt.Sprintf(`{"model": "gpt-tiny", "choices": [{"message": {"role": "assistant", "content": %q}, "finish_reason": %q}], "usage": {"prompt_tokens": 9, "completion_tokens": %d}}`, text, finish, drawn))
}

func scores(list string) http.HandlerFunc {
	return says(`{"model": "gpt-tiny", "choices": [{"index": 0, "prompt_logprobs": ` + list + `}], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}`)
}

var faultRows = []faultRow{
	{name: "429, or a full queue (503, 529)", bad: status(429, `{"error": {"message": "slow down"}}`)},
	{name: "500 and other 5xx", bad: status(500, `{"error": {"message": "oops"}}`)},
	{name: "a connection that breaks before the answer", bad: drop},
	{name: "an answer that breaks off", bad: cut},
	{name: "a socket that hangs", bad: hang},
	{name: "garbage instead of JSON, or an empty body", bad: says("<html>nginx</html>")},
	{name: "an error inside of status 200", bad: says(`{"error": {"code": 502, "message": "provider returned error"}}`)},
	{name: "another model's answer", bad: says(strings.Replace(good, "gpt-tiny", "gpt-mini", 1))},
	{name: "an empty text, of a hosted API", bad: message(`"content": ""`, "stop")},
	{name: "an empty text that no token was drawn for (vLLM, SGLang, stargate)", bad: vllmSays("", "stop", 0), kind: asVLLM},
	{name: "an empty text that the model drew (there)", bad: vllmSays("", "stop", 1), kind: asVLLM},
	{name: "a text cut short with room for more (there)", bad: vllmSays("Hello, I", "length", 2), kind: asVLLM},
	{name: "a text that reached its limit", bad: vllmSays("Hello, I like it", "length", 5), kind: asVLLM},
	{name: "scores of other tokens, or too few", bad: scores("[null]"), kind: asScorer, call: logProb},
	{name: "a score that stands for minus infinity (−9999), or is no number", bad: scorePastFloor, kind: asScorer, call: logProb},
	{name: "a refusal, or a content filter", bad: message(`"content": null, "refusal": "I cannot help with that."`, "stop")},
	{name: "a key that expired (401, 403)", bad: status(401, `{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}`)},
	{name: "an account without money (402, 429 insufficient_quota)", bad: status(402, `{"error": {"message": "Insufficient credits"}}`)},
	{name: "a prompt beyond the context", bad: status(400, `{"error": {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"}}`)},
	{name: "a field of the request that the server refuses", bad: status(400, `{"error": {"message": "Unsupported value: 'temperature' does not support 0.5 with this model.", "param": "temperature", "code": "unsupported_value"}}`)},
	{name: "any other 4xx", bad: status(404, `{"error": {"message": "no such model"}}`)},
}

func generate(t *testing.T, c *remote.Client) error {
	_, err := c.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: "Hello?"}}, lm.Sampling{Temperature: 0.5, MaxTokens: 5})
	return err
}

func logProb(t *testing.T, c *remote.Client) error {
	_, err := c.LogProb(t.Context(), lm.Chat{{Role: lm.User, Content: "Hello?"}}, "Hi.")
	return err
}

// asVLLM is a server that says that it is vLLM, and answers chats only.
func asVLLM(chats http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", says(`{"data": [{"id": "gpt-tiny", "owned_by": "vllm", "max_model_len": 4096}]}`))
	mux.Handle("POST /v1/chat/completions", chats)
	return mux
}

// asScorer is a simulated vLLM server; what it would score comes from elsewhere.
func asScorer(scores http.Handler) http.Handler {
	sim, err := simserver.New(simserver.Options{Model: "gpt-tiny", Hardware: simserver.Usual(), Lengths: simserver.Lengths{Median: 5, Sigma: 0.1}})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", sim)
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		scores.ServeHTTP(passing{w, sim}, r)
	})
	return mux
}

// passing is how a fault lets a request pass to the server behind it.
type passing struct {
	http.ResponseWriter
	behind http.Handler
}

// scorePastFloor scores as the server does, but for the last token.
func scorePastFloor(w http.ResponseWriter, r *http.Request) {
	p := w.(passing)
	bent(p.behind, 0, func(_ string, _, answer object) {
		eachChoice(answer, func(x object) {
			list, _ := x["prompt_logprobs"].([]any)
			for _, entry := range list[len(list)-1].(object) {
				entry.(object)["logprob"] = -9999
			}
		})
	}).ServeHTTP(p.ResponseWriter, r)
}

// meet makes one call whose first requests, so many, meet the fault.
func (row faultRow) meet(t *testing.T, times int64) (asked int64, took time.Duration, client remote.Counts, attempts map[fleet.Outcome]int64) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Bool
		var n atomic.Int64
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, passes := w.(passing)
			switch {
			case begun.Load() && n.Add(1) <= times:
				row.bad(w, r)
			case passes:
				p.behind.ServeHTTP(p.ResponseWriter, r)
			default:
				says(good)(w, r)
			}
		})
		kind, call := row.kind, row.call
		if kind == nil {
			kind = func(chats http.Handler) http.Handler {
				mux := http.NewServeMux()
				mux.HandleFunc("GET /v1/models", says(`{"data": [{"id": "gpt-tiny", "owned_by": "openai"}]}`))
				mux.HandleFunc("GET /health", says(`{}`))
				mux.Handle("POST /v1/chat/completions", chats)
				return mux
			}
		}
		if call == nil {
			call = generate
		}
		role := remote.Role{URL: "http://server", Model: "gpt-tiny"}
		o, err := role.Fleet("test", os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		o.RoundTripper = simserver.InMemory(kind(h))
		f, err := fleet.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c, err := remote.Open(t.Context(), role, remote.Options{Transport: f})
		if err != nil {
			t.Fatal(err)
		}
		begun.Store(true)
		before, began := f.Stats().Attempts, time.Now()
		err = call(t, c)
		took, asked, client, attempts = time.Since(began), n.Load(), c.Counts(), f.Stats().Attempts
		for o, n := range before {
			attempts[o] -= n
		}
		if ended := slices.Collect(maps.Keys(client.Calls)); len(ended) != 1 || client.Calls[ended[0]] != 1 {
			t.Errorf("%s: one call is counted as %v (%v)", row.name, client.Calls, err)
		}
	})
	return asked, took, client, attempts
}

// line is the fault's line of the table.
func (row faultRow) line(t *testing.T) string {
	asked, _, once, _ := row.meet(t, 1)
	outcome := func(c remote.Counts) string {
		for o := range c.Calls {
			return string(o)
		}
		return ""
	}
	first := "is the call's end"
	switch {
	case asked > 1 && outcome(once) == "ok":
		first = "asked again"
	case asked > 1:
		t.Errorf("%s: one fault ends a call as %s after %d requests", row.name, outcome(once), asked)
	}
	asked, took, always, attempts := row.meet(t, 1<<30)
	requests := fmt.Sprint(asked)
	if took > 50*time.Minute {
		requests = "for an hour"
	}
	var counted []string
	for _, o := range []fleet.Outcome{fleet.Busy, fleet.ServerError, fleet.Unreachable, fleet.Cut, fleet.Hung, fleet.Refused} {
		if attempts[o] > 0 {
			counted = append(counted, o.String())
		}
	}
	for o := range always.Repeated {
		counted = append(counted, string(o))
	}
	return fmt.Sprintf("| %s | %s | %s | `%s` | %s |\n", row.name, first, requests, outcome(always), strings.Join(counted, ", "))
}

// The table of faults in docs/servers.md is what happens.
func TestFaultsTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| what a server does | met once | met every time: requests | and the call ends as | attempts counted as |\n|---|---|---|---|---|\n")
	for _, row := range faultRows {
		b.WriteString(row.line(t))
	}
	const file, begin, end = "../../docs/servers.md", "<!-- faults: written by go test ./lm/remote -run FaultsTable -update -->\n", "<!-- end -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(data), begin)
	was, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", file)
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was != b.String() {
		t.Errorf("%s says\n%s\nbut this happens:\n%s", file, was, &b)
	}
}
