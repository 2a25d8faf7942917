package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stargate/hub/hubtest"
)

const repo = "acme/tiny"

// hasty is patience for tests.
var hasty = patience{tries: 4, first: time.Millisecond, longest: 5 * time.Millisecond, asked: 5 * time.Second, stall: 5 * time.Second}

// noise is n bytes that no two files share.
func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// whole is a model in one file, with what else a repository may hold.
func whole() map[string][]byte {
	return map[string][]byte{
		"config.json":              []byte(`{"model_type":"llama"}`),
		"generation_config.json":   []byte(`{}`),
		"tokenizer.json":           noise(20_000, 1),
		"tokenizer_config.json":    []byte(`{"bos_token":"<s>"}`),
		"chat_template.jinja":      []byte(`{{ messages }}`),
		"model.safetensors":        noise(700_000, 2),
		"consolidated.safetensors": noise(1000, 3),
		"pytorch_model.bin":        noise(1000, 4),
		"README.md":                []byte("# tiny"),
		"onnx/config.json":         []byte(`{}`),
		"original/tokenizer.model": noise(100, 5),
	}
}

// sharded is a model in two files.
func sharded() map[string][]byte {
	return map[string][]byte{
		"config.json":                      []byte(`{"model_type":"llama"}`),
		"tokenizer.json":                   noise(20_000, 1),
		"tokenizer_config.json":            []byte(`{}`),
		"model.safetensors.index.json":     []byte(`{"metadata":{},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors","c":"model-00001-of-00002.safetensors"}}`),
		"model-00001-of-00002.safetensors": noise(300_000, 6),
		"model-00002-of-00002.safetensors": noise(200_000, 7),
		"consolidated.safetensors":         noise(500_000, 8),
	}
}

func serve(t *testing.T) *hubtest.Server {
	t.Helper()
	s := hubtest.New()
	t.Cleanup(s.Close)
	return s
}

func options(t *testing.T, s *hubtest.Server) Options {
	t.Helper()
	return Options{Settings: Settings{Endpoint: s.URL, Cache: Cache(t.TempDir())}, patience: hasty}
}

