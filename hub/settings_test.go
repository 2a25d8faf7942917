package hub

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFromEnv(t *testing.T) {
	home := t.TempDir()
	cached := func(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }
	if err := os.WriteFile(cached("token"), []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  string
		want Settings
	}{
		{"", Settings{DefaultEndpoint, Cache(cached(".cache", "huggingface", "hub")), "", false}},
		{"XDG_CACHE_HOME=~/x", Settings{DefaultEndpoint, Cache(cached("x", "huggingface", "hub")), "", false}},
		{"HF_HOME=$HOME", Settings{DefaultEndpoint, Cache(cached("hub")), "from-file", false}},
		{"HF_HOME=~ HF_HUB_CACHE=~/c HF_TOKEN=t", Settings{DefaultEndpoint, Cache(cached("c")), "t", false}},
		{"HUGGINGFACE_HUB_CACHE=~/old HF_TOKEN_PATH=~/token", Settings{DefaultEndpoint, Cache(cached("old")), "from-file", false}},
		{"HUGGING_FACE_HUB_TOKEN=old HF_ENDPOINT=http://mirror:8080/ HF_HUB_OFFLINE=yes", Settings{"http://mirror:8080", Cache(cached(".cache", "huggingface", "hub")), "old", true}},
		{"HF_HUB_OFFLINE=0", Settings{DefaultEndpoint, Cache(cached(".cache", "huggingface", "hub")), "", false}},
		{"TRANSFORMERS_OFFLINE=1", Settings{DefaultEndpoint, Cache(cached(".cache", "huggingface", "hub")), "", true}},
	} {
		env := map[string]string{"HOME": home}
		for _, kv := range strings.Fields(c.env) {
			k, v, _ := strings.Cut(kv, "=")
			env[k] = v
		}
		got, err := FromEnv(func(k string) string { return env[k] })
		if err != nil || got != c.want {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", c.env, got, err, c.want)
		}
	}
	if _, err := FromEnv(func(k string) string { return map[string]string{"HF_ENDPOINT": "mirror"}[k] }); err == nil {
		t.Error("an endpoint without scheme is taken")
	}
}

func TestParseName(t *testing.T) {
	for in, want := range map[string]Name{
		"acme/tiny":                      {"acme/tiny", "main"},
		"HuggingFaceTB/SmolLM2-135M@v1":  {"HuggingFaceTB/SmolLM2-135M", "v1"},
		"a/b_c.d-e@refs/pr/1":            {"a/b_c.d-e", "refs/pr/1"},
		"TinyLlama/TinyLlama-1.1B@a/b@c": {"TinyLlama/TinyLlama-1.1B", "a/b@c"},
	} {
		got, err := ParseName(in)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", in, got, err, want)
		}
		if again, err := ParseName(got.String()); err != nil || again != got {
			t.Errorf("%q prints as %q", in, got)
		}
	}
	for _, in := range []string{"", "model", "/b", "a/", "../b", "a/..", "a/b/c", "a/b@", "a/b@../x", "a/b@/x", "a/b@x y", "a--b/c", "-a/b", "a/b.", "a/b.git", "./a", "a b/c", `a\b/c`, "a/b@x\n", strings.Repeat("x", 97) + "/b"} {
		if got, err := ParseName(in); !errors.Is(err, ErrName) {
			t.Errorf("%q is taken for %+v (%v)", in, got, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-3": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("%q is %v, want %v", in, got, want)
		}
	}
}

// Caches that others made, or broke.
func TestResolve(t *testing.T) {
	a, b := strings.Repeat("a", 40), "ab"+strings.Repeat("c", 38)
	write := func(c Cache, path, text string) {
		path = filepath.Join(string(c), "models--acme--tiny", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what  string
		files map[string]string
		name  string
		want  string // the commit, or a part of the error
	}{
		{"plain files", map[string]string{"refs/main": a, "snapshots/" + a + "/config.json": "", "snapshots/" + a + "/model.safetensors": ""}, repo, a},
		{"ref with a line end", map[string]string{"refs/main": a + "\n", "snapshots/" + a + "/config.json": "", "snapshots/" + a + "/model.safetensors": ""}, repo, a},
		{"broken ref", map[string]string{"refs/main": "../../x"}, repo, "is no commit"},
		{"ref to nothing", map[string]string{"refs/main": a}, repo, "config.json is missing"},
		{"configuration only", map[string]string{"refs/main": a, "snapshots/" + a + "/config.json": ""}, repo, "model.safetensors is missing"},
		{"torn shards", map[string]string{"refs/main": a, "snapshots/" + a + "/config.json": "", "snapshots/" + a + "/model.safetensors.index.json": `{"weight_map":{"x":"s.safetensors"}}`}, repo, "s.safetensors is missing"},
		{"hostile index", map[string]string{"refs/main": a, "snapshots/" + a + "/config.json": "", "snapshots/" + a + "/model.safetensors.index.json": `{"weight_map":{"x":"../s.safetensors"}}`}, repo, "no name of a safetensors file"},
		{"other revision", map[string]string{"snapshots/" + a + "/config.json": ""}, repo, "other revisions"},
		{"ambiguous", map[string]string{"snapshots/" + a + "/config.json": "", "snapshots/" + a[:7] + b[:33] + "/config.json": ""}, repo + "@" + a[:7], "write more of it"},
		{"empty", nil, repo, "stargate models pull acme/tiny"},
	} {
		cache := Cache(t.TempDir())
		for path, text := range c.files {
			write(cache, path, text)
		}
		got, err := cache.Resolve(name(t, c.name))
		if len(c.want) == 40 && (err != nil || got.Commit != c.want) {
			t.Errorf("%s: %s, %v", c.what, got.Commit, err)
		} else if len(c.want) != 40 && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want an error with %q", c.what, err, c.want)
		}
	}
	if list, err := Cache(filepath.Join(t.TempDir(), "missing")).List(); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}
