package ledger_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/lm"
)

// The test binary, started again with the first variable set, is the process that gets
// killed. The others say what it does instead of crashCalls calls.
const (
	childVariable = "STARGATE_LEDGER_CHILD"       // the ledger
	callsVariable = "STARGATE_LEDGER_CHILD_CALLS" // how many calls
	holdVariable  = "STARGATE_LEDGER_CHILD_HOLD"  // one call only, which lasts until a line comes in
	benchVariable = "STARGATE_LEDGER_CHILD_BENCH" // "FROM CALLS CALLERS": a share of a benchmark
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	pgtest.Main(m)
}

const (
	crashCallers = 32
	crashCalls   = 20000
)

func child(path string) error {
	calls := uint64(crashCalls)
	if n := os.Getenv(callsVariable); n != "" {
		var err error
		if calls, err = strconv.ParseUint(n, 10, 64); err != nil {
			return err
		}
	}
	if share := os.Getenv(benchVariable); share != "" {
		return benchChild(path, share)
	}
	if os.Getenv(holdVariable) != "" {
		return holdChild(path)
	}
	return crashChild(path, calls)
}

// crashChild makes all calls and one step in the middle. It prints "made k" before a call's
// result is handed to the ledger and "given k" when the ledger has handed it back.
func crashChild(path string, calls uint64) error {
	l, err := ledger.Open(path, run)
	if err != nil {
		return err
	}
	ctx := context.Background()
	var out sync.Mutex
	say := func(what string, k uint64) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(what, k) // one write, unbuffered: a kill cannot take it back
	}
	half := func(from, to uint64) error {
		var wg sync.WaitGroup
		errs := make([]error, crashCallers)
		for caller := range uint64(crashCallers) {
			wg.Go(func() {
				for k := from + caller; k < to && errs[caller] == nil; k += crashCallers {
					g := l.Generator("questioner", "w0", generatorFunc(func(context.Context) (lm.Completion, error) {
						say("made", k)
						return lm.Completion{Text: fmt.Sprint("answer ", k), Usage: lm.Usage{PromptTokens: int(k), CompletionTokens: 1}}, nil
					}))
					c, err := g.Generate(ctx, ask("a"), lm.Sampling{Seed: k})
					if err == nil && c.Text != fmt.Sprint("answer ", k) {
						err = fmt.Errorf("call %d came back as %q", k, c.Text)
					}
					errs[caller] = err
					if err == nil {
						say("given", k)
					}
				}
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	if err := half(0, calls/2); err != nil {
		return err
	}
	_, err = l.Step(ctx, "train m1", "train m1", func(context.Context) (json.RawMessage, error) {
		say("made", calls)
		return json.RawMessage(`{"digest":"abc"}`), nil
	})
	if err != nil {
		return err
	}
	say("given", calls)
	if err := half(calls/2, calls); err != nil {
		return err
	}
	return l.Close()
}

func TestKill(t *testing.T) {
	ledger.EachStore(t, func(t *testing.T, fresh func() string) { killAndResume(t, fresh(), 3) })
}

func TestSoakKill(t *testing.T) {
	if os.Getenv("STARGATE_SOAK") == "" {
		t.Skip("set STARGATE_SOAK=1: 40 kills take a while")
	}
	ledger.EachStore(t, func(t *testing.T, fresh func() string) { killAndResume(t, fresh(), 40) })
}

// A kill during the first opening, while tables are being made, leaves a file that opens.
func TestKillWhileOpening(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	for range 12 {
		path := filepath.Join(t.TempDir(), "ledger.db")
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), childVariable+"="+path)
		must(t, cmd.Start())
		for started := time.Now(); time.Since(started) < 10*time.Second; time.Sleep(100 * time.Microsecond) {
			if _, err := os.Stat(path); err == nil {
				break
			}
		}
		time.Sleep(rand.N(15 * time.Millisecond))
		must(t, cmd.Process.Kill())
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended before it was killed")
		}
		l, err := ledger.Open(path, run)
		if err != nil {
			t.Fatal(err)
		}
		must(t, l.Close())
	}
}

// killAndResume kills the child at random moments and lets the last one finish. Nothing it
// was given may be made again, and the totals are those of a run without kills.
func killAndResume(t *testing.T, path string, kills int) {
	given := make(map[string]bool)
	repeated := 0
	for session := range kills + 1 {
		made := make(map[string]bool)
		before := len(given)
		limit := rand.IntN(2*crashCalls/(kills+1)) + 1 // lines to read before the kill
		if session == kills {
			limit = -1
		}
		for line := range childLines(t, path, limit) {
			what, k, _ := strings.Cut(line, " ")
			switch {
			case what == "made" && made[k]:
				t.Fatalf("session %d: call %s was made twice", session, k)
			case what == "made" && given[k]:
				t.Fatalf("session %d: call %s was given before the kill and is made again", session, k)
			case what == "made":
				made[k] = true
			case what == "given":
				given[k] = true
			}
		}
		lost := 0
		for k := range made {
			if !given[k] {
				lost++
			}
		}
		repeated += lost
		t.Logf("session %d: %d made, %d in flight at the end, %d new ones given", session, len(made), lost, len(given)-before)
	}
	if len(given) != crashCalls+1 {
		t.Errorf("%d given, want %d", len(given), crashCalls+1)
	}
	t.Logf("%d kills: at most %d calls for %d", kills, crashCalls+repeated, crashCalls)
	totals, err := open(t, path).Totals(context.Background())
	must(t, err)
	want := []ledger.Totals{{Role: "questioner", Made: crashCalls, TokensIn: crashCalls * (crashCalls - 1) / 2, TokensOut: crashCalls}}
	if d := cmp.Diff(want, totals); d != "" {
		t.Errorf("totals differ from an uninterrupted run's:\n%s", d)
	}
}

// childLines runs the child and yields its output to the end; after limit lines it sends
// SIGKILL a random while later (limit < 0: never).
func childLines(t *testing.T, path string, limit int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		self, err := os.Executable()
		must(t, err)
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), childVariable+"="+path)
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(stdout)
		more := true
		for n := 0; lines.Scan(); n++ { // to the end, so that the child is never left behind
			more = more && yield(lines.Text())
			if n == limit {
				time.Sleep(rand.N(3 * time.Millisecond))
				must(t, cmd.Process.Kill())
			}
		}
		must(t, lines.Err())
		if err := cmd.Wait(); err != nil && limit < 0 {
			t.Fatalf("the child that nobody killed: %v", err)
		}
	}
}
