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
	mu      sync.Mutex
	process *os.Process
}

// run starts the process and waits for its end: true if it did all, false if it was killed.
func (c *child) run(t *testing.T, url, path string, api remote.API) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChildFills$")
	cmd.Env = append(os.Environ(), childURL+"="+url, childLedger+"="+path, childAPI+"="+string(api))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	c.mu.Lock() // a kill waits until the process is there
	err := cmd.Start()
	c.process = cmd.Process
	c.mu.Unlock()
	if err != nil {
		t.Fatal(err)
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
	_ = c.process.Kill()
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
				s := batchtest.New(func(s *batchtest.Server) {
					s.Polls = 2
					s.Expire = func(job, lines int) int {
						if job == 0 {
							return 5 // so that there is a second round too
						}
						return 0
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
				})
				defer s.Close()
				starts := 1
				for ; !c.run(t, s.URL, path, api); starts++ {
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

// The same at random requests of all kinds.
func TestKilledAtRandomPaysOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, api := range apis {
		t.Run(string(api), func(t *testing.T) {
			var c child
			var mu sync.Mutex
			kills := 0
			perhaps := func() bool {
				mu.Lock()
				defer mu.Unlock()
				if kills == 8 || rand.N(4) > 0 {
					return true
				}
				kills++
				c.kill()
				return false
			}
			s := batchtest.New(func(s *batchtest.Server) {
				s.Polls = 3
				s.OnUpload, s.OnStatus, s.OnContent, s.OnCreate = perhaps, perhaps, perhaps, func(int) bool { return perhaps() }
			})
			defer s.Close()
			path := filepath.Join(t.TempDir(), "ledger.db")
			starts := 1
			for ; !c.run(t, s.URL, path, api); starts++ {
				if starts > 20 {
					t.Fatal("it does not get anywhere")
				}
			}
			if bad := once(s, questions(killedQuestions)); bad != nil {
				t.Errorf("%d starts; not billed once: %v", starts, bad)
			}
			t.Logf("%d starts, %d kills, %d jobs for %d requests", starts, kills, s.Jobs(), killedQuestions)
		})
	}
}
