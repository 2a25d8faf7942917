//go:build unix

package fleet_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/nano"
	"stargate/serve"
)

// BenchmarkStargateServe asks the built-in model the same 320 requests, 64 at once, in the
// process and through package serve, HTTP, a fleet and a driver, in turns. The two have the
// same answers. Client and server share the processors, so the share of the direct speed is
// what all of them leave to the model.
func BenchmarkStargateServe(b *testing.B) {
	dir, err := nano.ModelFS()
	if err != nil {
		b.Fatal(err)
	}
	m, err := local.Open(dir, local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	hs := httptest.NewServer(serve.New(m, serve.Options{Name: "sim"}))
	defer hs.Close()
	f := single(b, hs.URL)
	c := client(b, f, hs.URL, "")
	const requests, callers = 320, 64
	ask := func(model lm.Generator, round, i int) (string, error) {
		chat := lm.Chat{{Role: lm.User, Content: fmt.Sprintf("My name is Ada %d %d. %s", round, i/10, strings.Repeat("Help me plan a party. ", 4))}}
		a, err := model.Generate(context.Background(), chat, lm.Sampling{Temperature: 1, MaxTokens: 32, Seed: uint64(i)})
		return a.Text, err
	}
	score := func(model lm.Scorer, round, i int) (string, error) {
		chat := lm.Chat{{Role: lm.User, Content: fmt.Sprintf("My name is Ada %d %d. Help me plan a party.", round, i)}}
		l, err := model.LogProb(context.Background(), chat, strings.Repeat("I like the theme. ", 6))
		return fmt.Sprint(l.Sum), err
	}
	for _, bm := range []struct {
		name         string
		direct, http func(round, i int) (string, error)
	}{
		{"generate", func(r, i int) (string, error) { return ask(m, r, i) }, func(r, i int) (string, error) { return ask(c, r, i) }},
		{"score", func(r, i int) (string, error) { return score(m, r, i) }, func(r, i int) (string, error) { return score(c, r, i) }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			measure := func(round int, do func(round, i int) (string, error)) (texts []string, wall, used time.Duration) {
				texts = make([]string, requests)
				next := make(chan int, requests)
				for i := range requests {
					next <- i
				}
				close(next)
				began, before := time.Now(), processorTime(b)
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for i := range next {
							var err error
							if texts[i], err = do(round, i); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				return texts, time.Since(began), processorTime(b) - before
			}
			var byWall, byProcessor []float64
			for round := range b.N {
				want, direct, directUsed := measure(2*round, bm.direct)
				_, through, throughUsed := measure(2*round+1, bm.http) // other prompts: nothing of them is cached
				byWall = append(byWall, direct.Seconds()/through.Seconds())
				byProcessor = append(byProcessor, directUsed.Seconds()/throughUsed.Seconds())
				if got, _, _ := measure(2*round, bm.http); !slices.Equal(got, want) {
					b.Fatal("the server's answers are not the model's")
				}
			}
			slices.Sort(byWall)
			slices.Sort(byProcessor)
			b.ReportMetric(100*byWall[len(byWall)/2], "%-of-direct-median")
			b.ReportMetric(100*byProcessor[len(byProcessor)/2], "%-of-direct-by-cpu")
		})
	}
}
