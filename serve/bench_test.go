package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stargate/internal/llama"
	"stargate/lm"
	"stargate/lm/local"
)

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// callers is how many requests are in flight.
const callers = 64

// BenchmarkThroughput compares the same 320 requests through HTTP and in the process, 64 in
// flight, in turns: ten samples each of 32 prompts, 32 tokens; or 320 scorings. The client
// runs on the same processors and is part of the cost. The model has the shape of the
// built-in one, where a request is cheap and HTTP weighs most.
func BenchmarkThroughput(b *testing.B) {
	w, err := llama.NewModel(llama.Config{ModelType: "mistral", VocabSize: 1024, HiddenSize: 160, IntermediateSize: 432, NumHiddenLayers: 4,
		NumAttentionHeads: 5, NumKeyValueHeads: 5, MaxPositionEmbeddings: 512, TieWordEmbeddings: true})
	if err != nil {
		b.Fatal(err)
	}
	w.Init(1)
	files, err := testFiles()
	if err != nil {
		b.Fatal(err)
	}
	m, err := local.New(w, files, local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	s := New(m, Options{})
	hs := httptest.NewServer(s)
	defer hs.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	text := func(round, i int) string {
		return fmt.Sprintf("My name is Ada %d %d. %s", round, i/10, strings.Repeat("Help me plan a party. ", 4))
	}
	post := func(path string, body any) error {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		resp, err := client.Post(hs.URL+path, "application/json", bytes.NewReader(data))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, answer)
		}
		return err
	}
	generate := func(stream bool) func(round, i int) error {
		return func(round, i int) error {
			return post("/v1/chat/completions", object{"messages": user(text(round, i)), "temperature": 0.9, "top_p": 0.9, "max_tokens": 32, "seed": i, "ignore_eos": true, "stream": stream})
		}
	}
	target := strings.Repeat("I like the theme. ", 6)
	tokens := func(round, i int) ([]int32, error) {
		ids, _, err := m.Target(lm.Chat{{Role: lm.User, Content: fmt.Sprint(text(round, i), i)}}, target)
		return ids, err
	}
	inProcess := func(round, i int) error {
		prompt, err := m.Prompt(lm.Chat{{Role: lm.User, Content: text(round, i)}}, true)
		if err == nil {
			_, err = m.Continue(b.Context(), local.Request{Prompt: prompt, IgnoreEnd: true, Sampling: lm.Sampling{Temperature: 0.9, TopP: 0.9, MaxTokens: 32, Seed: uint64(i)}})
		}
		return err
	}
	for _, c := range []struct {
		name         string
		direct, http func(round, i int) error
	}{
		{"generate", inProcess, generate(false)},
		{"stream", inProcess, generate(true)},
		{"score", func(round, i int) error {
			ids, err := tokens(round, i)
			if err == nil {
				_, err = m.PromptLogProbs(b.Context(), ids, 0)
			}
			return err
		}, func(round, i int) error {
			ids, err := tokens(round, i)
			if err == nil {
				err = post("/v1/completions", object{"prompt": [][]int32{ids}, "max_tokens": 0, "prompt_logprobs": 0})
			}
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			round := 0
			measure := func(ask func(round, i int) error) (wall, processor time.Duration) {
				round++
				next := make(chan int, 320)
				for i := range 320 {
					next <- i
				}
				close(next)
				began, used := time.Now(), processorTime()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for i := range next {
							if err := ask(round, i); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				return time.Since(began), processorTime() - used
			}
			measure(c.direct)
			measure(c.http)
			var direct, through, directUsed, throughUsed time.Duration
			var ratios []float64
			for b.Loop() {
				wall, used := measure(c.direct)
				direct, directUsed = direct+wall, directUsed+used
				httpWall, used := measure(c.http)
				through, throughUsed = through+httpWall, throughUsed+used
				ratios = append(ratios, wall.Seconds()/httpWall.Seconds())
			}
			slices.Sort(ratios)
			n := float64(b.N * 320)
			b.ReportMetric(n/direct.Seconds(), "direct-req/s")
			b.ReportMetric(n/through.Seconds(), "http-req/s")
			b.ReportMetric(100*ratios[len(ratios)/2], "%-of-direct-median")
			b.ReportMetric(100*directUsed.Seconds()/throughUsed.Seconds(), "%-of-direct-by-cpu")
			b.ReportMetric(1e3*directUsed.Seconds()/n, "direct-cpu-ms/req")
			b.ReportMetric(1e3*throughUsed.Seconds()/n, "http-cpu-ms/req")
		})
	}
}
