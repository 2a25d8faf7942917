package temporaltest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stargate/ledger/pgtest"
)

// Variable is the path of the server's program, where it is not bin/temporal-dev.
const Variable = "STARGATE_TEMPORAL_DEV"

// ErrNotBuilt: the server's program is not there.
var ErrNotBuilt = errors.New("the Temporal server for tests is not built (make temporal-dev)")

// readyTime is how long a server may take to start on a machine that is busy.
const readyTime = 5 * time.Minute

// Options are a server's settings.
type Options struct {
	Postgres   *pgtest.Cluster   // keeps the state; nil: a SQLite file
	Namespace  string            // default "default"
	Attributes map[string]string // search attributes, by name: "Keyword", "Int", …
	IP         string            // to listen on; default 127.0.0.1
	NoUI       bool
}

// Server is a Temporal server.
type Server struct {
	options  Options
	program  string
	dir      string // of the SQLite file and the log
	database string
	port, ui int

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

// Program is the path of the server's program.
func Program() (string, error) {
	if path := os.Getenv(Variable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrNotBuilt, Variable, err)
		}
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for { // tests run in the folder of their package
		path := filepath.Join(dir, "bin", "temporal-dev")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", ErrNotBuilt
		}
		dir = parent
	}
}

// Start starts a server, which ends with the test.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	program, err := Program()
	if errors.Is(err, ErrNotBuilt) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{options: o, program: program, dir: tb.TempDir()}
	if s.database, err = o.database(s.dir); err != nil {
		tb.Fatal(err)
	}
	if s.port, s.ui, err = twoPorts(o.ip()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Kill(tb)
		if tb.Failed() {
			tb.Logf("the end of the Temporal server's log:\n%s", s.log())
		}
	})
	s.Restart(tb)
	return s
}

func (o Options) ip() string {
	if o.IP == "" {
		return "127.0.0.1"
	}
	return o.IP
}

var databases atomic.Int64

// database is the argument --db.
func (o Options) database(dir string) (string, error) {
	if o.Postgres == nil {
		return filepath.Join(dir, "temporal.db"), nil
	}
	u, err := url.Parse(o.Postgres.URL("public"))
	if err != nil {
		return "", err
	}
	u.Path = fmt.Sprintf("/temporal_%d_%d", os.Getpid(), databases.Add(1))
	q := u.Query()
	q.Del("search_path") // Temporal has databases, not schemas
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// twoPorts are free ports. They are chosen here so that a server comes back to its own.
func twoPorts(ip string) (a, b int, err error) {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			return 0, 0, err
		}
		defer l.Close() // only now: two listeners have two ports
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// Address is the server's, for clients.
func (s *Server) Address() string { return net.JoinHostPort(s.options.ip(), strconv.Itoa(s.port)) }

// Database is where the server keeps its state: a SQLite file, or the URL of a database.
func (s *Server) Database() string { return s.database }

// UI is the URL of the web UI.
func (s *Server) UI() string {
	return "http://" + net.JoinHostPort(s.options.ip(), strconv.Itoa(s.ui))
}

// Namespace is the one that was made.
func (s *Server) Namespace() string {
	if s.options.Namespace == "" {
		return "default"
	}
	return s.options.Namespace
}

func (s *Server) args() []string {
	args := []string{"--db", s.database, "--ip", s.options.ip(), "--port", strconv.Itoa(s.port), "--ui-port", strconv.Itoa(s.ui), "--namespace", s.Namespace()}
	var attributes []string
	for name, kind := range s.options.Attributes {
		attributes = append(attributes, name+"="+kind)
	}
	if slices.Sort(attributes); len(attributes) > 0 {
		args = append(args, "--search-attribute", strings.Join(attributes, ","))
	}
	if s.options.NoUI {
		args = append(args, "--no-ui")
	}
	return args
}

// Restart starts the server again if it does not run, and waits until it answers.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	if err := s.start(); err != nil {
		tb.Fatalf("start the Temporal server: %v\n%s", err, s.log())
	}
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return nil
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own handle
	cmd := exec.Command(s.program, s.args()...)
	cmd.Stderr, cmd.SysProcAttr = log, servant()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	started, ready, exited := make(chan error), make(chan bool, 1), make(chan struct{})
	go func() {
		// The server ends with the thread that started it, so that has to stay.
		runtime.LockOSThread()
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "ready ") {
				ready <- true
			}
		}
		_ = cmd.Wait() // how it ended is in its log
	}()
	if err := <-started; err != nil {
		return err
	}
	s.cmd, s.exited = cmd, exited
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-exited:
		s.cmd = nil
		return fmt.Errorf("it ended at once: %s", cmd.ProcessState)
	case <-ctx.Done():
		return fmt.Errorf("it was not ready after %s", readyTime)
	}
}

// Kill ends the server at once (kill -9).
func (s *Server) Kill(tb testing.TB) { s.end(tb, syscall.SIGKILL) }

// Stop ends the server as an administrator would.
func (s *Server) Stop(tb testing.TB) { s.end(tb, syscall.SIGTERM) }

func (s *Server) end(tb testing.TB, signal syscall.Signal) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Errorf("end the Temporal server: %v", err)
	}
	<-s.exited
	if signal == syscall.SIGTERM && !s.cmd.ProcessState.Success() {
		tb.Errorf("the Temporal server ended with %s", s.cmd.ProcessState)
	}
	s.cmd = nil
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

func (s *Server) log() []byte {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return []byte(err.Error())
	}
	b = bytes.TrimSpace(b)
	return b[max(0, len(b)-4000):]
}
