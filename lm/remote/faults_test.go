package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stargate/lm"
	"stargate/lm/remote"
)

// good is an answer of a hosted chat model.
const good = `{"model": "gpt-tiny", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}`

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func says(body string) http.HandlerFunc { return status(http.StatusOK, body) }

// message is an answer whose message has these fields.
func message(fields, finish string) http.HandlerFunc {
	return says(fmt.Sprintf(`{"model": "gpt-tiny", "choices": [{"message": {"role": "assistant", %s}, "finish_reason": %q}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}`, fields, finish))
}

func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, good[:40])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a server that does not read does not notice
	<-r.Context().Done()
}

// flaky answers the first n requests for a chat with bad, all later ones with good.
func flaky(bad http.HandlerFunc, n int64) http.Handler {
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", says(`{"data": [{"id": "gpt-tiny", "owned_by": "openai"}]}`))
	mux.HandleFunc("GET /health", says(`{}`))
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		if k := asked.Add(1) - 2; k >= 0 && k < n { // the first is the probe's
			bad(w, r)
			return
		}
		says(good)(w, r)
	})
	return mux
}

// Every fault is a clear outcome, counted once; what may pass is tried again.
func TestFaults(t *testing.T) {
	const always = 1 << 30
	for _, c := range []struct {
		name    string
		bad     http.HandlerFunc
		times   int64
		outcome remote.Outcome
		err     error  // nil: the call succeeds
		says    string // the error, or the text
	}{
		{"429 once", status(429, `{"error": {"message": "slow down", "type": "rate_limit_error"}}`), 1, remote.OK, nil, "Hello."},
		{"500 twice", status(500, `{"error": {"message": "oops"}}`), 2, remote.OK, nil, "Hello."},
		{"529 once", status(529, `{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}`), 1, remote.OK, nil, "Hello."},
		{"500 always", status(500, `{"error": {"message": "oops"}}`), always, remote.ServerFailed, any500, "oops"},
		{"cut once", cut, 1, remote.OK, nil, "Hello."},
		{"cut always", cut, always, remote.Cut, noAnswer, "cut off"},
		{"connection dropped once", drop, 1, remote.OK, nil, "Hello."},
		{"connection dropped always", drop, always, remote.Unreachable, noAnswer, "no answer"},
		{"hung once", hang, 1, remote.OK, nil, "Hello."},
		{"hung always", hang, always, remote.Hung, noAnswer, "in the time for one attempt"},
		{"garbage once", says("<html>nginx</html>"), 1, remote.OK, nil, "Hello."},
		{"garbage always", says("<html>nginx</html>"), always, remote.Garbage, remote.ErrGarbage, "<html>nginx</html>"},
		{"an empty body", says(""), always, remote.Garbage, remote.ErrGarbage, "empty"},
		{"no choices", says(`{"model": "gpt-tiny", "choices": []}`), always, remote.Garbage, remote.ErrGarbage, "no choice"},
		{"an error inside 200", says(`{"error": {"code": 502, "message": "provider returned error"}}`), 1, remote.OK, nil, "Hello."},
		{"a key error inside 200", says(`{"error": {"code": 401, "message": "no auth"}}`), always, remote.KeyRefused, remote.ErrKey, "no auth"},
		{"a finish reason of its own", message(`"content": "Hi"`, "insufficient_system_resource"), always, remote.Garbage, remote.ErrGarbage, "insufficient_system_resource"},
		{"empty text once", message(`"content": ""`, "stop"), 1, remote.OK, nil, "Hello."},
		{"empty text always", message(`"content": null`, "stop"), always, remote.Empty, nil, ""},
		{"truncated", message(`"content": "Hello, I"`, "length"), always, remote.Truncated, nil, "Hello, I"},
		{"a refusal", message(`"content": null, "refusal": "I cannot help with that."`, "stop"), always, remote.Refused, lm.ErrRefused, "cannot help"},
		{"a content filter", message(`"content": ""`, "content_filter"), always, remote.Refused, lm.ErrRefused, "content_filter"},
		{"Azure's content filter", status(400, `{"error": {"message": "The response was filtered", "code": "content_filter"}}`), always, remote.Refused, lm.ErrRefused, "filtered"},
		{"another model once", says(strings.Replace(good, "gpt-tiny", "gpt-mini", 1)), 1, remote.OK, nil, "Hello."},
		{"another model always", says(strings.Replace(good, "gpt-tiny", "gpt-tiny-mini", 1)), always, remote.WrongModel, remote.ErrWrongModel, "answers_as"},
		{"a snapshot of the model", says(strings.Replace(good, "gpt-tiny", "gpt-tiny-2026-08-01", 1)), always, remote.OK, nil, "Hello."},
		{"an expired key", status(401, `{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}`), always, remote.KeyRefused, remote.ErrKey, "api_key_env"},
		{"no permission", status(403, `{"error": {"message": "Your organization cannot use this model"}}`), always, remote.KeyRefused, remote.ErrKey, "organization"},
		{"no money", status(429, `{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}`), always, remote.QuotaUsedUp, remote.ErrQuota, "quota"},
		{"no credits", status(402, `{"error": {"message": "Insufficient credits"}}`), always, remote.QuotaUsedUp, remote.ErrQuota, "credits"},
		{"a prompt too long", status(400, `{"error": {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"}}`), always, remote.ContextLength, lm.ErrContextLength, "8192"},
		{"a field it does not know", status(400, `{"error": {"message": "Unsupported value: 'temperature' does not support 0.5 with this model.", "param": "temperature", "code": "unsupported_value"}}`), always, remote.Unsupported, remote.ErrUnsupported, "omit: [temperature]"},
		{"another bad request", status(400, `{"error": {"message": "messages: at least one is needed"}}`), always, remote.BadRequest, any400, "at least one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := remote.Role{URL: listen(t, flaky(c.bad, c.times)), Model: "gpt-tiny", Timeout: remote.Duration(150 * time.Millisecond)}
			client := open(t, r, remote.Options{})
			got, err := client.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: "Hello?"}}, lm.Sampling{Temperature: 0.5, MaxTokens: 5})
			switch {
			case c.err == nil && (err != nil || got.Text != c.says):
				t.Errorf("got %+v, %v; want %q", got, err, c.says)
			case c.err != nil && (err == nil || !is(err, c.err) || !strings.Contains(err.Error(), c.says)):
				t.Errorf("got %+v, %v; want %v that says %q", got, err, c.err, c.says)
			}
			if n := client.Counts().Calls; !reflect.DeepEqual(n, map[remote.Outcome]int64{c.outcome: 1}) {
				t.Errorf("the outcomes are %v, want one %q", n, c.outcome)
			}
		})
	}
}

