package simserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func server(t *testing.T, change func(*Options)) *Server {
	t.Helper()
	o := Options{Hardware: Usual(), Lengths: Lengths{Median: 30, Sigma: 0.5}}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask posts a request and reads the answer into something.
func ask(t *testing.T, rt http.RoundTripper, url, body string, into any) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s: %v: %s", url, err, data)
		}
	}
	return resp
}

const party = `{"model":"m","messages":[{"role":"user","content":"My name is Ada. Plan a party. Ask me."}],"temperature":0.9,"seed":3,"return_token_ids":true`

// TestShapes asks for the same chat in all ways, over a real connection.
func TestShapes(t *testing.T) {
	hs := httptest.NewServer(server(t, func(o *Options) { o.Scale = 1000 }))
	defer hs.Close()
	rt := http.DefaultTransport
	var chat wireAnswer
	ask(t, rt, hs.URL+"/v1/chat/completions", party+"}", &chat)
	c := chat.Choices[0]
	if text := c.Message.Content; c.FinishReason != "stop" || !strings.HasPrefix(text, "What ") || !strings.HasSuffix(text, "?") ||
		chat.Usage.CompletionTokens != len(c.TokenIDs) || c.TokenIDs[len(c.TokenIDs)-1] != tokenEnd || chat.Model != "m" {
		t.Errorf("chat: %+v", chat)
	}
	var tokens struct{ Tokens []int32 }
	ask(t, rt, hs.URL+"/tokenize", `{"model":"m","messages":[{"role":"user","content":"My name is Ada. Plan a party. Ask me."}]}`, &tokens)
	if !slices.Equal(tokens.Tokens, chat.PromptTokenIDs) {
		t.Errorf("/tokenize: %v, the chat's prompt is %v", tokens.Tokens, chat.PromptTokenIDs)
	}
	ids, err := json.Marshal(tokens.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	var completion wireAnswer
	ask(t, rt, hs.URL+"/v1/completions", `{"model":"m","prompt":[`+string(ids)+`],"temperature":0.9,"seed":3}`, &completion)
	if got := *completion.Choices[0].Text; got != c.Message.Content {
		t.Errorf("the ids are continued by %q, the chat by %q", got, c.Message.Content)
	}
	var back struct{ Prompt string }
	ask(t, rt, hs.URL+"/detokenize", `{"model":"m","tokens":`+string(ids)+`}`, &back)
	if want := "<s><|user|>My name is Ada. Plan a party. Ask me.</s><|assistant|>"; back.Prompt != want {
		t.Errorf("/detokenize: %q, want %q", back.Prompt, want)
	}
	var scored struct {
		Choices []struct {
			PromptLogProbs []map[string]struct{ LogProb float64 } `json:"prompt_logprobs"`
		}
	}
	ask(t, rt, hs.URL+"/v1/completions", `{"model":"m","prompt":[`+string(ids)+`],"max_tokens":1,"prompt_logprobs":0}`, &scored)
	lps := scored.Choices[0].PromptLogProbs
	if len(lps) != len(tokens.Tokens) || lps[0] != nil {
		t.Errorf("prompt_logprobs: %v", lps)
	}
	for i, lp := range lps[1:] {
		if len(lp) != 1 {
			t.Errorf("token %d: %v", i+1, lp)
		}
		for _, v := range lp {
			if v.LogProb >= 0 || v.LogProb < -7 {
				t.Errorf("token %d: %v", i+1, lp)
			}
		}
	}
	var cut wireAnswer
	ask(t, rt, hs.URL+"/v1/chat/completions", party+`,"max_tokens":3}`, &cut)
	if c := cut.Choices[0]; c.FinishReason != "length" || len(c.TokenIDs) != 3 || !strings.HasPrefix(chat.Choices[0].Message.Content, c.Message.Content) {
		t.Errorf("cut at three tokens: %+v", c)
	}
	var stopped wireAnswer
	ask(t, rt, hs.URL+"/v1/chat/completions", party+`,"stop":["zzz","What "]}`, &stopped)
	if c := stopped.Choices[0]; c.FinishReason != "stop" || c.Message.Content != "" {
		t.Errorf("stopped at its first word: %+v", c)
	}
}

func TestRefusals(t *testing.T) {
	s := server(t, func(o *Options) { o.Model, o.Key, o.Hardware.Context, o.Scale = "m", "k", 100, 1000 })
	hs := httptest.NewServer(s)
	defer hs.Close()
	for _, c := range []struct {
		key, path, body string
		status          int
		want            string
	}{
		{"", "/v1/models", "", 401, "invalid_api_key"},
		{"Bearer k", "/nowhere", "", 404, ""},
		{"Bearer k", "/v1/completions", `{"model":"other","prompt":"x"}`, 404, "model_not_found"},
		{"Bearer k", "/v1/completions", `{"model":"m"}`, 400, "want messages, or a prompt"},
		{"Bearer k", "/v1/completions", `{"model":"m","prompt":[[7]]}`, 400, "not in the vocabulary"},
		{"Bearer k", "/v1/completions", `{"model":"m","prompt":"x","stream":true}`, 400, "stream"},
		{"Bearer k", "/v1/completions", `{"model":"m","prompt":"x","max_tokens":100}`, 400, "context_length_exceeded"},
		{"Bearer k", "/v1/chat/completions", `{"model":"m","messages":[{"role":"tool","content":"x"}]}`, 400, "role"},
		{"Bearer k", "/v1/chat/completions", `{"model":`, 400, "not a request"},
	} {
		method := http.MethodPost
		if c.body == "" {
			method = http.MethodGet
		}
		r, err := http.NewRequestWithContext(t.Context(), method, hs.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", c.key)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(text), c.want) {
			t.Errorf("%s %s: %d %s, want %d and %q", c.path, c.body, resp.StatusCode, text, c.status, c.want)
		}
	}
}

// TestFaults: each fault looks like what it is, over a real connection and without one, and
// the same request without a fault gets the same answer as ever.
func TestFaults(t *testing.T) {
	clean := server(t, func(o *Options) { o.Scale = 1000 })
	var want wireAnswer
	ask(t, clean.RoundTripper(), "http://sim/v1/chat/completions", party+"}", &want)
	for _, c := range []struct {
		name   string
		faults Faults
		check  func(resp *http.Response, body []byte, err error) bool
	}{
		{"busy", Faults{Busy: 1, RetryAfter: 10 * time.Second}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && r.StatusCode == 429 && r.Header.Get("Retry-After") == "1" && r.Header.Get("Retry-After-Ms") == "10.000"
		}},
		{"error", Faults{Error: 1}, func(r *http.Response, b []byte, err error) bool { return err == nil && r.StatusCode == 500 }},
		{"cut", Faults{Cut: 1}, func(r *http.Response, b []byte, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && r.StatusCode == 200 && len(b) > 0
		}},
		{"garbage", Faults{Garbage: 1}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && r.StatusCode == 200 && !json.Valid(b)
		}},
		{"empty", Faults{Empty: 1}, func(r *http.Response, b []byte, err error) bool {
			var a wireAnswer
			return err == nil && json.Unmarshal(b, &a) == nil && a.Choices[0].Message.Content == ""
		}},
		{"truncated", Faults{Truncated: 1}, func(r *http.Response, b []byte, err error) bool {
			var a wireAnswer
			return err == nil && json.Unmarshal(b, &a) == nil && a.Choices[0].FinishReason == "length" &&
				strings.HasPrefix(want.Choices[0].Message.Content, a.Choices[0].Message.Content)
		}},
		{"wrong model", Faults{WrongModel: 1}, func(r *http.Response, b []byte, err error) bool {
			var a wireAnswer
			return err == nil && json.Unmarshal(b, &a) == nil && a.Model != "m"
		}},
		{"hang", Faults{Hang: 1}, func(r *http.Response, b []byte, err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"an expired key", Faults{KeyExpires: 1}, func(r *http.Response, b []byte, err error) bool { return err == nil && r.StatusCode == 401 }},
		{"none", Faults{}, func(r *http.Response, b []byte, err error) bool {
			var a wireAnswer
			return err == nil && json.Unmarshal(b, &a) == nil && a.Choices[0].Message.Content == want.Choices[0].Message.Content
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := server(t, func(o *Options) { o.Faults, o.Scale = c.faults, 1000 })
			s.served.Store(1)
			hs := httptest.NewServer(s)
			defer hs.Close()
			for _, way := range []struct {
				rt  http.RoundTripper
				url string
			}{{http.DefaultTransport, hs.URL}, {s.RoundTripper(), "http://sim"}} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if c.faults.Hang > 0 {
					cancel()
					ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
				}
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, way.url+"/v1/chat/completions", strings.NewReader(party+"}"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := way.rt.RoundTrip(r)
				var body []byte
				if err == nil {
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if !c.check(resp, body, err) {
					t.Errorf("at %s: %+v, %s, %v", way.url, resp, body, err)
				}
			}
		})
	}
}

// TestFaultsAreRare: shares are met, and depend on the request and its attempt alone.
func TestFaultsAreRare(t *testing.T) {
	draw := func() (counts [9]int) {
		f := faulter{Faults: Faults{Busy: 0.1, Cut: 0.05}, attempts: map[uint64]uint64{}}
		for attempt := range 2 {
			for i := range 10_000 {
				if attempt == 1 {
					i = 9_999 - i
				}
				counts[f.next(mix(offset64, uint64(i)))]++
			}
		}
		return counts
	}
	counts := draw()
	if b, c := counts[busyFault], counts[cutFault]; b < 1800 || b > 2200 || c < 850 || c > 1150 || b+c+counts[noFault] != 20_000 {
		t.Errorf("20,000 attempts: %v", counts)
	}
	if again := draw(); again != counts {
		t.Errorf("again: %v, before %v", again, counts)
	}
}

// TestClock: requests share the batch, wait when it is full, and are refused when the queue
// is; who goes away makes room.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, func(o *Options) {
			o.Hardware = Hardware{Batch: 2, Queue: 1, Step: time.Second, Chunk: 1000, Context: 1000}
			o.Lengths.Median = 1e6
		})
		body := func(tokens string) string {
			return `{"model":"m","prompt":"` + tokens + `","max_tokens":10}`
		}
		began := time.Now()
		var wg sync.WaitGroup
		took := make([]time.Duration, 3)
		for i := range took {
			wg.Go(func() {
				ask(t, s.RoundTripper(), "http://sim/v1/completions", body(strings.Repeat("x", i+1)), nil)
				took[i] = time.Since(began)
			})
			synctest.Wait()
		}
		if resp := ask(t, s.RoundTripper(), "http://sim/v1/completions", body("y"), nil); resp.StatusCode != 429 {
			t.Errorf("the fourth of three: status %d", resp.StatusCode)
		}
		wg.Wait()
		// The first begins alone; the second with the step after it.
		if want := []time.Duration{10 * time.Second, 11 * time.Second, 20 * time.Second}; !slices.Equal(took, want) {
			t.Errorf("took %v, want %v", took, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sim/v1/completions", bytes.NewReader([]byte(body("z"))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.RoundTripper().RoundTrip(r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a client that goes away gets %v", err)
		}
		time.Sleep(time.Minute)
		if rep := s.Report(); rep.Requests != 3 || rep.Completion != 33 || rep.Cancelled != 1 || rep.Elapsed != 20*time.Second {
			t.Errorf("report %+v", rep)
		}
		s.Reset()
		if rep := s.Report(); rep != (Report{}) {
			t.Errorf("report after Reset: %+v", rep)
		}
	})
}
