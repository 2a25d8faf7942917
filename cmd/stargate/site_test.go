package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"stargate/internal/temporaltest"
	"stargate/ledger/pgtest"
)

// site is what a run on several machines needs: a database, an object store, a Temporal
// server, and a user who is asked over HTTP and counts what he is asked.
type site struct {
	postgres *pgtest.Cluster
	temporal *temporaltest.Server // nil for embedded runs
	link     *temporaltest.Link   // the workers' way to it
	ledger   string
	store    string
	user     *askedUser
	file     string // of the experiment

	move  func(*exec.Cmd) error // puts the first worker on another host; may be nil
	shard string                // pairs in a shard; "": the command's choice
}

// newSite makes a site, whose services end with the test.
func newSite(t *testing.T, onCluster bool) *site { return newSiteAt(t, onCluster, "127.0.0.1") }

// newSiteAt makes a site whose services are found at an address of this host.
func newSiteAt(t *testing.T, onCluster bool, ip string) *site {
	t.Helper()
	s := &site{postgres: pgtest.Start(t), store: newBucket(t, ip), user: newUser(t, ip)}
	if onCluster {
		s.temporal = temporaltest.Start(t, temporaltest.Options{IP: ip})
		s.link = temporaltest.NewLink(t, s.temporal.Address())
	}
	address, _, _ := strings.Cut(s.postgres.URL(""), "&search_path=")
	s.ledger = address + "&stargate_lease=2s" // so that others soon do what a frozen process does not
	tiny, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.file = filepath.Join(t.TempDir(), "tiny.yaml")
	text := string(tiny) + fmt.Sprintf("roles: {roleplayer: [{url: %q, model: user}]}\n", s.user.url)
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// newBucket is the address of an empty bucket of an S3 server in this process.
func newBucket(t *testing.T, ip string) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("runs"); err != nil {
		t.Fatal(err)
	}
	return "s3://runs?region=us-east-1&use_path_style=true&endpoint=" + serveAt(t, ip, gofakes3.New(backend).Server())
}

// serveAt serves HTTP at a free port of ip.
func serveAt(t *testing.T, ip string, h http.Handler) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// askedUser is a Roleplayer behind an OpenAI-compatible server. It says something else to
// everything else, and counts how often it was asked what.
type askedUser struct {
	url   string
	mu    sync.Mutex
	asked map[uint64]int
}

func newUser(t *testing.T, ip string) *askedUser {
	t.Helper()
	u := &askedUser{asked: make(map[uint64]int)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"user","object":"model"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			return // who asked is gone
		}
		h := fnv.New64a()
		h.Write(body.Bytes())
		key := h.Sum64()
		if len(body.Bytes()) > 600 { // else it is the question of a client that opens
			u.mu.Lock()
			u.asked[key]++
			u.mu.Unlock()
		}
		kinds := []string{"I like it quiet.", "My children come along.", "I have little money to spend.", "It has to be near the sea."}
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "1", "object": "chat.completion", "model": "user",
			"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]string{"role": "assistant", "content": kinds[key%uint64(len(kinds))]}}},
			"usage":   map[string]int{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
	})
	u.url = serveAt(t, ip, mux)
	return u
}

// forget begins to count anew.
func (u *askedUser) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.asked)
}

// count is how many questions there were, and how often one was asked again.
func (u *askedUser) count() (questions, again int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range u.asked {
		again += n - 1
	}
	return len(u.asked), again
}

// hand is a process of the program that does work and is started again when it was killed.
type hand struct {
	path string
	args []string
	move func(*exec.Cmd) error // to another host; may be nil

	mu     sync.Mutex
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	exited chan struct{}
}

func (h *hand) start(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stderr, h.exited = new(bytes.Buffer), make(chan struct{})
	h.cmd = exec.Command(h.path, h.args...)
	h.cmd.Args[0] = "stargate" // TestMain's testscript.Main goes by the name
	h.cmd.Stderr = h.stderr
	h.cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret")
	if h.move != nil {
		if err := h.move(h.cmd); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // how it ended is asked of its state
		close(exited)
	}(h.cmd, h.exited)
}