func name(t *testing.T, s string) Name {
	t.Helper()
	n, err := ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// same checks that a snapshot has these files of a repository, and no others.
func same(t *testing.T, dir string, files map[string][]byte, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, files[e.Name()]) {
			t.Errorf("%s has other bytes than the Hub", e.Name())
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

var wholeNames = []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"}

func TestPull(t *testing.T) {
	s := serve(t)
	id := s.Add(repo, "main", whole())
	o := options(t, s)
	var last Event
	o.Observe = func(e Event) { last = e }
	got, err := Pull(t.Context(), name(t, repo), o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Commit != id || got.Dir != filepath.Join(string(o.Cache), "models--acme--tiny", "snapshots", id) {
		t.Errorf("snapshot %+v, want commit %s", got, id)
	}
	same(t, got.Dir, whole(), wholeNames...)
	if last.Done != last.Total || last.Done < 720_000 || last.Kept != 0 {
		t.Errorf("last event %+v", last)
	}
	target, err := os.Readlink(filepath.Join(got.Dir, "model.safetensors"))
	if want := filepath.Join("..", "..", "blobs", hubtest.SHA256(whole()["model.safetensors"])); err != nil || target != want {
		t.Errorf("link to %q, %v; want %q", target, err, want)
	}
	target, err = os.Readlink(filepath.Join(got.Dir, "config.json"))
	if want := filepath.Join("..", "..", "blobs", hubtest.GitBlob(whole()["config.json"])); err != nil || target != want {
		t.Errorf("link to %q, %v; want %q", target, err, want)
	}
	ref, err := os.ReadFile(filepath.Join(string(o.Cache), "models--acme--tiny", "refs", "main"))
	if err != nil || string(ref) != id {
		t.Errorf("refs/main is %q, %v; want %q", ref, err, id)
	}
	found, err := o.Cache.Resolve(name(t, repo))
	if err != nil || found.Dir != got.Dir {
		t.Errorf("Resolve gives %q, %v", found.Dir, err)
	}

	// A second pull asks what there is, and for nothing more.
	before := len(s.Requests())
	if _, err := Pull(t.Context(), name(t, repo), o); err != nil {
		t.Fatal(err)
	}
	if more := s.Requests()[before:]; len(more) != 1 || last.Kept != last.Total {
		t.Errorf("asked for %v, kept %d of %d", more, last.Kept, last.Total)
	}
}

func TestPullSharded(t *testing.T) {
	s := serve(t)
	s.Add(repo, "main", sharded())
	got, err := Pull(t.Context(), name(t, repo), options(t, s))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Dir, sharded(), "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json",
		"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
}

// A list without sizes and checksums leaves the ETags to tell them.
func TestPullFromBareList(t *testing.T) {
	s := serve(t)
	s.Bare = true
	s.Add(repo, "main", whole())
	got, err := Pull(t.Context(), name(t, repo), options(t, s))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Dir, whole(), wholeNames...)
}

// Revisions are pinned: a branch that moves on makes a new snapshot that shares blobs, and
// the old one stays.
func TestRevisions(t *testing.T) {
	s := serve(t)
	o := options(t, s)
	first := s.Add(repo, "main", whole())
	if _, err := Pull(t.Context(), name(t, repo), o); err != nil {
		t.Fatal(err)
	}
	files := whole()
	files["config.json"] = []byte(`{"model_type":"llama","v":2}`)
	second := s.Add(repo, "main", files)
	s.Add(repo, "refs/pr/1", files)
	before := len(s.Requests())
	got, err := Pull(t.Context(), name(t, repo), o)
	if err != nil || got.Commit != second {
		t.Fatal(got, err)
	}
	same(t, got.Dir, files, wholeNames...)
	for _, r := range s.Requests()[before:] {
		if strings.HasPrefix(r, "GET /cdn/") {
			t.Errorf("a blob that was there is asked for: %s", r)
		}
	}
	for _, c := range []struct{ name, commit string }{
		{repo, second}, {repo + "@main", second}, {repo + "@" + first, first}, {repo + "@" + first[:8], first},
	} {
		if got, err := o.Cache.Resolve(name(t, c.name)); err != nil || got.Commit != c.commit {
			t.Errorf("%s is %s, %v; want %s", c.name, got.Commit, err, c.commit)
		}
	}
	if _, err := o.Cache.Resolve(name(t, repo+"@refs/pr/1")); !errors.Is(err, ErrNotCached) {
		t.Errorf("a revision that was not pulled: %v", err)
	}
	for _, c := range []struct{ name, commit string }{{repo + "@refs/pr/1", second}, {repo + "@" + first, first}} {
		if got, err := Pull(t.Context(), name(t, c.name), o); err != nil || got.Commit != c.commit {
			t.Errorf("%s is %s, %v; want %s", c.name, got.Commit, err, c.commit)
		}
	}
	if got, err := o.Cache.Resolve(name(t, repo+"@refs/pr/1")); err != nil || got.Commit != second {
		t.Error(got, err)
	}
	list, err := o.Cache.List()
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for _, x := range list {
		want := map[string][]string{first: nil, second: {"main", "refs/pr/1"}}[x.Commit]
		if diff := cmp.Diff(want, x.Revisions); diff != "" || x.Missing != "" || x.Bytes < 720_000 {
			t.Errorf("%+v: %s", x, diff)
		}
	}
}

// ranges are the requests for a file's bytes that began in the middle.
func ranges(s *hubtest.Server, file string) (whole, later int) {
	for _, r := range s.Requests() {
		if strings.HasPrefix(r, "GET /cdn/") && strings.Contains(r, file) {
			if strings.Contains(r, "bytes=") {
				later++
			} else {
				whole++
			}
		}
	}
	return whole, later
}

func TestCutConnectionsAreContinued(t *testing.T) {
	s := serve(t)
	s.Add(repo, "main", whole())
	data := whole()["model.safetensors"]
	var cuts atomic.Int32
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if !hubtest.IsContent(r, "model.safetensors") || cuts.Add(1) > 8 { // more often than it may fail without a byte
			return false
		}
		var from int
		if v := r.Header.Get("Range"); v != "" {
			if _, err := fmt.Sscanf(v, "bytes=%d-", &from); err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
			w.Header().Set("Content-Length", fmt.Sprint(len(data)-from))
			w.WriteHeader(http.StatusPartialContent)
		}
		hubtest.Cut(w, data[from:], 50_000)
		return true
	}
	got, err := Pull(t.Context(), name(t, repo), options(t, s))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Dir, whole(), wholeNames...)
	if fresh, later := ranges(s, "model.safetensors"); fresh != 1 || later != 8 {
		t.Errorf("%d requests for the whole file, %d for the rest; want 1 and 8", fresh, later)
	}
}

