package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stargate/dataset/batch/batchtest"
	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/nano"
	"stargate/runner"
)

const fourFile = `
name: four
extends: nano
world: ""
roles:
  questioner: {url: %q, model: base, timeout: 4s}
  roleplayer: [{url: %q, model: other, timeout: 4s}]
  oracle: {url: %q, model: oracle, timeout: 4s, concurrency: 2, price: {input: 3, output: 15}}
  judge: [{url: %q, model: judge, timeout: 4s, concurrency: 2, price: {input: 10, output: 30}}]
trainer: {base: %q}
data:
  a: {tasks: 2, personas: 1}
  b: {tasks: 2, personas: 1}
  test: {tasks: 2, personas: 1}
algorithm:
  iterations: 2
  samples: 3
  max_turns: 2
  tune: {epochs: 1, held_out: 0, lora: {rank: 4, alpha: 8}}
evaluation:
  win_pairs: 2
`

// The paper's protocol at small size with four servers: two stargate serve with different
// models (one is Questioner and scorer, one the Roleplayer), an Oracle that makes the gold
// responses, and a judge. It ends the same when every fifth request fails, and when the run is
// killed (kill -9) while it makes golds, while it simulates and while it judges; then nothing
// is asked of a server again that the ledger has.
func TestFourServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	w := newFourServers(t)
	clean := w.dir + "/clean"
	w.run(t, clean)
	want := results(t, clean, w.weights)

	t.Run("faults", func(t *testing.T) {
		for _, g := range w.gateways {
			g.faults.Store(true)
			defer g.faults.Store(false)
		}
		w.run(t, w.dir+"/faulty")
		met := map[string]int{}
		for _, g := range w.gateways {
			for fault, n := range g.met {
				met[fault] += n
			}
		}
		t.Logf("faults met: %v", met)
		for _, fault := range faultNames {
			if met[fault] == 0 {
				t.Errorf("no request met the fault %q", fault)
			}
		}
		same(t, want, results(t, w.dir+"/faulty", w.weights))
	})

	t.Run("kills", func(t *testing.T) {
		dir := w.dir + "/killed"
		paid := []string{"oracle", "roleplayer", "judge"}
		before, lost := map[string]int64{}, map[string]int64{}
		for _, g := range w.gateways {
			g.forget()
		}
		for _, at := range []struct {
			role    string
			answers int64 // of the session
		}{{"oracle", 3}, {"roleplayer", 6}, {"judge", 1}, {"", 0}} {
			p := start(t, w.command(dir))
			kill := sync.OnceFunc(func() { p.Process.Kill() }) // that it was killed is seen below
			for _, role := range paid {
				w.gateways[role].begin(at.answers, func() {
					if role == at.role {
						kill()
					}
				})
			}
			if err := p.Wait(); (err == nil) != (at.role == "") || err != nil && p.ProcessState.Exited() {
				t.Fatalf("killed at answer %d of the %s: %v\n%s", at.answers, at.role, p.ProcessState, p.Stderr)
			}
			made := journaled(t, dir)
			for _, role := range paid {
				answered, kept := w.gateways[role].answered(), made[role]-before[role]
				if answered < kept || at.role == "" && answered > kept {
					t.Errorf("the %s answered %d times, %d answers are new in the ledger", role, answered, kept)
				}
				before[role], lost[role] = made[role], lost[role]+answered-kept
			}
		}
		for _, role := range paid {
			twice := 0
			for _, n := range w.gateways[role].asked {
				twice += n - 1
			}
			t.Logf("%s: %d answers, %d were under way in the kills, %d asked again", role, before[role], lost[role], twice)
			if int64(twice) > lost[role] {
				t.Errorf("the %s was asked %d things again, of which only %d were not in the ledger", role, twice, lost[role])
			}
		}
		if lost["oracle"] > 2*3 {
			t.Errorf("with 2 requests at once, %d answers of the oracle were lost in 3 kills", lost["oracle"])
		}
		same(t, want, results(t, dir, w.weights))
	})
}

// fourServers are the servers, the experiment and the data.
type fourServers struct {
	dir, weights string
	gateways     map[string]*gateway // by role
}

