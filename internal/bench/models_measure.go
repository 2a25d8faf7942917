package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/internal/optim"
)

const (
	modelBatch = 4  // sequences of a training step and of a batch to score
	loraRank   = 16 // on every projection
)

// The ways our engine holds a model's weights.
const (
	asStored  = "stored"  // as the file has them, mapped
	asFloat32 = "float32" // packed
	asInt8    = "int8"    // rounded to bytes
)

// opened is a model of a shape's directory, ready to compute.
type opened struct {
	*llama.Decoder
	pool  *kernel.Pool
	cache *llama.Cache
	full  *llama.Model // nil where weights stay in their file
}

func openModel(dir, how string, c llama.Config, sequences int, pool *kernel.Pool) (*opened, error) {
	o := &opened{pool: pool, cache: llama.NewCache(c, sequences*length/llama.PageTokens)}
	if how != asFloat32 {
		s, err := llama.LoadStored(os.DirFS(dir))
		if err != nil {
			return nil, err
		}
		if how == asInt8 {
			o.Decoder = llama.NewInt8Decoder(s.Int8(pool), pool, o.cache)
			return o, nil
		}
		o.Decoder = llama.NewStoredDecoder(s, pool, o.cache)
		return o, nil
	}
	var err error
	if o.full, err = llama.Load(os.DirFS(dir)); err != nil {
		return nil, err
	}
	o.Decoder = llama.NewDecoder(o.full, pool, o.cache)
	return o, nil
}