// An interrupted pull keeps what it has, is not taken for a model, and goes on where it was.
func TestInterruptedPullGoesOn(t *testing.T) {
	s := serve(t)
	s.Add(repo, "main", whole())
	data := whole()["model.safetensors"]
	ctx, interrupt := context.WithCancel(t.Context())
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if ctx.Err() != nil || !hubtest.IsContent(r, "model.safetensors") {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		if _, err := w.Write(data[:400_000]); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
		return true
	}
	o := options(t, s)
	o.Observe = func(e Event) {
		if e.Done > 350_000 {
			interrupt()
		}
	}
	n := name(t, repo)
	if _, err := Pull(ctx, n, o); !errors.Is(err, context.Canceled) {
		t.Fatal("interrupted pull:", err)
	}
	part, err := os.Stat(o.Cache.incomplete(repo, hubtest.SHA256(data)))
	if err != nil || part.Size() < 200_000 {
		t.Fatal("nothing was kept:", err)
	}
	if _, err := o.Cache.Resolve(n); !errors.Is(err, ErrNotCached) {
		t.Error("an interrupted pull is taken for a model:", err)
	}
	id := s.Add(repo, "main", whole())
	if _, err := o.Cache.Resolve(name(t, repo+"@"+id)); !errors.Is(err, ErrNotCached) || !strings.Contains(err.Error(), "model.safetensors is missing") {
		t.Error("a snapshot without weights is taken for a model:", err)
	}
	var last Event
	o.Observe = func(e Event) { last = e }
	got, err := Pull(t.Context(), n, o)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Dir, whole(), wholeNames...)
	if _, later := ranges(s, "model.safetensors"); later != 1 {
		t.Errorf("%d requests for the rest, want 1", later)
	}
	if last.Kept < part.Size() || last.Done != last.Total {
		t.Errorf("last event %+v, with %d bytes from before", last, part.Size())
	}
}

func TestDamage(t *testing.T) {
	bad := noise(700_000, 99)
	for _, c := range []struct {
		name string
		left []byte // an incomplete file of before
		bad  int32  // answers with other bytes
		fine bool
	}{
		{name: "once", bad: 1, fine: true},
		{name: "always", bad: 1000},
		{name: "left by another", left: bad[:100_000], fine: true},
		{name: "left longer than the whole", left: append(bad, 1), fine: true},
		{name: "left complete", left: whole()["model.safetensors"], fine: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			s.Add(repo, "main", whole())
			var n atomic.Int32
			s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if !hubtest.IsContent(r, "model.safetensors") || n.Add(1) > c.bad {
					return false
				}
				if _, err := w.Write(bad); err != nil {
					t.Error(err)
				}
				return true
			}
			o := options(t, s)
			sum := hubtest.SHA256(whole()["model.safetensors"])
			if c.left != nil {
				if err := os.MkdirAll(filepath.Dir(o.Cache.blob(repo, sum)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(o.Cache.incomplete(repo, sum), c.left, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var last Event
			o.Observe = func(e Event) { last = e }
			got, err := Pull(t.Context(), name(t, repo), o)
			if c.fine {
				if err != nil {
					t.Fatal(err)
				}
				same(t, got.Dir, whole(), wholeNames...)
				if last.Done != last.Total {
					t.Errorf("last event %+v", last)
				}
				return
			}
			if !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), sum) || n.Load() != 2 {
				t.Errorf("after %d answers: %v", n.Load(), err)
			}
			for _, path := range []string{o.Cache.blob(repo, sum), o.Cache.incomplete(repo, sum)} {
				if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v; want it gone", path, err)
				}
			}
		})
	}
}