// Kinds of errors that have no sentinel.
var (
	any500   = errors.New("a StatusError of 5xx")
	any400   = errors.New("a StatusError of 4xx")
	noAnswer = errors.New("a NoAnswerError")
)

func is(err, want error) bool {
	s, isStatus := errors.AsType[*remote.StatusError](err)
	_, isNone := errors.AsType[*remote.NoAnswerError](err)
	switch want {
	case any500:
		return isStatus && s.Status >= 500
	case any400:
		return isStatus && s.Status < 500
	case noAnswer:
		return isNone
	}
	return errors.Is(err, want)
}

// With every fifth answer a fault, calls give what the engine gives, bit for bit, and
// everything is counted.
func TestFaultsChangeNothing(t *testing.T) {
	m := newModel(t, 3, 256)
	inner := served(m)
	faults := []http.HandlerFunc{
		status(429, `{"error": {"message": "slow down"}}`), status(500, `{"error": {"message": "oops"}}`), cut, drop,
		says("<html>"), says(strings.Replace(good, "gpt-tiny", "another", 1)), status(503, "starting"),
	}
	var asked atomic.Int64
	var mu sync.Mutex
	failed := map[string]int{} // by request: no call has all of the bad luck
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if n := asked.Add(1); r.Method == http.MethodPost && n > 20 && n%5 == 0 {
			mu.Lock()
			failed[string(body)]++
			fail := failed[string(body)] <= 3
			mu.Unlock()
			if fail {
				faults[n/5%int64(len(faults))](w, r)
				return
			}
		}
		inner.ServeHTTP(w, r)
	}))
	client := open(t, remote.Role{URL: url}, remote.Options{})
	var wg sync.WaitGroup
	const calls = 60
	for i := range calls {
		wg.Go(func() {
			chat := lm.Chat{{Role: lm.User, Content: fmt.Sprintf("My name is Ada. I like %d things.", i)}}
			s := lm.Sampling{Temperature: 1, MaxTokens: 8, Seed: uint64(i)}
			got, err := client.Generate(t.Context(), chat, s)
			want, err2 := m.Generate(t.Context(), chat, s)
			if err != nil || err2 != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("call %d: %q, %v; in process %q, %v", i, got.Text, err, want.Text, err2)
			}
			l, err := client.LogProb(t.Context(), chat, "I like the party.")
			truth, err2 := m.LogProb(t.Context(), chat, "I like the party.")
			if err != nil || err2 != nil || !reflect.DeepEqual(l, truth) {
				t.Errorf("score %d: %v, %v; in process %v, %v", i, l.Sum, err, truth.Sum, err2)
			}
		})
	}
	wg.Wait()
	counts, total := client.Counts(), int64(0)
	for _, n := range counts.Calls {
		total += n
	}
	if total != 2*calls || counts.Repeated[remote.Garbage]+counts.Repeated[remote.WrongModel] == 0 {
		t.Errorf("%d calls were made, the counts are %+v", 2*calls, counts)
	}
}

