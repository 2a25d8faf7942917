package local

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"stargate/internal/llama"
	"stargate/lm"
)

// benchModel has the shape of the built-in model, with random weights.
func benchModel(b *testing.B) *Model {
	b.Helper()
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
	m, err := New(w, files, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Close)
	return m
}

// Ten samples each of many prompts, as Algorithm 1 asks for them: completions of 32 tokens.
func BenchmarkGenerate(b *testing.B) {
	m := benchModel(b)
	round := 0
	for b.Loop() {
		round++
		var wg sync.WaitGroup
		for i := range 320 {
			wg.Go(func() {
				chat := user(fmt.Sprintf("My name is Ada %d %d. %s", round, i/10, strings.Repeat("Help me plan a party. ", 4)))
				if _, err := m.Generate(b.Context(), chat, lm.Sampling{Temperature: 0.9, TopP: 0.9, MaxTokens: 32, Seed: uint64(i)}); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(b.N*320*32)/b.Elapsed().Seconds(), "tok/s")
}

// Ten contexts of a pair against one gold.
func BenchmarkScore(b *testing.B) {
	m := benchModel(b)
	round := 0
	for b.Loop() {
		round++
		var wg sync.WaitGroup
		for i := range 320 {
			wg.Go(func() {
				chat := user(fmt.Sprintf("My name is Ada %d %d. %s %d", round, i/10, strings.Repeat("Help me plan a party. ", 4), i))
				if _, err := m.LogProb(b.Context(), chat, strings.Repeat("I like the theme. ", 6)); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(b.N*320)/b.Elapsed().Seconds(), "scores/s")
}
