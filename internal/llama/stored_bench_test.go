package llama

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/safetensors"
)

// Shapes of published models, with random weights.
var publishedShapes = []variant{
	{"SmolLM2-135M", Config{ModelType: "llama", VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536, NumHiddenLayers: 30,
		NumAttentionHeads: 9, NumKeyValueHeads: 3, MaxPositionEmbeddings: 8192, RopeTheta: 100000, TieWordEmbeddings: true}},
	{"Qwen2.5-0.5B", Config{ModelType: "qwen2", VocabSize: 151936, HiddenSize: 896, IntermediateSize: 4864, NumHiddenLayers: 24,
		NumAttentionHeads: 14, NumKeyValueHeads: 2, MaxPositionEmbeddings: 32768, RopeTheta: 1000000, TieWordEmbeddings: true}},
}

// writeDirectory writes config.json and model.safetensors of m in bf16.
func writeDirectory(b *testing.B, dir string, m *Model) {
	b.Helper()
	config, err := json.Marshal(m.Config)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ConfigFile), config, 0o644); err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, WeightsFile))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	if err := safetensors.Write(w, tensorsOfModel(m, safetensors.BF16)); err != nil {
		b.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
}

// Generation and reading of prompts, with weights in float32 and as bf16 in their file: tokens
// per second at position 64 and up, and what opening takes.
func BenchmarkPublishedShapes(b *testing.B) {
	for _, v := range publishedShapes {
		b.Run(v.name, func(b *testing.B) {
			dir := b.TempDir()
			m, err := NewModel(v.config)
			if err != nil {
				b.Fatal(err)
			}
			m.Init(1)
			writeDirectory(b, dir, m)
			c := m.Config
			m = nil
			pool := kernel.NewPool(0)
			defer pool.Close()
			open := map[string]func(cache *Cache) (*Decoder, error){
				"float32": func(cache *Cache) (*Decoder, error) {
					m, err := Load(os.DirFS(dir))
					if err != nil {
						return nil, err
					}
					return NewDecoder(m, pool, cache), nil
				},
				"bf16 in its file": func(cache *Cache) (*Decoder, error) {
					s, err := LoadStored(os.DirFS(dir))
					if err != nil {
						return nil, err
					}
					return NewStoredDecoder(s, pool, cache), nil
				},
			}
			for _, how := range []string{"float32", "bf16 in its file"} {
				b.Run(how, func(b *testing.B) {
					var d *Decoder
					b.Run("open", func(b *testing.B) {
						for b.Loop() {
							var err error
							if d, err = open[how](NewCache(c, 32*32)); err != nil {
								b.Fatal(err)
							}
						}
					})
					for _, batch := range []int{1, 8, 32} {
						b.Run(fmt.Sprintf("decode batch %d", batch), func(b *testing.B) { benchmarkSpans(b, d, batch, 1) })
					}
					b.Run("prompt of 256", func(b *testing.B) { benchmarkSpans(b, d, 1, 256) })
				})
			}
		})
	}
}

// benchmarkSpans computes n tokens of each of batch sequences, again and again.
func benchmarkSpans(b *testing.B, d *Decoder, batch, n int) {
	r := rand.New(rand.NewPCG(1, 1))
	spans := make([]*Span, batch)
	for i := range spans {
		spans[i] = &Span{WantLogits: true, Tokens: randomTokens(r, 64, d.config.VocabSize)}
		for range Pages(64 + n) {
			p, ok := d.cache.Alloc(-1)
			if !ok {
				b.Fatal("the cache is full")
			}
			defer d.cache.Release(p)
			spans[i].Pages = append(spans[i].Pages, p)
		}
	}
	d.Forward(spans)
	for _, s := range spans {
		s.Start, s.Tokens = 64, randomTokens(r, n, d.config.VocabSize)
	}
	for b.Loop() {
		d.Forward(spans)
	}
	b.ReportMetric(float64(b.N*batch*n)/b.Elapsed().Seconds(), "tok/s")
}
