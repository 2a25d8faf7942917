package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stargate/internal/lora"
	"stargate/lm"
	"stargate/lm/local"
)

// writeAdapter writes a random adapter for m into a directory and returns it.
func writeAdapter(t testing.TB, m *local.Model, dir string, seed uint64) *lora.Adapter {
	t.Helper()
	params, err := m.Config().Shapes()
	if err != nil {
		t.Fatal(err)
	}
	var ws []lora.Weight
	for _, p := range params {
		if len(p.Shape) == 2 {
			ws = append(ws, lora.Weight{Name: p.Name, Out: p.Shape[0], In: p.Shape[1]})
		}
	}
	a, err := lora.New(lora.Config{Rank: 4, Alpha: 8}, ws, seed)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for _, x := range a.Matrices {
		for i := range x.B {
			x.B[i] = float32(0.2 * r.NormFloat64())
		}
	}
	files, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// adapterServer is a server with one directory of adapters, and its client.
func adapterServer(t testing.TB, m *local.Model, o Options) (*Server, *client, string) {
	t.Helper()
	dir := t.TempDir()
	o.AdapterDirs = []string{dir}
	s := New(m, o)
	t.Cleanup(s.Close)
	return s, newClient(t, s), dir
}

// ask posts and returns status and answer.
func (c *client) ask(path string, body object) (int, string) {
	c.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	status, _, answer := c.do(http.MethodPost, path, string(data))
	return status, string(answer)
}

func (c *client) load(name, path string) (int, string) {
	c.t.Helper()
	return c.ask("/v1/load_lora_adapter", object{"lora_name": name, "lora_path": path})
}

func (c *client) unload(name string) (int, string) {
	c.t.Helper()
	return c.ask("/v1/unload_lora_adapter", object{"lora_name": name})
}

func (c *client) models() (ids []string) {
	c.t.Helper()
	var list struct{ Data []card }
	_, _, answer := c.do(http.MethodGet, "/v1/models", "")
	if err := json.Unmarshal(answer, &list); err != nil {
		c.t.Fatal(err)
	}
	for _, m := range list.Data {
		ids = append(ids, m.ID)
	}
	return ids
}

// complete is the text that a model continues with.
func (c *client) complete(model string) (string, bool) {
	c.t.Helper()
	status, answer := c.ask("/v1/completions", object{"model": model, "prompt": "I like the", "max_tokens": 12, "temperature": 0, "ignore_eos": true})
	var out completion
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &out) != nil || len(out.Choices) != 1 {
		return answer, false
	}
	return out.Choices[0].Text, true
}

// A loaded adapter is a model of its own name, which says what it says in the process; the base
// model goes on as it was, and unloaded the name is unknown.
func TestAdapterIsAModel(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 2})
	_, c, dir := adapterServer(t, m, Options{Name: "base"})
	a := writeAdapter(t, m, filepath.Join(dir, "run", "m1"), 1)
	before, _ := c.complete("base")
	if status, answer := c.load("m1", filepath.Join(dir, "run", "m1")); status != http.StatusOK || !strings.HasPrefix(answer, "Success") {
		t.Fatalf("load: %d %s", status, answer)
	}
	if status, answer := c.load("m1-again", "run/m1"); status != http.StatusOK { // relative to the allowed directory
		t.Fatalf("load: %d %s", status, answer)
	}
	if got := c.models(); !slices.Equal(got, []string{"base", "m1", "m1-again"}) {
		t.Errorf("models %v", got)
	}
	var one card
	_, _, answer := c.do(http.MethodGet, "/v1/models/m1", "")
	if err := json.Unmarshal(answer, &one); err != nil || one.Parent == nil || *one.Parent != "base" || one.Root != filepath.Join(dir, "run", "m1") {
		t.Errorf("m1 is shown as %s", answer)
	}

	adapted, err := m.Adapt(a)
	if err != nil {
		t.Fatal(err)
	}
	defer adapted.Close()
	want, err := adapted.Continue(t.Context(), local.Request{Prompt: m.Tokenize("I like the", true), Sampling: lm.Sampling{MaxTokens: 12}, IgnoreEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m1", "m1-again"} {
		if got, ok := c.complete(name); !ok || got != want.Text || got == before {
			t.Errorf("%s says %q, in the process %q, the base %q", name, got, want.Text, before)
		}
	}
	if got, _ := c.complete("base"); got != before {
		t.Errorf("the base says %q, before %q", got, before)
	}
	var tokens struct{ Count int }
	c.post("/tokenize", object{"model": "m1", "prompt": "I like the"}, &tokens)
	if tokens.Count == 0 {
		t.Error("an adapter's tokenizer is the base model's")
	}

	if status, answer := c.unload("m1"); status != http.StatusOK || !strings.HasPrefix(answer, "Success") {
		t.Errorf("unload: %d %s", status, answer)
	}
	if text, ok := c.complete("m1"); ok || !strings.Contains(text, "model_not_found") {
		t.Errorf("an unloaded adapter answers %q", text)
	}
	if got := c.models(); !slices.Equal(got, []string{"base", "m1-again"}) {
		t.Errorf("models %v", got)
	}
}