// A file that changes between two tries is begun anew: no bytes of both are mixed.
func TestChangedBetweenTries(t *testing.T) {
	s := serve(t)
	s.Bare = true
	id := s.Add(repo, "main", whole())
	old := noise(700_000, 50)
	var changed atomic.Bool
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if changed.Load() || !strings.HasSuffix(r.URL.Path, "/model.safetensors") {
			return false
		}
		if r.Method == http.MethodHead {
			w.Header().Set("X-Repo-Commit", id)
			w.Header().Set("ETag", hubtest.SHA256(old))
			w.Header().Set("Content-Length", fmt.Sprint(len(old)))
			return true
		}
		changed.Store(true)
		hubtest.Cut(w, old, 300_000)
		return true
	}
	o := options(t, s)
	got, err := Pull(t.Context(), name(t, repo), o)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Dir, whole(), wholeNames...)
	if fresh, later := ranges(s, "model.safetensors"); fresh != 1 || later != 0 {
		t.Errorf("%d requests for the whole file, %d for the rest; want 1 and 0", fresh, later)
	}
}

// Servers answer ranges as they like.
func TestRanges(t *testing.T) {
	data := whole()["model.safetensors"]
	for what, answer := range map[string]func(w http.ResponseWriter){
		"ignored": func(w http.ResponseWriter) { _, _ = w.Write(data) },
		"refused": func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) },
		"another": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 7-%d/%d", len(data)-1, len(data)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[7:])
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := serve(t)
			s.Add(repo, "main", whole())
			s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if !hubtest.IsContent(r, "model.safetensors") || r.Header.Get("Range") == "" {
					return false
				}
				answer(w)
				return true
			}
			o := options(t, s)
			sum := hubtest.SHA256(data)
			if err := os.MkdirAll(filepath.Dir(o.Cache.blob(repo, sum)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(o.Cache.incomplete(repo, sum), data[:1000], 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := Pull(t.Context(), name(t, repo), o)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got.Dir, whole(), wholeNames...)
		})
	}
}

func TestServersThatFail(t *testing.T) {
	status := func(code, times int, header ...string) func(http.ResponseWriter, *http.Request) bool {
		var n atomic.Int32
		return func(w http.ResponseWriter, r *http.Request) bool {
			if int(n.Add(1)) > times {
				return false
			}
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			return true
		}
	}
	for _, c := range []struct {
		name  string
		fail  func(http.ResponseWriter, *http.Request) bool
		least time.Duration
		want  []string // of the error; none: it works in the end
	}{
		{name: "500 now and then", fail: status(500, 3)},
		{name: "503 always", fail: status(503, 1000), want: []string{"503", "4 times", "repeat the command"}},
		{name: "429", fail: status(429, 1, "Retry-After", "1"), least: time.Second},
		{name: "429 for long", fail: status(429, 1, "Retry-After", "3600"), want: []string{"429", "1h0m0s"}},
		{name: "cut", fail: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, want: []string{"connection was cut", "4 times"}},
		{name: "no Hub", fail: func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = fmt.Fprint(w, "<html>log in to the hotel's network</html>")
			return true
		}, want: []string{"HF_ENDPOINT", "proxy"}},
		{name: "redirects without end", fail: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return true
		}, want: []string{"redirects more than"}},
		{name: "expired address", fail: func() func(http.ResponseWriter, *http.Request) bool {
			refused := status(403, 1)
			return func(w http.ResponseWriter, r *http.Request) bool {
				return hubtest.IsContent(r, "model.safetensors") && refused(w, r)
			}
		}()},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			s.Add(repo, "main", whole())
			s.Intercept = c.fail
			began := time.Now()
			_, err := Pull(t.Context(), name(t, repo), options(t, s))
			if took := time.Since(began); took < c.least {
				t.Errorf("done after %v, before the server asked for", took)
			}
			explains(t, err, c.want...)
		})
	}
}