func newFourServers(t *testing.T) *fourServers {
	t.Helper()
	w := &fourServers{dir: t.TempDir(), gateways: map[string]*gateway{}}
	world, err := nano.Default()
	if err != nil {
		t.Fatal(err)
	}
	golds := writeWorld(t, world, w.dir+"/data")
	w.weights = w.dir + "/base"
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(w.weights, files); err != nil {
		t.Fatal(err)
	}
	otherModel(t, w.weights, w.dir+"/other")
	oracle := batchtest.New(func(s *batchtest.Server) { s.Answer = golds })
	t.Cleanup(oracle.Close)
	judge := batchtest.New(func(s *batchtest.Server) { s.Answer = preferLonger })
	t.Cleanup(judge.Close)
	for role, address := range map[string]string{
		"questioner": serveProcess(t, w.weights, "--lora-dir", w.dir),
		"roleplayer": serveProcess(t, w.dir+"/other"),
		"oracle":     oracle.URL,
		"judge":      judge.URL,
	} {
		w.gateways[role] = newGateway(t, address)
	}
	file := fmt.Appendf(nil, fourFile, w.gateways["questioner"].URL, w.gateways["roleplayer"].URL, w.gateways["oracle"].URL, w.gateways["judge"].URL, w.weights)
	if err := os.WriteFile(w.dir+"/four.yaml", file, 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *fourServers) command(out string) []string {
	return []string{"run", "--experiment", w.dir + "/four.yaml", "--data", w.dir + "/data", "--out", out}
}

func (w *fourServers) run(t *testing.T, out string) {
	t.Helper()
	if p := start(t, w.command(out)); p.Wait() != nil {
		t.Fatalf("%v\n%s", p.ProcessState, p.Stderr)
	}
}

// results are what a run is about: its report, and the conversations that it selected with the
// responses to them.
func results(t *testing.T, dir, weights string) map[string]string {
	t.Helper()
	out := map[string]string{}
	report, err := os.ReadFile(dir + "/report.json")
	if err != nil {
		t.Fatal(err)
	}
	out["report.json"] = string(report)
	for _, iteration := range []string{"1", "2"} {
		file := filepath.Join(t.TempDir(), "selected.jsonl")
		if p := start(t, []string{"export", dir, "--iteration", iteration, "--model", weights, "--out", file}); p.Wait() != nil {
			t.Fatalf("%v\n%s", p.ProcessState, p.Stderr)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(data, []byte("\n")) == 0 {
			t.Errorf("iteration %s has selected nothing", iteration)
		}
		out["conversations selected in iteration "+iteration] = string(data)
	}
	return out
}

func same(t *testing.T, want, got map[string]string) {
	t.Helper()
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s is not that of the run without trouble:\n%s\nbut\n%s", name, want[name], got[name])
		}
	}
}

// journaled is how many calls of each role the ledger of a run holds.
func journaled(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	m, err := runner.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(m.LedgerAt(dir), ledger.Identity{Name: m.Experiment.Name, Digest: m.Identity})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	totals, err := l.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]int64{}
	for _, total := range totals {
		made[total.Role] = total.Made
	}
	return made
}

