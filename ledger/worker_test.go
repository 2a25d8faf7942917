package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/lm"
)

// holdChild makes one call, which ends when a line comes in.
func holdChild(path string) error {
	l, err := ledger.Open(path, run)
	if err != nil {
		return err
	}
	c, err := l.Generator("questioner", "w0", generatorFunc(func(context.Context) (lm.Completion, error) {
		fmt.Println("made")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return lm.Completion{Text: line}, err
	})).Generate(context.Background(), ask("a"), lm.Sampling{})
	if err != nil {
		return err
	}
	fmt.Println("given", c.Text)
	return l.Close()
}

// worker is a child process and what it has printed so far.
type worker struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	killed bool
	made   map[string]bool
	given  map[string]bool
	lines  chan string // what it prints, for tests that follow it
	done   chan error
}

func startWorker(t testing.TB, address string, env ...string) *worker {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	w := &worker{cmd: exec.Command(self), made: map[string]bool{}, given: map[string]bool{}, lines: make(chan string, 1<<16), done: make(chan error, 1)}
	w.cmd.Env = append(append(os.Environ(), childVariable+"="+address), env...)
	var complaints bytes.Buffer
	w.cmd.Stderr = &complaints
	stdout, err := w.cmd.StdoutPipe()
	must(t, err)
	w.stdin, err = w.cmd.StdinPipe()
	must(t, err)
	must(t, w.cmd.Start())
	go func() {
		defer close(w.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			w.lines <- s.Text()
		}
		err := w.cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, complaints.Bytes())
		}
		w.done <- err
	}()
	t.Cleanup(func() { // where the test failed
		_ = w.cmd.Process.Kill()
	})
	return w
}

// follow reads what the worker prints until it ends, or until it has been given n calls.
func (w *worker) follow(n int) {
	for line := range w.lines {
		what, k, _ := strings.Cut(line, " ")
		map[string]map[string]bool{"made": w.made, "given": w.given}[what][k] = true
		if len(w.given) == n {
			return
		}
	}
}

// madeOnce checks that no work was done twice: more often than once only by workers that
// were killed and had not been given it.
func madeOnce(t *testing.T, work int, workers ...*worker) {
	t.Helper()
	times, lost := map[string]int{}, map[string]int{}
	for _, w := range workers {
		for k := range w.made {
			times[k]++
			if w.killed && !w.given[k] {
				lost[k]++
			}
		}
	}
	for k, n := range times {
		if n > 1+lost[k] {
			t.Errorf("%s was done %d times, %d of them by workers that were killed", k, n, lost[k])
		}
	}
	if len(times) != work {
		t.Errorf("%d pieces of work were done, want %d", len(times), work)
	}
}

const workerCalls = 3000

// Workers that want all the same at the same time.
func TestWorkersRace(t *testing.T) {
	address := pgtest.Shared(t).Fresh()
	n := callsVariable + "=" + strconv.Itoa(workerCalls)
	workers := []*worker{startWorker(t, address, n), startWorker(t, address, n), startWorker(t, address, n)}
	for i, w := range workers {
		w.follow(-1)
		must(t, <-w.done)
		t.Logf("worker %d made %d and was given %d", i, len(w.made), len(w.given))
		if len(w.given) != workerCalls+1 {
			t.Errorf("worker %d was given %d", i, len(w.given))
		}
	}
	madeOnce(t, workerCalls+1, workers...)
}

// One of three workers is killed; the others take over what it was at.
func TestWorkerIsKilled(t *testing.T) {
	address := with(t, pgtest.Shared(t).Fresh(), "stargate_lease", "3s")
	n := callsVariable + "=" + strconv.Itoa(workerCalls)
	workers := []*worker{startWorker(t, address, n), startWorker(t, address, n), startWorker(t, address, n)}
	victim := workers[0]
	victim.follow(workerCalls / 3)
	must(t, victim.cmd.Process.Kill())
	victim.killed = true
	for i, w := range workers {
		w.follow(-1)
		if err := <-w.done; (err == nil) == w.killed {
			t.Errorf("worker %d ended with %v", i, err)
		}
		t.Logf("worker %d made %d and was given %d", i, len(w.made), len(w.given))
	}
	madeOnce(t, workerCalls+1, workers...)
}

// The server is stopped and killed while workers are at work: they wait for it, and nothing
// is lost or done twice.
func TestServerGoesAway(t *testing.T) {
	server := pgtest.Start(t)
	n := callsVariable + "=" + strconv.Itoa(workerCalls)
	address := server.Fresh()
	workers := []*worker{startWorker(t, address, n), startWorker(t, address, n)}
	var wg sync.WaitGroup
	for i, end := range []func() error{server.Stop, server.Kill, server.Stop, server.Kill} {
		workers[0].follow((i + 1) * workerCalls / 5)
		must(t, end())
		time.Sleep(300 * time.Millisecond)
		must(t, server.Start())
	}
	for i, w := range workers {
		wg.Go(func() {
			w.follow(-1)
			if err := <-w.done; err != nil || len(w.given) != workerCalls+1 {
				t.Errorf("worker %d was given %d: %v", i, len(w.given), err)
			}
		})
	}
	wg.Wait()
	madeOnce(t, workerCalls+1, workers...)
	r, err := ledger.OpenReader(address)
	must(t, err)
	totals, err := r.Totals(context.Background())
	must(t, err)
	must(t, r.Close())
	if len(totals) != 1 || totals[0].Made != workerCalls || totals[0].TokensIn != workerCalls*(workerCalls-1)/2 {
		t.Errorf("totals %+v differ from an uninterrupted run's", totals)
	}
}