// explains checks an error's text, or that there is no error.
func explains(t *testing.T, err error, words ...string) {
	t.Helper()
	if len(words) == 0 {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil {
		t.Fatalf("no error; want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows a signature or token: %v", err)
	}
}

func TestSilentServer(t *testing.T) {
	s := serve(t)
	s.Add(repo, "main", whole())
	var once atomic.Bool
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if !hubtest.IsContent(r, "model.safetensors") || once.Swap(true) {
			return false
		}
		w.Header().Set("Content-Length", "700000")
		_, _ = w.Write(whole()["model.safetensors"][:1000])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
	o := options(t, s)
	o.patience.stall = 50 * time.Millisecond
	if _, err := Pull(t.Context(), name(t, repo), o); err != nil {
		t.Fatal(err)
	}
	if _, later := ranges(s, "model.safetensors"); later != 1 {
		t.Errorf("%d requests for the rest, want 1", later)
	}
}

func TestAccess(t *testing.T) {
	for _, c := range []struct {
		name, repo, token string
		gated             bool
		is                error
		want              []string
	}{
		{name: "gated, no token", repo: repo, gated: true, is: ErrNoAccess, want: []string{"accept the conditions", "/acme/tiny", "HF_TOKEN", "/settings/tokens"}},
		{name: "gated, wrong token", repo: repo, gated: true, token: "secret-2", is: ErrNoAccess, want: []string{"not accepted", "HF_TOKEN"}},
		{name: "gated", repo: repo, gated: true, token: "secret-1"},
		{name: "open, with a token", repo: repo, token: "secret-1"},
		{name: "missing", repo: "acme/tinny", is: ErrNoAccess, want: []string{"acme/tinny", "does not exist, or it is private or gated", "HF_TOKEN"}},
		{name: "missing, with a token", repo: "acme/tinny", token: "secret-1", is: ErrNotFound, want: []string{"acme/tinny", "check the name"}},
		{name: "no such revision", repo: repo + "@v9", is: ErrNotFound, want: []string{`no revision "v9"`, "/acme/tiny/commits/main"}},
		{name: "pickled", repo: "acme/old", is: ErrNoWeights, want: []string{"pytorch_model.bin", "safetensors"}},
		{name: "no model", repo: "acme/data", is: ErrNoWeights, want: []string{"config.json"}},
		{name: "shard missing", repo: "acme/torn", is: ErrNoWeights, want: []string{"model-00002-of-00002.safetensors"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			s.Token, s.Gated = "secret-1", c.gated
			s.Add(repo, "main", whole())
			s.Add("acme/old", "main", map[string][]byte{"config.json": {'{', '}'}, "pytorch_model.bin": {1}})
			s.Add("acme/data", "main", map[string][]byte{"train.csv": {1}})
			torn := sharded()
			delete(torn, "model-00002-of-00002.safetensors")
			s.Add("acme/torn", "main", torn)
			o := options(t, s)
			o.Token = c.token
			_, err := Pull(t.Context(), name(t, c.repo), o)
			if !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
			explains(t, err, c.want...)
		})
	}
}

// What a server says becomes no path outside the cache.
func TestHostileServer(t *testing.T) {
	for _, c := range []struct {
		name string
		list string
		head map[string]string
		want string
	}{
		{name: "commit", list: `{"sha":"../../evil","siblings":[]}`, want: "HF_ENDPOINT"},
		{name: "file", list: `{"sha":"` + strings.Repeat("a", 40) + `","siblings":[{"rfilename":"config.json"},{"rfilename":"../chat_template.x"},{"rfilename":"model.safetensors.index.json"}]}`,
			head: map[string]string{"ETag": strings.Repeat("b", 40)}, want: "model.safetensors.index.json"},
		{name: "etag", list: `{"sha":"` + strings.Repeat("a", 40) + `","siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]}`,
			head: map[string]string{"ETag": "../../evil"}, want: "no usable ETag"},
		{name: "etag without checksum", list: `{"sha":"` + strings.Repeat("a", 40) + `","siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]}`,
			head: map[string]string{"ETag": `"5-abc"`}, want: "no checksum"},
		{name: "other commit", list: `{"sha":"` + strings.Repeat("a", 40) + `","siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]}`,
			head: map[string]string{"X-Repo-Commit": strings.Repeat("c", 40)}, want: strings.Repeat("c", 40)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/api/") {
					_, _ = fmt.Fprint(w, c.list)
					return true
				}
				w.Header().Set("X-Repo-Commit", strings.Repeat("a", 40))
				for k, v := range c.head {
					w.Header().Set(k, v)
				}
				w.Header().Set("Content-Length", "2")
				if r.Method == http.MethodGet {
					_, _ = w.Write([]byte("{}"))
				}
				return true
			}
			o := options(t, s)
			root := t.TempDir()
			o.Cache = Cache(filepath.Join(root, "cache"))
			_, err := Pull(t.Context(), name(t, repo), o)
			if err == nil || (c.name != "file" && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
			entries, err := os.ReadDir(root)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Name() != "cache" {
					t.Errorf("%s was written outside of the cache", e.Name())
				}
			}
		})
	}
}