// measureModel takes one number of a shape in this process: "135M stored steps 8 20" is the
// speed of the median of 20 steps of a batch of 8.
func measureModel(words []string) (float64, error) {
	s, err := shapeOf(words[0])
	if err != nil {
		return 0, err
	}
	how, what := words[1], words[2]
	var n [2]int
	for i, w := range words[3:] {
		if n[i], err = strconv.Atoi(w); err != nil {
			return 0, err
		}
	}
	threads, err := strconv.Atoi(os.Getenv("PEER_THREADS"))
	if err != nil {
		return 0, err
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	dir := os.Getenv(directoryVariable)
	c := s.config.WithDefaults()
	sequences := modelBatch
	if what == "steps" {
		sequences = n[0]
	}
	if what == "whole" {
		m, err := llama.Load(os.DirFS(dir))
		if err != nil {
			return 0, err
		}
		return trainWhole(m, pool, n[0])
	}
	start := clock()
	m, err := openModel(dir, how, c, sequences, pool)
	if err != nil {
		return 0, err
	}
	switch what {
	case "open":
		return 1000 * (clock() - start), nil
	case "prefill":
		return m.prefill(n[0])
	case "score":
		return m.score(n[0])
	case "difference":
		return m.difference(dir)
	case "steps":
		return m.steps(n[0], n[1])
	case "lora":
		return m.trainLowRank(s, n[0])
	}
	return 0, fmt.Errorf("nothing is called %q", what)
}

// medianRate calls f once to warm up, then so many times more.
func medianRate(times, tokens int, f func() error) (float64, error) {
	if err := f(); err != nil {
		return 0, err
	}
	var spent []float64
	for range times {
		start := clock()
		if err := f(); err != nil {
			return 0, err
		}
		spent = append(spent, clock()-start)
	}
	return float64(tokens) / median(spent), nil
}

// spans are those of new sequences with tokens of their own.
func (m *opened) spans(r *rand.Rand, sequences, tokens int) ([]*llama.Span, error) {
	var out []*llama.Span
	for range sequences {
		s := &llama.Span{Tokens: tokensOf(r, tokens, m.Config().VocabSize)}
		last, ok := llama.Page(-1), true
		for range length / llama.PageTokens {
			if last, ok = m.cache.Alloc(last); !ok {
				return nil, fmt.Errorf("the cache has no room for %d sequences", sequences)
			}
			s.Pages = append(s.Pages, last)
		}
		out = append(out, s)
	}
	return out, nil
}

func tokensOf(r *rand.Rand, n, vocabulary int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(r.IntN(vocabulary))
	}
	return out
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

// prefill reads one prompt.
func (m *opened) prefill(times int) (float64, error) {
	spans, err := m.spans(newRand(), 1, length)
	if err != nil {
		return 0, err
	}
	spans[0].WantLogits = true
	return medianRate(times, length, func() error {
		m.Forward(spans)
		return nil
	})
}

// score is the log-probability of every token of a batch.
func (m *opened) score(times int) (float64, error) {
	r := newRand()
	spans, err := m.spans(r, modelBatch, length)
	if err != nil {
		return 0, err
	}
	for _, s := range spans {
		s.Targets = tokensOf(r, length, m.Config().VocabSize)
	}
	return medianRate(times, modelBatch*length, func() error {
		m.Forward(spans)
		return nil
	})
}

// difference is how far the log-probabilities of random tokens are from those of the weights as
// they are: the mean, in nats.
func (m *opened) difference(dir string) (float64, error) {
	exact, err := openModel(dir, asStored, m.Config(), 1, m.pool)
	if err != nil {
		return 0, err
	}
	var got [2][]float64
	for i, o := range []*opened{exact, m} {
		r := newRand()
		spans, err := o.spans(r, 1, length)
		if err != nil {
			return 0, err
		}
		spans[0].Targets = tokensOf(r, length, m.Config().VocabSize)
		o.Forward(spans)
		got[i] = spans[0].LogProbs
	}
	sum := 0.0
	for i, x := range got[0] {
		sum += math.Abs(x - got[1][i])
	}
	return sum / length, nil
}

// steps continues a batch of prompts greedily; their time does not count.
func (m *opened) steps(batch, times int) (float64, error) {
	spans, err := m.spans(newRand(), batch, prompt)
	if err != nil {
		return 0, err
	}
	for _, s := range spans {
		s.WantLogits = true
	}
	for part := range slices.Chunk(spans, 8) { // bounds what a pass holds
		m.Forward(part)
		for _, s := range part {
			s.Start, s.Tokens = prompt, []int32{argmax(s.Logits)}
		}
	}
	return medianRate(times, batch, func() error {
		m.Forward(spans)
		for _, s := range spans {
			s.Start++
			s.Tokens[0] = argmax(s.Logits)
		}
		return nil
	})
}

func lossOfAll(c llama.Config) []llama.Sequence {
	r := newRand()
	seqs := make([]llama.Sequence, modelBatch)
	for i := range seqs {
		seqs[i].Tokens = tokensOf(r, length+1, c.VocabSize)
		seqs[i].Loss = slices.Repeat([]bool{true}, length+1)
		seqs[i].Loss[0] = false
	}
	return seqs
}

// trainLowRank takes steps of LoRA on every projection.
func (m *opened) trainLowRank(s shape, times int) (float64, error) {
	params, err := s.config.Shapes()
	if err != nil {
		return 0, err
	}
	var weights []lora.Weight
	for _, p := range params {
		if len(p.Shape) == 2 {
			weights = append(weights, lora.Weight{Name: p.Name, Out: p.Shape[0], In: p.Shape[1]})
		}
	}
	a, err := lora.New(lora.Config{Rank: loraRank, Alpha: 2 * loraRank}, weights, 1)
	if err != nil {
		return 0, err
	}
	var updates []llama.LowRank
	for _, x := range a.Matrices {
		updates = append(updates, llama.LowRank{Name: x.Name, Rank: loraRank, A: x.A, B: x.B, Scale: float32(a.Config.Scale())})
	}
	t, err := llama.NewLowRankTrainer(m.Decoder, updates, 0)
	if err != nil {
		return 0, err
	}
	var tensors []optim.Tensor
	for i, g := range t.Updates() {
		tensors = append(tensors, optim.Tensor{Param: updates[i].A, Grad: g.A, Decay: true}, optim.Tensor{Param: updates[i].B, Grad: g.B, Decay: true})
	}
	return trainSteps(t, tensors, m.Config(), m.pool, times)
}

// trainWhole takes steps of training all weights.
func trainWhole(m *llama.Model, pool *kernel.Pool, times int) (float64, error) {
	t := llama.NewTrainer(m, pool)
	var tensors []optim.Tensor
	gradients := t.Gradient().Params()
	for i, p := range m.Params() {
		tensors = append(tensors, optim.Tensor{Param: p.Data, Grad: gradients[i].Data, Decay: p.Decay})
	}
	return trainSteps(t, tensors, m.Config, pool, times)
}

func trainSteps(t *llama.Trainer, tensors []optim.Tensor, c llama.Config, pool *kernel.Pool, times int) (float64, error) {
	opt := optim.NewAdamW(optim.Options{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.01}, tensors)
	seqs := lossOfAll(c)
	scale := 1 / float64(llama.Predictions(seqs))
	return medianRate(times, modelBatch*length, func() error {
		t.ZeroGradient()
		if _, _, err := t.Accumulate(seqs, scale); err != nil {
			return err
		}
		_, err := opt.Step(pool, 1e-4)
		return err
	})
}

// stream is how fast the pool reads memory that no cache holds, in GB/s: the best of some times.
func stream(pool *kernel.Pool) float64 {
	x := make([]float32, 1<<28)
	for i := range x {
		x[i] = float32(i)
	}
	best := 0.0
	const block = 1 << 14
	for range 10 {
		start := clock()
		pool.For(len(x), block, func(_, lo, hi int) {
			for ; lo < hi; lo += block {
				kernel.Max(x[lo : lo+block])
			}
		})
		best = max(best, 4*float64(len(x))/(clock()-start)/1e9)
	}
	return best
}
