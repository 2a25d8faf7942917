package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"stargate/internal/chattemplate"
	"stargate/internal/llama"
	"stargate/internal/tokenizer"
	"stargate/lm/local"
)

// testFiles are a tokenizer with the built-in model's template.
var testFiles = sync.OnceValues(func() (map[string][]byte, error) {
	texts := func(yield func(string) bool) {
		for _, s := range []string{"What would you like to cook tonight?", "I like thing number seven.", "the theme of the thing there", "My name is Ada. Help me plan a party.", "Zoë’s café €"} {
			for range 20 {
				if !yield(s) {
					return
				}
			}
		}
	}
	tok, err := tokenizer.Train(texts, tokenizer.Options{VocabSize: 300, MinFrequency: 2,
		Special: []string{"<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"}})
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(tok)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(tokenizer.Config{EOSToken: "<|end|>", ChatTemplate: chattemplate.Nano})
	if err != nil {
		return nil, err
	}
	return map[string][]byte{tokenizer.File: data, tokenizer.ConfigFile: config}, nil
})

// testModel is small and random, with large weights, so that what it says depends on what
// it reads.
func testModel(t testing.TB, context int, o local.Options) *local.Model {
	t.Helper()
	files, err := testFiles()
	if err != nil {
		t.Fatal(err)
	}
	w, err := llama.NewModel(llama.Config{ModelType: "mistral", VocabSize: 300, HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2,
		NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 8, MaxPositionEmbeddings: context})
	if err != nil {
		t.Fatal(err)
	}
	w.Init(3)
	for _, p := range w.Params() {
		if p.Decay {
			for i := range p.Data {
				p.Data[i] *= 12
			}
		}
	}
	m, err := local.New(w, files, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// endless is a context that no test's completion reaches the end of.
const endless = 1 << 15

// client asks a server.
type client struct {
	t   testing.TB
	url string
	key string
}

func newClient(t testing.TB, s *Server) *client {
	t.Helper()
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	return &client{t: t, url: hs.URL}
}

func (c *client) request(method, path, body string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	return r
}

func (c *client) do(method, path, body string) (status int, header http.Header, answer []byte) {
	c.t.Helper()
	resp, err := http.DefaultClient.Do(c.request(method, path, body))
	if err != nil {
		c.t.Error(err)
		return 0, nil, nil
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		c.t.Error(err)
	}
	return resp.StatusCode, resp.Header, answer
}

// post asks for v and wants status 200.
func (c *client) post(path string, body, v any) {
	c.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	status, _, answer := c.do(http.MethodPost, path, string(data))
	if status != http.StatusOK {
		c.t.Errorf("POST %s %s: %d %s", path, data, status, answer)
		return
	}
	if err := json.Unmarshal(answer, v); err != nil {
		c.t.Errorf("POST %s: %v in %s", path, err, answer)
	}
}

// stream is the events of a streamed answer, "[DONE]" included.
func (c *client) stream(path string, body any) (events []string) {
	c.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	status, header, answer := c.do(http.MethodPost, path, string(data))
	if status != http.StatusOK || header.Get("Content-Type") != "text/event-stream" {
		c.t.Errorf("POST %s %s: %d %s", path, data, status, answer)
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(answer))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		if event, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			events = append(events, event)
		} else if lines.Text() != "" {
			c.t.Errorf("a line that is no event: %q", lines.Text())
		}
	}
	if len(events) == 0 || events[len(events)-1] != "[DONE]" {
		c.t.Errorf("the stream ends without [DONE]: %q", events)
	}
	return events
}

type object = map[string]any

func user(text string) []object { return []object{{"role": "user", "content": text}} }
