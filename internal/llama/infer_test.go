package llama

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stargate/internal/kernel"
)

// oddConfig has grouped heads, a head width that fills no panel, and odd sizes.
func oddConfig() Config {
	return Config{ModelType: "mistral", VocabSize: 101, HiddenSize: 36, IntermediateSize: 52, NumHiddenLayers: 3,
		NumAttentionHeads: 6, NumKeyValueHeads: 2, HeadDim: 10, MaxPositionEmbeddings: 512}
}

func newTestModel(t testing.TB, c Config) *Model {
	t.Helper()
	m, err := NewModel(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	// Larger weights than a fresh model's, so that attention is far from uniform.
	for i := range m.Flat() {
		m.Flat()[i] *= 8
	}
	for _, p := range m.Params() {
		if !p.Decay {
			for i := range p.Data {
				p.Data[i] = 1 + float32(i%5)/10
			}
		}
	}
	return m
}

func randomTokens(r *rand.Rand, n, vocab int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = r.Int32N(int32(vocab))
	}
	return ids
}

// decoding is a decoder with a cache of its own, and the sequences it holds.
type decoding struct {
	*Decoder
	t     testing.TB
	pages map[int][]Page
}

func newDecoding(t testing.TB, m *Model, workers int) *decoding {
	pool := kernel.NewPool(workers)
	t.Cleanup(pool.Close)
	return &decoding{NewDecoder(m, pool, NewCache(m.Config, 400)), t, map[int][]Page{}}
}

func (d *decoding) span(seq, start int, tokens []int32) *Span {
	for len(d.pages[seq]) < Pages(start+len(tokens)) {
		last := Page(-1)
		if n := len(d.pages[seq]); n > 0 {
			last = d.pages[seq][n-1]
		}
		p, ok := d.cache.Alloc(last)
		if !ok {
			d.t.Fatal("the test's cache is full")
		}
		d.pages[seq] = append(d.pages[seq], p)
	}
	return &Span{Pages: d.pages[seq], Start: start, Tokens: tokens}
}

// scoreAlone scores tokens[1:] of one sequence in one call on one worker.
func scoreAlone(t testing.TB, m *Model, tokens []int32) []float64 {
	d := newDecoding(t, m, 1)
	s := d.span(0, 0, tokens[:len(tokens)-1])
	s.Targets = tokens[1:]
	d.Forward([]*Span{s})
	return s.LogProbs
}

// The trainer's forward pass is independent code, itself held to PyTorch.
func TestDecoderAgreesWithTrainer(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	for _, v := range variants(oddConfig()) {
		m := newTestModel(t, v.config)
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{2, 15, 16, 17, 18, 33, 120} {
			tokens := randomTokens(r, n, m.Config.VocabSize)
			loss := make([]bool, n)
			for i := 1; i < n; i++ {
				loss[i] = true
			}
			want, _, err := NewTrainer(m, pool).Loss([]Sequence{{Tokens: tokens, Loss: loss}})
			if err != nil {
				t.Fatal(err)
			}
			got := 0.0
			for _, lp := range scoreAlone(t, m, tokens) {
				got -= lp
			}
			if math.Abs(got-want) > 1e-5*want {
				t.Errorf("%s, %d tokens: decoder's loss %.9g, trainer's %.9g", v.name, n, got, want)
			}
		}
	}
}

// A score never depends on how the work is cut: random batches of random chunks on random
// numbers of workers give the bits of one call with one sequence.
func TestRowsAreIndependentOfTheirBatch(t *testing.T) {
	for _, c := range []Config{oddConfig(), {ModelType: "llama", VocabSize: 300, HiddenSize: 64, IntermediateSize: 96, NumHiddenLayers: 2,
		NumAttentionHeads: 4, NumKeyValueHeads: 4, HeadDim: 16, MaxPositionEmbeddings: 512, TieWordEmbeddings: true}} {
		w := newCutting(t, newTestModel(t, c))
		rapid.Check(t, func(rt *rapid.T) {
			if err := w.run(func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "choice") }); err != nil {
				rt.Fatal(err)
			}
		})
	}
}

// The same in every family and with every switch.
func TestRowsAreIndependentInEveryFamily(t *testing.T) {
	for _, v := range variants(oddConfig()) {
		w, r := newCutting(t, newTestModel(t, v.config)), rand.New(rand.NewPCG(9, 9))
		for range 8 {
			if err := w.run(r.IntN); err != nil {
				t.Errorf("%s: %v", v.name, err)
			}
		}
	}
}

// cutting are sequences and their scores when each is computed alone, in one call.
type cutting struct {
	t    testing.TB
	m    *Model
	seqs [][]int32
	want [][]float64
}

func newCutting(t testing.TB, m *Model) *cutting {
	w, r := &cutting{t: t, m: m}, rand.New(rand.NewPCG(3, 4))
	for i := range 6 {
		w.seqs = append(w.seqs, randomTokens(r, 2+r.IntN(20+18*i), m.Config.VocabSize))
		w.want = append(w.want, scoreAlone(t, m, w.seqs[i]))
	}
	return w
}