// load_inplace puts another adapter under the same name; requests in flight end with the old.
func TestAdapterIsReplaced(t *testing.T) {
	m := testModel(t, endless, local.Options{Workers: 2})
	s, c, dir := adapterServer(t, m, Options{})
	writeAdapter(t, m, filepath.Join(dir, "one"), 1)
	writeAdapter(t, m, filepath.Join(dir, "two"), 2)
	c.load("m1", "one")
	one, _ := c.complete("m1")
	resp, in := c.start(t.Context(), strings.Replace(forever, `{`, `{"model": "m1", `, 1))
	if status, answer := c.load("m1", "two"); status != http.StatusBadRequest || !strings.Contains(answer, "adapter_exists") {
		t.Errorf("a name twice: %d %s", status, answer)
	}
	if status, answer := c.ask("/v1/load_lora_adapter", object{"lora_name": "m1", "lora_path": "two", "load_inplace": true}); status != http.StatusOK {
		t.Fatalf("load_inplace: %d %s", status, answer)
	}
	if two, ok := c.complete("m1"); !ok || two == one {
		t.Errorf("%q after load_inplace, before %q", two, one)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Errorf("the request in flight ended: %v", err)
	}
	if n := len(s.adapters.open); n != 2 {
		t.Errorf("%d adapters in memory, want the one in use and the new one", n)
	}
	resp.Body.Close()
	eventually(t, "the replaced adapter is let go", func() bool {
		s.adapters.mu.Lock()
		defer s.adapters.mu.Unlock()
		return len(s.adapters.open) == 1
	})
}

// A request in flight when its adapter is unloaded gets its whole answer.
func TestUnloadedInFlight(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	s, c, dir := adapterServer(t, m, Options{})
	writeAdapter(t, m, filepath.Join(dir, "m1"), 1)
	c.load("m1", "m1")
	_, first, in := c.begin(t.Context(), `{"model": "m1", "prompt": "I like the", "max_tokens": 200, "temperature": 1, "seed": 1, "ignore_eos": true, "stream": true}`)
	if status, answer := c.unload("m1"); status != http.StatusOK {
		t.Fatalf("unload: %d %s", status, answer)
	}
	rest, err := io.ReadAll(in)
	answer := first + string(rest)
	if err != nil || !strings.Contains(answer, `"finish_reason":"length"`) || !strings.Contains(answer, "[DONE]") {
		t.Errorf("the stream ends with %.300q, %v", answer[max(0, len(answer)-300):], err)
	}
	eventually(t, "the adapter is let go", func() bool {
		s.adapters.mu.Lock()
		defer s.adapters.mu.Unlock()
		return len(s.adapters.open) == 0
	})
	if status, answer := c.unload("m1"); status != http.StatusNotFound {
		t.Errorf("unloaded twice: %d %s", status, answer)
	}
}

// Clients that load, unload and use the same names at once get right answers or none.
func TestAdaptersUnderLoad(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 2})
	s, c, dir := adapterServer(t, m, Options{Limits: Limits{Adapters: 3}})
	want := map[string]string{}
	names := []string{"a", "b", "c", "d"}
	for i, name := range names {
		writeAdapter(t, m, filepath.Join(dir, name), uint64(i))
		c.load(name, name)
		want[name], _ = c.complete(name)
		c.unload(name)
	}
	want["model"], _ = c.complete("model")
	var wg sync.WaitGroup
	var answered, unknown atomic.Int64
	for i := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for range 40 {
				name := names[r.IntN(len(names))]
				switch r.IntN(6) {
				case 0:
					if status, answer := c.load(name, name); status != 200 && !strings.Contains(answer, "adapter_exists") && !strings.Contains(answer, "too_many_adapters") {
						t.Errorf("load: %d %s", status, answer)
					}
				case 1:
					if status, answer := c.unload(name); status != 200 && status != 404 {
						t.Errorf("unload: %d %s", status, answer)
					}
				case 2:
					name = "model"
					fallthrough
				default:
					text, ok := c.complete(name)
					switch {
					case ok && text != want[name]:
						t.Errorf("%s says %q, want %q", name, text, want[name])
					case ok:
						answered.Add(1)
					case strings.Contains(text, "model_not_found"):
						unknown.Add(1)
					default:
						t.Errorf("%s: %s", name, text)
					}
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d answers, %d of unknown models", answered.Load(), unknown.Load())
	computed := s.adapters.stats().Computed
	for _, name := range names {
		c.unload(name)
	}
	if got := s.adapters.stats(); got.Computed != computed || got.Running != 0 || len(s.adapters.open) != 0 {
		t.Errorf("after all are gone %+v, %d tokens before; %d still open", got, computed, len(s.adapters.open))
	}
}

// Adapters come from below the allowed directories, whatever the path looks like.
func TestAdapterPaths(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	_, c, dir := adapterServer(t, m, Options{})
	outside := t.TempDir()
	writeAdapter(t, m, outside, 1)
	writeAdapter(t, m, filepath.Join(dir, "sub", "in"), 1)
	for link, to := range map[string]string{"out": outside, "within": filepath.Join("sub", "in")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err) // systems without symbolic links
		}
	}
	for i, x := range []struct {
		path   string
		status int
		code   string
	}{
		{filepath.Join(dir, "sub", "in"), 200, ""},
		{"sub/in", 200, ""},
		{"sub/../sub/in", 200, ""},
		{"within", 200, ""},
		{filepath.Join(dir, "within"), 200, ""},
		{outside, 403, "path_not_allowed"},
		{"/etc", 403, "path_not_allowed"},
		{"..", 403, "path_not_allowed"},
		{"sub/../../" + filepath.Base(outside), 403, "path_not_allowed"},
		{filepath.Join(dir, "..", filepath.Base(outside)), 403, "path_not_allowed"},
		{dir + "-other", 403, "path_not_allowed"},
		{"out", 404, "adapter_not_found"},
		{filepath.Join(dir, "out"), 404, "adapter_not_found"},
		{"sub/missing", 404, "adapter_not_found"},
		{"sub", 404, "adapter_not_found"}, // holds no adapter
		{"sub/in/adapter_config.json", 404, "adapter_not_found"},
	} {
		name := fmt.Sprint("a", i)
		status, answer := c.load(name, x.path)
		if status != x.status || !strings.Contains(answer, x.code) {
			t.Errorf("%s: %d %s", x.path, status, answer)
		}
		c.unload(name)
	}
}