// writeWorld writes tasks and personas of the built-in world as a user's own data, without
// golds. It gives an Oracle that knows them.
func writeWorld(t *testing.T, world *nano.World, dir string) func(body map[string]any) batchtest.Reply {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	type pair struct{ task, persona, gold string }
	var pairs []pair
	var tasks, personas strings.Builder
	for _, name := range []string{"A", "B", "test"} {
		split, err := world.Split(0, name, 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range split.Tasks {
			line(t, &tasks, map[string]string{"id": name + k.ID, "task": k.Text, "split": name})
			for _, u := range split.Personas {
				pairs = append(pairs, pair{k.Text, u.Text, world.Gold(k, u)})
			}
		}
		for _, u := range split.Personas {
			line(t, &personas, map[string]string{"id": name + u.ID, "name": u.Name, "persona": u.Text, "split": name})
		}
	}
	for name, text := range map[string]string{"tasks.jsonl": tasks.String(), "personas.jsonl": personas.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return func(body map[string]any) batchtest.Reply {
		said := fmt.Sprint(body["messages"])
		for _, p := range pairs {
			if strings.Contains(said, p.task) && strings.Contains(said, p.persona) {
				return batchtest.Reply{Text: p.gold}
			}
		}
		return batchtest.Reply{Text: "Hello."}
	}
}

// preferLonger is a judge that prefers the longer of two responses.
func preferLonger(body map[string]any) batchtest.Reply {
	_, both, _ := strings.Cut(fmt.Sprint(body["messages"]), "A: ")
	a, b, _ := strings.Cut(both, "B: ")
	if len(b) > len(a) {
		return batchtest.Reply{Text: "The second says more. Final Response: B"}
	}
	return batchtest.Reply{Text: "Both are polite. Final Response: A"}
}

// otherModel is the model of a directory with other weights: it has read one more sentence.
func otherModel(t *testing.T, dir, out string) {
	t.Helper()
	m, err := local.OpenDir(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h := lm.PaperHyper()
	h.HeldOut, h.LearningRate, h.Epochs = 0, 1e-4, 2
	tuned, _, err := m.Tune(t.Context(), "other", []lm.Example{{Key: "1", Loss: []int{1},
		Messages: lm.Chat{{Role: lm.User, Content: "My name is Ada."}, {Role: lm.Assistant, Content: "I like it small."}}}}, h)
	if err != nil {
		t.Fatal(err)
	}
	other := tuned.(*local.Model)
	defer other.Close()
	if err := other.Save(out); err != nil {
		t.Fatal(err)
	}
}

// serveProcess starts stargate serve and gives its address.
func serveProcess(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	p := exec.Command(program(t), append([]string{"serve", dir, "--addr", "127.0.0.1:0", "--log-level", "error"}, flags...)...)
	p.Args[0] = "stargate"
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Process.Kill() // it may have ended
		p.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimSpace(address), "/v1")
}

// gateway stands before a server: it counts what is answered, and lets requests fail.
type gateway struct {
	*httptest.Server
	faults atomic.Bool

	mu       sync.Mutex
	attempts map[uint64]int // of a request
	met      map[string]int // faults
	asked    map[string]int // requests that were answered, but for probes, by their body
	n        int64          // answers of the session
	at       int64          // after so many, calls hook
	hook     func()
}

// faultNames with the share of requests that meet each, in a thousand: every fifth in all.
var faultNames = []string{"429", "500", "cut", "garbage", "empty", "hung"}
var faultShares = []uint64{60, 60, 40, 20, 15, 5}

func newGateway(t *testing.T, address string) *gateway {
	t.Helper()
	behind, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{attempts: map[uint64]int{}, met: map[string]int{}, asked: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // of clients that were killed
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the run was killed
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		fault := g.next(r, body)
		switch fault {
		case "429":
			http.Error(w, `{"error": {"message": "slow down"}}`, http.StatusTooManyRequests)
			return
		case "500":
			http.Error(w, `{"error": {"message": "CUDA error"}}`, http.StatusInternalServerError)
			return
		case "garbage":
			fmt.Fprint(w, "<html>bad gateway</html>")
			return
		case "hung":
			<-r.Context().Done()
			return
		}
		rec := httptest.NewRecorder()
		proxy.ServeHTTP(rec, r)
		answer := rec.Body.Bytes()
		if fault == "empty" {
			answer = withoutText(r.URL.Path, answer)
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.WriteHeader(rec.Code)
		if fault == "cut" {
			w.Write(answer[:len(answer)/2])
			http.NewResponseController(w).Flush() // so that this half arrives
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(answer); err != nil || rec.Code != http.StatusOK || fault != "" {
			return
		}
		g.count(r, body)
	}))
	t.Cleanup(g.Close)
	return g
}

// next is the fault of a request's next attempt, "" for none.
func (g *gateway) next(r *http.Request, body []byte) string {
	if !g.faults.Load() {
		return ""
	}
	h := fnv.New64a()
	io.WriteString(h, r.URL.Path) // a hash takes everything
	h.Write(body)
	name := h.Sum64()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attempts[name]++
	fmt.Fprint(h, g.attempts[name])
	u := h.Sum64() % 1000
	for i, share := range faultShares {
		if u < share {
			g.met[faultNames[i]]++
			return faultNames[i]
		}
		u -= share
	}
	return ""
}

// withoutText is an answer in which nothing was said.
func withoutText(path string, answer []byte) []byte {
	var a map[string]any
	if !strings.HasSuffix(path, "/chat/completions") || json.Unmarshal(answer, &a) != nil || a["choices"] == nil {
		return nil
	}
	x := a["choices"].([]any)[0].(map[string]any)
	x["message"].(map[string]any)["content"], x["finish_reason"], x["token_ids"] = "", "stop", nil
	a["usage"].(map[string]any)["completion_tokens"] = 0
	out, err := json.Marshal(a)
	if err != nil {
		panic(err) // it came from JSON
	}
	return out
}

// count notes an answer to a generation that is not the probe of a run that begins.
func (g *gateway) count(r *http.Request, body []byte) {
	if !strings.HasSuffix(r.URL.Path, "/chat/completions") || bytes.Contains(body, []byte("Say hello.")) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[string(body)]++
	if g.n++; g.n == g.at {
		g.hook()
	}
}

func (g *gateway) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.asked)
}

// begin begins a session: after so many answers hook is called.
func (g *gateway) begin(at int64, hook func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n, g.at, g.hook = 0, at, hook
}

func (g *gateway) answered() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}