// Pulls of the same model at the same time download it once.
func TestConcurrentPulls(t *testing.T) {
	s := serve(t)
	s.Add(repo, "main", whole())
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if hubtest.IsContent(r, "model.safetensors") {
			time.Sleep(50 * time.Millisecond)
		}
		return false
	}
	o := options(t, s)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := Pull(t.Context(), name(t, repo), o)
			if err != nil {
				t.Error(err)
				return
			}
			same(t, got.Dir, whole(), wholeNames...)
		})
	}
	wg.Wait()
	if fresh, later := ranges(s, "model.safetensors"); fresh != 1 || later != 0 {
		t.Errorf("%d downloads of the whole file and %d of a part, want 1 and 0", fresh, later)
	}
}

// Waiting for a lock ends with the command.
func TestLockedElsewhere(t *testing.T) {
	s := serve(t)
	s.Add(repo, "main", whole())
	o := options(t, s)
	unlock, err := lock(t.Context(), o.Cache.lockFile(repo, hubtest.SHA256(whole()["model.safetensors"])), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Pull(ctx, name(t, repo), o); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("a locked file was written:", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), name(t, repo), o); err != nil {
		t.Error(err)
	}
}

func TestOffline(t *testing.T) {
	s := serve(t)
	id := s.Add(repo, "main", whole())
	o := options(t, s)
	o.Offline = true
	_, err := Pull(t.Context(), name(t, repo), o)
	if !errors.Is(err, ErrNotCached) {
		t.Error("nothing is there:", err)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests while offline", n)
	}
	o.Offline = false
	if _, err := Pull(t.Context(), name(t, repo), o); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Pull(t.Context(), name(t, repo), o); !errors.Is(err, ErrUnreached) || !strings.Contains(err.Error(), "--offline") {
		t.Error("no server:", err)
	}
	o.Offline = true
	if got, err := Pull(t.Context(), name(t, repo), o); err != nil || got.Commit != id {
		t.Error(got, err)
	}
}

// The disk's room is checked before hours of downloading.
func TestRoom(t *testing.T) {
	s := serve(t)
	s.Add(repo, "main", whole())
	o := options(t, s)
	o.free = func(string) (int64, bool) { return 500_000, true }
	_, err := Pull(t.Context(), name(t, repo), o)
	if !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	explains(t, err, "720 kB", "500 kB", "HF_HUB_CACHE")
	if fresh, _ := ranges(s, "model.safetensors"); fresh != 0 {
		t.Error("it was downloaded all the same")
	}
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	s := serve(t)
	s.Add(repo, "main", whole())
	o := options(t, s)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	o.Cache = Cache(filepath.Join(file, "cache"))
	_, err := Pull(t.Context(), name(t, repo), o)
	if runtime.GOOS != "windows" && !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	explains(t, err, file)
}