func TestAdapterRequestsRefused(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	s, c, dir := adapterServer(t, m, Options{Limits: Limits{Adapters: 1, AdapterRank: 4}})
	writeAdapter(t, m, filepath.Join(dir, "good"), 1)
	writeAdapter(t, m, filepath.Join(dir, "bad"), 1)
	writeAdapter(t, m, filepath.Join(dir, "high"), 1)
	rewrite := func(dir, name, old, new string) {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(filepath.Join(dir, "bad"), lora.ConfigFile, `"use_dora": false`, `"use_dora": true`)
	rewrite(filepath.Join(dir, "high"), lora.ConfigFile, `"r": 4`, `"r": 8`)
	for _, x := range []struct {
		body   object
		status int
		says   string
	}{
		{object{"lora_path": "good"}, 400, "lora_name"},
		{object{"lora_name": "m1"}, 400, "lora_path"},
		{object{"lora_name": "model", "lora_path": "good"}, 400, "base model"},
		{object{"lora_name": "m\n1", "lora_path": "good"}, 400, "control characters"},
		{object{"lora_name": strings.Repeat("m", 201), "lora_path": "good"}, 400, "200 bytes"},
		{object{"lora_name": "m1", "lora_path": "good", "is_3d_lora_weight": true}, 400, "unknown_parameter"},
		{object{"lora_name": "m1", "lora_path": 3}, 400, "lora_path"},
		{object{"lora_name": "m1", "lora_path": "bad"}, 400, "use_dora"},
		{object{"lora_name": "m1", "lora_path": "high"}, 400, "rank is 8"},
		{object{"lora_name": "m1", "lora_path": "good"}, 200, "Success"},
		{object{"lora_name": "m2", "lora_path": "good"}, 400, "too_many_adapters"},
	} {
		if status, answer := c.ask("/v1/load_lora_adapter", x.body); status != x.status || !strings.Contains(answer, x.says) {
			t.Errorf("load %v: %d %s", x.body, status, answer)
		}
	}
	if status, answer := c.ask("/v1/unload_lora_adapter", object{"lora_int_id": 1}); status != 400 || !strings.Contains(answer, "lora_name") {
		t.Errorf("unload without a name: %d %s", status, answer)
	}

	s.Close()
	if _, answer := c.load("m3", "good"); !strings.Contains(answer, "ending") {
		t.Errorf("load when the server is closed: %s", answer)
	}
	if got := c.models(); !slices.Equal(got, []string{"model"}) {
		t.Errorf("models when the server is closed: %v", got)
	}
	none := newClient(t, New(m, Options{}))
	for _, route := range []string{"/v1/load_lora_adapter", "/v1/unload_lora_adapter"} {
		if status, answer := none.ask(route, object{"lora_name": "m1", "lora_path": "good"}); status != 403 || !strings.Contains(answer, "--lora-dir") {
			t.Errorf("%s without directories: %d %s", route, status, answer)
		}
	}
}

// Close ends requests that use an adapter.
func TestCloseEndsAdapters(t *testing.T) {
	m := testModel(t, endless, local.Options{Workers: 1})
	s, c, dir := adapterServer(t, m, Options{})
	writeAdapter(t, m, filepath.Join(dir, "m1"), 1)
	c.load("m1", "m1")
	_, in := c.start(t.Context(), strings.Replace(forever, `{`, `{"model": "m1", `, 1))
	s.Close()
	rest, err := io.ReadAll(in)
	if err != nil || !strings.Contains(string(rest), `"ending"`) {
		t.Errorf("the stream ends with %.300q, %v", rest[max(0, len(rest)-300):], err)
	}
}
