//go:build unix

package fleet_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
	"stargate/nano"
)

// instant is a server that takes no time: what is left is the cost of calls.
const instant = "-foreign -scale 100000 -network 0 -batch 256 -queue 100000 -median 60 -sigma 0.6"

func single(t testing.TB, address string) *fleet.Fleet {
	t.Helper()
	f, err := fleet.New(fleet.Options{Endpoints: []fleet.Endpoint{{URL: address}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// client is a driver of the server; tokenizer is a directory, or "" for the server's own.
func client(t testing.TB, f *fleet.Fleet, address, tokenizer string) *remote.Client {
	t.Helper()
	c, err := remote.Open(context.Background(), remote.Role{URL: address, Model: "sim", Tokenizer: tokenizer}, remote.Options{Transport: f})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tokenizer is a directory with the built-in model's.
func tokenizer(t testing.TB) string {
	t.Helper()
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"} {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// chat is what a Questioner sees in its second turn.
func chat(i int) lm.Chat {
	return lm.Chat{
		{Role: lm.User, Content: fmt.Sprintf("My name is Ada %d. ", i/10) + strings.Repeat("I would like to plan a party. ", 20)},
		{Role: lm.Assistant, Content: "What do your friends like to do when they come together?"},
		{Role: lm.User, Content: "They like music, and some of them like to cook. Ask me."},
	}
}

// BenchmarkCall is the processor time that this process spends on a call, 64 at once, with
// the server in another process: of net/http alone, of the fleet, and of the driver on top of
// it, which writes and reads JSON. On a machine that is busy with other things every round
// costs more than it has to; the least of the rounds is nearest to the truth.
func BenchmarkCall(b *testing.B) {
	address := process(b, instant)
	plain := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	f := single(b, address)
	c := client(b, f, address, "")
	own := client(b, f, address, tokenizer(b))
	gold := strings.Repeat("First buy some bread, then ask who can sing. ", 20)
	for name, c := range map[string]*remote.Client{"the server's tokenizer": c, "the directory's": own} {
		lp, err := c.LogProb(context.Background(), chat(0), gold)
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("the gold has %d tokens by %s", len(lp.Tokens), name)
	}
	for _, bm := range []struct {
		name string
		call func(i int) error
	}{
		{"net-http", func(i int) error {
			resp, err := plain.Post(address+"/v1/chat/completions", "application/json", bytes.NewReader(question(i)))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			return err
		}},
		{"fleet", func(i int) error {
			_, _, err := f.Post(context.Background(), "/v1/chat/completions", question(i), 200)
			return err
		}},
		{"generate", func(i int) error {
			_, err := c.Generate(context.Background(), chat(i), lm.Sampling{Temperature: 0.9, TopP: 0.9, MaxTokens: 700, Seed: uint64(i)})
			return err
		}},
		{"logprob", func(i int) error {
			_, err := c.LogProb(context.Background(), chat(i), gold)
			return err
		}},
		{"logprob-tokenizer", func(i int) error {
			_, err := own.LogProb(context.Background(), chat(i), gold)
			return err
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			before := f.Stats().Calls
			const round = 500
			least, all := math.Inf(1), processorTime(b)
			b.ResetTimer()
			for from := 0; from < b.N; from += round {
				used := processorTime(b)
				n := min(round, b.N-from)
				var next atomic.Int64
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() {
						for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
							if err := bm.call(from + i); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				if n == round {
					least = min(least, float64((processorTime(b)-used).Microseconds())/round)
				}
			}
			b.ReportMetric(float64((processorTime(b)-all).Microseconds())/float64(b.N), "cpu-µs/call")
			b.ReportMetric(least, "cpu-µs/call-least")
			b.ReportMetric(float64(f.Stats().Calls-before)/float64(b.N), "requests/call")
		})
	}
}

// BenchmarkShareOfMaximum is what TestReachesTheServersMaximum tests, through sockets and on
// the clock: the server's time runs eight times as fast.
func BenchmarkShareOfMaximum(b *testing.B) {
	for range b.N {
		address := process(b, "-scale 8")
		f := single(b, address)
		drive(b, f, 400, 10_000, "/v1/chat/completions", question, 200)
		r := report(b, address)
		b.ReportMetric(100*r.Share, "%-of-maximum")
		b.ReportMetric(float64(f.Stats().Attempts[fleet.Busy]), "busy")
	}
}

// TestSoakMemory makes a million calls; what the process holds may not grow.
func TestSoakMemory(t *testing.T) {
	if os.Getenv("STARGATE_SOAK") == "" {
		t.Skip("set STARGATE_SOAK=1: a million calls take a while")
	}
	const calls, rounds = 1_000_000, 20
	address := process(t, instant)
	f := single(t, address)
	var heap, resident []int
	used := processorTime(t)
	began := time.Now()
	for i := range rounds {
		drive(t, f, 64, calls/rounds, "/v1/chat/completions", func(k int) []byte { return question(i*calls/rounds + k) }, 200)
		runtime.GC()
		runtime.GC() // pools give up what they hold with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap, resident = append(heap, int(m.HeapAlloc)>>10), append(resident, residentKiB(t))
		t.Logf("%7d calls: heap %d KiB in %d objects, resident %d KiB, %d goroutines", (i+1)*calls/rounds, heap[i], m.HeapObjects, resident[i], runtime.NumGoroutine())
	}
	s := f.Stats()
	t.Logf("%d calls in %v, %.1f µs of processor time each; attempts %v; latency %v median, %v 99 %%", s.Calls, time.Since(began).Round(time.Second),
		float64((processorTime(t)-used).Microseconds())/calls, s.Attempts, s.Latency.Quantile(0.5), s.Latency.Quantile(0.99))
	// Connections that were opened in a hurry are there for some seconds: hence the least.
	if first, last := slices.Min(heap[:rounds/4]), slices.Min(heap[rounds-rounds/4:]); last > first+first/10 {
		t.Errorf("the heap grew from %d to %d KiB", first, last)
	}
}

// residentKiB is the process's resident memory where the system tells, else 0.
func residentKiB(t *testing.T) int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 10
}
