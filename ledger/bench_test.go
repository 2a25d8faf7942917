package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/lm"
)

var (
	benchAnswer = strings.Repeat("What do you like? ", 8)
	benchChat   = lm.Chat{{Role: lm.System, Content: strings.Repeat("instruction ", 40)}, {Role: lm.User, Content: "My name is Ann.\n\nPlan a trip."}}
)

type instant struct{}

func (instant) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	return lm.Completion{Text: benchAnswer, Tokens: make([]int32, 36), Finish: lm.FinishStop, Usage: lm.Usage{PromptTokens: 200, CompletionTokens: 36}}, nil
}

// journal makes the calls with seeds from..to from several goroutines.
func journal(l *ledger.Ledger, from, to uint64, callers int) error {
	g := l.Generator("questioner", "w0", instant{})
	next := atomic.Uint64{}
	next.Store(from)
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for k := next.Add(1) - 1; k < to && failed.Load() == nil; k = next.Add(1) - 1 {
				if _, err := g.Generate(context.Background(), benchChat, lm.Sampling{Seed: k}); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// benchStores are a file, and a Postgres server that waits for the disk as one in use does.
func benchStores(b *testing.B, bench func(b *testing.B, fresh func() string)) {
	b.Run("file", func(b *testing.B) {
		bench(b, func() string { return filepath.Join(b.TempDir(), "ledger.db") })
	})
	b.Run("postgres", func(b *testing.B) {
		bench(b, pgtest.Start(b, "fsync=on").Fresh)
	})
}

// BenchmarkJournal measures calls to a model that answers at once: what the ledger costs.
func BenchmarkJournal(b *testing.B) {
	benchStores(b, func(b *testing.B, fresh func() string) {
		for _, callers := range []int{1, 8, 1000} {
			for _, replay := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/callers=%d", map[bool]string{false: "make", true: "replay"}[replay], callers), func(b *testing.B) {
					l := open(b, fresh())
					if replay {
						if err := journal(l, 0, uint64(b.N), 1000); err != nil {
							b.Fatal(err)
						}
					}
					b.ResetTimer()
					if err := journal(l, 0, uint64(b.N), callers); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
				})
			}
		}
		b.Run("open", func(b *testing.B) { // a finished ledger of 50,000 calls
			path := fresh()
			l, err := ledger.Open(path, run)
			if err != nil {
				b.Fatal(err)
			}
			if err := journal(l, 0, 50_000, 500); err != nil {
				b.Fatal(err)
			}
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				l, err := ledger.Open(path, run)
				if err != nil {
					b.Fatal(err)
				}
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkProcesses measures processes that share one ledger in Postgres; those with files
// have one each, since a file belongs to one process.
func BenchmarkProcesses(b *testing.B) {
	const callers = 64
	benchStores(b, func(b *testing.B, fresh func() string) {
		for _, processes := range []int{1, 4} {
			for _, what := range []string{"make", "replay"} {
				b.Run(fmt.Sprintf("%s/processes=%d", what, processes), func(b *testing.B) {
					addresses := make([]string, processes)
					shared := fresh()
					for i := range addresses {
						addresses[i] = shared
						if strings.HasSuffix(shared, ".db") {
							addresses[i] = fresh()
						}
					}
					calls := max(b.N/processes, 1)
					round := func() (cpu time.Duration) {
						var children []*worker
						for i, a := range addresses {
							w := startWorker(b, a, fmt.Sprintf("%s=%d %d %d", benchVariable, i*calls, calls, callers))
							if line := <-w.lines; line != "ready" {
								b.Fatalf("a child printed %q: %v", line, <-w.done)
							}
							children = append(children, w)
						}
						b.ResetTimer()
						b.StartTimer()
						for _, w := range children {
							if _, err := fmt.Fprintln(w.stdin); err != nil {
								b.Fatal(err)
							}
						}
						for _, w := range children {
							if line := <-w.lines; line != "done" {
								b.Fatalf("a child printed %q: %v", line, <-w.done)
							}
						}
						b.StopTimer()
						for _, w := range children {
							if err := <-w.done; err != nil {
								b.Fatal(err)
							}
							cpu += w.cmd.ProcessState.UserTime() + w.cmd.ProcessState.SystemTime()
						}
						return cpu
					}
					cpu := round()
					if what == "replay" {
						cpu = round()
					}
					b.ReportMetric(float64(calls*processes)/b.Elapsed().Seconds(), "calls/s")
					b.ReportMetric(float64(cpu.Microseconds())/float64(calls*processes), "client-µs/call")
				})
			}
		}
	})
}

// benchChild opens the ledger, waits for a line, and makes its calls.
func benchChild(path, share string) error {
	var from, calls uint64
	var callers int
	if _, err := fmt.Sscan(share, &from, &calls, &callers); err != nil {
		return err
	}
	l, err := ledger.Open(path, run)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	if err := journal(l, from, from+calls, callers); err != nil {
		return err
	}
	fmt.Println("done")
	return l.Close()
}