// signal sends a signal, unless the process has ended.
func (h *hand) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.exited:
	default:
		if err := h.cmd.Process.Signal(s); err != nil && err != os.ErrProcessDone {
			t.Errorf("signal %s: %v", s, err)
		}
	}
}

// kill ends the process at once, and waits for that.
func (h *hand) kill(t *testing.T) {
	t.Helper()
	h.signal(t, syscall.SIGKILL)
	<-h.exited
}

// ended tells whether the process has ended, and whether well.
func (h *hand) ended() (over, well bool) {
	select {
	case <-h.exited:
		return true, h.cmd.ProcessState.Success()
	default:
		return false, false
	}
}

// performance is one run under way.
type performance struct {
	site  *site
	dir   string  // gets the report
	mains []*hand // over when all of them are
	hands []*hand // who do the work: the mains themselves, or workers
}

// perform begins a run: embedded twice at a time, as on two machines that share a ledger, or on a
// cluster of three workers.
func (s *site) perform(t *testing.T, name string) *performance {
	t.Helper()
	p := &performance{site: s, dir: filepath.Join(t.TempDir(), name)}
	shared := []string{"--ledger", s.ledger, "--store", s.store, "--workers", "1"}
	run := []string{"run", "--experiment", s.file, "--out", p.dir}
	h := func(args ...[]string) *hand {
		one := &hand{path: program(t)}
		for _, a := range args {
			one.args = append(one.args, a...)
		}
		return one
	}
	if s.temporal == nil {
		other := []string{"run", "--experiment", s.file, "--out", filepath.Join(t.TempDir(), name)}
		p.hands = []*hand{h(run, shared), h(other, shared)}
		p.mains = p.hands
	} else {
		p.mains = []*hand{h(run, shared, []string{"--cluster", "--patience", "10s", "--temporal", s.temporal.Address()})}
		if s.shard != "" {
			p.mains[0].args = append(p.mains[0].args, "--shard", s.shard)
		}
		at := s.link.Address()
		if s.move != nil {
			at = s.temporal.Address() // another host does not reach the link
		}
		for range 3 {
			p.hands = append(p.hands, h([]string{"worker", "--temporal", at, "--work", t.TempDir(), "--grace", "2s"}, shared))
		}
		p.hands[0].move = s.move
	}
	t.Cleanup(func() { p.end(t) })
	for _, one := range p.all() {
		one.start(t)
	}
	return p
}

func (p *performance) all() []*hand {
	if p.site.temporal == nil {
		return p.hands
	}
	return append(append([]*hand(nil), p.hands...), p.mains...)
}

// end ends what is left.
func (p *performance) end(t *testing.T) {
	for _, one := range p.all() {
		one.kill(t)
	}
}

// over tells whether the run is finished. A process that ended though nobody killed it is
// started again, as a person or a system would, if something was struck that it needs.
func (p *performance) over(t *testing.T, struck bool) bool {
	t.Helper()
	done := true
	for _, m := range p.mains {
		over, well := m.ended()
		if over && !well {
			if !struck {
				t.Fatalf("it ended with %s: %s", m.cmd.ProcessState, m.stderr)
			}
			m.start(t)
			over = false
		}
		done = done && over
	}
	if p.site.temporal == nil {
		return done
	}
	for _, w := range p.hands {
		if over, _ := w.ended(); over && !done {
			if !struck {
				t.Fatalf("a worker ended with %s: %s", w.cmd.ProcessState, w.stderr)
			}
			w.start(t)
		}
	}
	return done
}

// await waits until the run is finished.
func (p *performance) await(t *testing.T, struck bool) {
	t.Helper()
	for !p.over(t, struck) {
		time.Sleep(20 * time.Millisecond)
	}
}
