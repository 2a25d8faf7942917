package batch

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stargate/dataset/batch/batchtest"
	"stargate/lm/remote"
)

// The test binary is also the process that is killed: with these variables it fills a
// ledger from a server and ends.
const (
	childURL    = "STARGATE_TEST_BATCH_URL"
	childLedger = "STARGATE_TEST_BATCH_LEDGER"
	childAPI    = "STARGATE_TEST_BATCH_API"
)

const killedQuestions = 60

func TestChildFills(t *testing.T) {
	url := os.Getenv(childURL)
	if url == "" {
		return // the test of a parent
	}
	b := newBench(t, os.Getenv(childLedger), url, remote.API(os.Getenv(childAPI)), false, Options{MaxLines: 25, Rounds: 5, Grace: 300 * time.Millisecond})
	if err := b.filler.Fill(t.Context(), questions(killedQuestions)); err != nil {
		t.Fatal(err)
	}
}

// child is a process that fills.
type child struct {
	mu  sync.Mutex
	cmd *exec.Cmd
}

// run starts the process and waits for its end: true if it did all, false if it was killed.
func (c *child) run(t *testing.T, url, path string, api remote.API, after time.Duration) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChildFills$")
	cmd.Env = append(os.Environ(), childURL+"="+url, childLedger+"="+path, childAPI+"="+string(api))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.cmd = cmd
	c.mu.Unlock()
	if after > 0 {
		timer := time.AfterFunc(after, c.kill)
		defer timer.Stop()
	}
	if err := cmd.Wait(); err != nil {
		if cmd.ProcessState.Exited() {
			t.Fatalf("%v\n%s", err, out.String())
		}
		return false
	}
	return true
}

// kill is kill -9.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The process that has ended in between is no trouble; nothing else can be hit, because
	// its id is freed only by Wait.
	_ = c.cmd.Process.Kill()
}

// A process that is killed at any point of a job's life, also between the provider's yes
// and the note of the job's id, and begun anew pays for nothing twice.
func TestKilledAtEveryPointPaysOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, api := range apis {
		for _, point := range []string{"upload", "create", "status", "content"} {
			if point == "upload" && api == remote.Anthropic {
				continue
			}
			t.Run(string(api)+" at "+point, func(t *testing.T) {
				s := batchtest.New()
				defer s.Close()
				s.Polls = 2
				s.Expire = func(job, lines int) int {
					if job == 0 {
						return 5 // so that there is a second round too
					}
					return 0
				}
				path := filepath.Join(t.TempDir(), "ledger.db")
				var c child
				var mu sync.Mutex
				kills := 0
				kill := func() bool { // the first three times
					mu.Lock()
					defer mu.Unlock()
					if kills == 3 {
						return true
					}
					kills++
					c.kill()
					return false
				}
				switch point {
				case "upload":
					s.OnUpload = kill
				case "create":
					s.OnCreate = func(int) bool { return kill() }
				case "status":
					s.OnStatus = kill
				case "content":
					s.OnContent = kill
				}
				starts := 1
				for ; !c.run(t, s.URL, path, api, 0); starts++ {
					if starts > 20 {
						t.Fatal("it does not get anywhere")
					}
				}
				if bad := once(s, questions(killedQuestions)); bad != nil || starts == 1 {
					t.Errorf("%d starts; not billed once: %v", starts, bad)
				}
				t.Logf("%d starts, %d kills, %d jobs for %d requests", starts, kills, s.Jobs(), killedQuestions)
			})
		}
	}
}

// The same at random moments.
func TestKilledAtRandomPaysOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, api := range apis {
		t.Run(string(api), func(t *testing.T) {
			s := batchtest.New()
			defer s.Close()
			s.Polls = 300
			path := filepath.Join(t.TempDir(), "ledger.db")
			var c child
			starts := 1
			for ; !c.run(t, s.URL, path, api, time.Duration(20+rand.N(400))*time.Millisecond); starts++ {
				if starts > 100 {
					t.Fatal("it does not get anywhere")
				}
			}
			if bad := once(s, questions(killedQuestions)); bad != nil {
				t.Errorf("%d starts; not billed once: %v", starts, bad)
			}
			t.Logf("%d starts, %d jobs for %d requests", starts, s.Jobs(), killedQuestions)
		})
	}
}