// A server with a limit of its own cuts every answer there. It is asked again until that is
// known, and then no more.
func TestServersOwnLimit(t *testing.T) {
	var asked atomic.Int64
	url := listen(t, asVLLM(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		vllmSays("Hello, I like", "length", 3)(w, r)
	})))
	client := open(t, remote.Role{URL: url, Model: "gpt-tiny"}, remote.Options{})
	for i := range 3 {
		before := asked.Load()
		got, err := client.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: "Hello?"}}, lm.Sampling{MaxTokens: 9})
		if err != nil || got.Text != "Hello, I like" || got.Finish != lm.FinishLength {
			t.Errorf("call %d: %+v, %v", i, got, err)
		}
		if n := asked.Load() - before; i > 0 && n != 1 {
			t.Errorf("call %d asked %d times", i, n)
		}
	}
}

// A cancelled call is the caller's own error, wherever it stands.
func TestCancelled(t *testing.T) {
	client := open(t, remote.Role{URL: listen(t, flaky(hang, 1<<30)), Model: "gpt-tiny"}, remote.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := client.Generate(ctx, lm.Chat{{Role: lm.User, Content: "Hello?"}}, lm.Sampling{MaxTokens: 5})
	if !errors.Is(err, context.Canceled) || client.Counts().Calls[remote.Cancelled] != 1 {
		t.Errorf("%v, counted %v", err, client.Counts())
	}
}

// A server that repeats the key it was given does not bring it into errors.
func TestKeysStaySecret(t *testing.T) {
	const key = "sk-very-secret-0123456789"
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error": {"message": "bad key %s"}}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	})
	role := remote.Role{URL: listen(t, mux), Model: "x", APIKeyEnv: "THE_KEY"}
	_, err := tryOpen(t, role, remote.Options{Getenv: func(string) string { return key }})
	if !errors.Is(err, remote.ErrKey) || strings.Contains(err.Error(), key) || strings.Contains(fmt.Sprintf("%+v", role), key) {
		t.Errorf("the error is %v", err)
	}
	if _, err := tryOpen(t, role, remote.Options{Getenv: func(string) string { return "" }}); !errors.Is(err, remote.ErrRole) || !strings.Contains(err.Error(), "THE_KEY") {
		t.Errorf("without the variable: %v", err)
	}
}

// Reasoning is no part of an answer, whichever way a server shows it.
func TestThinking(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
		finish lm.FinishReason
	}{
		"a field of its own":         {message(`"content": "Hello.", "reasoning_content": "They greet."`, "stop"), "Hello.", lm.FinishStop},
		"tags":                       {message(`"content": "<think>\nThey greet.\n</think>\n\nHello."`, "stop"), "Hello.", lm.FinishStop},
		"the end only":               {message(`"content": "They greet.\n</think>\n\nHello."`, "stop"), "Hello.", lm.FinishStop},
		"cut off while reasoning":    {message(`"content": "<think>They gr"`, "length"), "", lm.FinishLength},
		"cut off, in a field":        {message(`"content": null, "reasoning": "They gr"`, "length"), "", lm.FinishLength},
		"parts":                      {message(`"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hello."}]`, "stop"), "Hello.", lm.FinishStop},
		"a text that speaks of tags": {message(`"content": "Use <think> for it."`, "stop"), "Use <think> for it.", lm.FinishStop},
	} {
		t.Run(name, func(t *testing.T) {
			client := open(t, remote.Role{URL: listen(t, flaky(c.answer, 1<<30)), Model: "gpt-tiny"}, remote.Options{})
			got, err := client.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: "Hello?"}}, lm.Sampling{MaxTokens: 5})
			if err != nil || got.Text != c.want || got.Finish != c.finish {
				t.Errorf("got %+v, %v; want %q (%s)", got, err, c.want, c.finish)
			}
		})
	}
	keep := open(t, remote.Role{URL: listen(t, flaky(message(`"content": "<think>Hm.</think>Hello."`, "stop"), 1<<30)), Model: "gpt-tiny", Thinking: remote.KeepThinking}, remote.Options{})
	if got, err := keep.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: "Hello?"}}, lm.Sampling{}); err != nil || got.Text != "<think>Hm.</think>Hello." {
		t.Errorf("kept: %+v, %v", got, err)
	}
}