// run scores the sequences cut in a way that draw chooses: draw(n) is a number in [0, n).
func (w *cutting) run(draw func(n int) int) error {
	d := newDecoding(w.t, w.m, 1+draw(5))
	done := make([]int, len(w.seqs))
	for !finished(w.seqs, done) {
		var batch []*Span
		var who []int
		for i, tokens := range w.seqs {
			left := len(tokens) - 1 - done[i]
			if left == 0 || draw(3) == 0 {
				continue
			}
			n := min(left, []int{1, 1, 3, 16, 50, 200}[draw(6)])
			s := d.span(i, done[i], tokens[done[i]:done[i]+n])
			s.Targets = tokens[done[i]+1 : done[i]+1+n]
			batch, who = append(batch, s), append(who, i)
		}
		d.Forward(batch)
		for j, s := range batch {
			i := who[j]
			if want := w.want[i][done[i]:][:len(s.Tokens)]; !slices.Equal(s.LogProbs, want) {
				return fmt.Errorf("sequence %d, tokens %d…%d: %v, alone %v", i, done[i], done[i]+len(s.Tokens), s.LogProbs, want)
			}
			done[i] += len(s.Tokens)
		}
	}
	return nil
}

func finished(seqs [][]int32, done []int) bool {
	for i, s := range seqs {
		if done[i] < len(s)-1 {
			return false
		}
	}
	return true
}

// Logits of the last row are those that scoring uses, in every mode.
func TestLogitsAndScoresAgree(t *testing.T) {
	m := newTestModel(t, oddConfig())
	tokens := randomTokens(rand.New(rand.NewPCG(5, 6)), 40, m.Config.VocabSize)
	d := newDecoding(t, m, 2)
	a, b := d.span(0, 0, tokens[:39]), d.span(1, 0, tokens[:20])
	a.WantLogits, b.WantLogits = true, true
	a.Targets, b.Targets = tokens[38:40], tokens[20:21]
	d.Forward([]*Span{a, b})
	for _, s := range []*Span{a, b} {
		next := tokens[len(s.Tokens)]
		if got, want := float64(s.Logits[next])-kernel.LogSumExp(s.Logits), s.LogProbs[len(s.LogProbs)-1]; got != want {
			t.Errorf("after %d tokens: log p from logits %v, from scoring %v", len(s.Tokens), got, want)
		}
	}
}

// Two sequences read the pages of a prefix that was computed once.
func TestSharedPrefixPages(t *testing.T) {
	m := newTestModel(t, oddConfig())
	r := rand.New(rand.NewPCG(7, 8))
	prefix := randomTokens(r, 2*PageTokens, m.Config.VocabSize)
	d := newDecoding(t, m, 2)
	d.Forward([]*Span{d.span(0, 0, prefix)})
	for seq := 1; seq <= 2; seq++ {
		tail := randomTokens(r, 25, m.Config.VocabSize)
		want := scoreAlone(t, m, slices.Concat(prefix, tail))
		d.pages[seq] = slices.Clone(d.pages[0])
		s := d.span(seq, len(prefix), tail[:24])
		s.Targets = tail[1:]
		d.Forward([]*Span{s})
		if !slices.Equal(s.LogProbs, want[len(prefix):]) {
			t.Errorf("sequence %d scores differently on cached pages", seq)
		}
	}
}

// Greedy decoding of a batch, prompt 64, up to position 256: tokens per second of the
// 192 generated, prefill not counted, as peer_llama_torch.py measures.
func BenchmarkDecode(b *testing.B) {
	for _, batch := range []int{1, 4, 8, 16, 32, 64, 128} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			m, err := NewModel(configS)
			if err != nil {
				b.Fatal(err)
			}
			m.Init(1)
			pool := kernel.NewPool(0)
			defer pool.Close()
			d := NewDecoder(m, pool, NewCache(m.Config, batch*16))
			r := rand.New(rand.NewPCG(1, 1))
			spans := make([]*Span, batch)
			prompts := make([][]int32, batch)
			for i := range spans {
				spans[i] = &Span{WantLogits: true}
				for range 16 {
					p, _ := d.cache.Alloc(-1)
					spans[i].Pages = append(spans[i].Pages, p)
				}
				prompts[i] = randomTokens(r, 64, 2048)
			}
			tokens := 0
			for b.Loop() {
				b.StopTimer()
				for i, s := range spans {
					s.Start, s.Tokens = 0, prompts[i]
				}
				d.Forward(spans)
				b.StartTimer()
				for pos := 64; pos < 256; pos++ {
					for _, s := range spans {
						best := 0
						for id, x := range s.Logits {
							if x > s.Logits[best] {
								best = id
							}
						}
						s.Start, s.Tokens = pos, []int32{int32(best)}
					}
					d.Forward(spans)
				}
				tokens += batch * 192
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}

// The probability of every token of 16 sequences of 256.
func BenchmarkForward(b *testing.B) {
	m, err := NewModel(configS)
	if err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	pool := kernel.NewPool(0)
	defer pool.Close()
	d := NewDecoder(m, pool, NewCache(m.Config, 16*16))
	r := rand.New(rand.NewPCG(1, 1))
	spans := make([]*Span, 16)
	for i := range spans {
		tokens := randomTokens(r, 257, 2048)
		spans[i] = &Span{Tokens: tokens[:256], Targets: tokens[1:]}
		for range 16 {
			p, _ := d.cache.Alloc(-1)
			spans[i].Pages = append(spans[i].Pages, p)
		}
	}
	for b.Loop() {
		d.Forward(spans)
	}
	b.ReportMetric(float64(b.N*16*256)/b.Elapsed().Seconds(), "tok/s")
}
