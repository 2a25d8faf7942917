package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"

	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/optim"
)

// configS is the shape that the engine's speeds are stated for; peer_torch.py has the same.
var configS = llama.Config{ModelType: "llama", VocabSize: 2048, HiddenSize: 256, IntermediateSize: 688, NumHiddenLayers: 6,
	NumAttentionHeads: 8, NumKeyValueHeads: 4, MaxPositionEmbeddings: 512}

const (
	length    = 256 // tokens of a sequence
	batchSize = 16  // sequences of a train step and a forward pass
	prompt    = 64  // tokens of a sequence before it is continued to length
)

// measure takes one number in this process: "train 3" is the speed of three steps.
func measure(words []string) (float64, error) {
	switch words[0] {
	case "model":
		return measureModel(words[1:])
	case "write":
		s, err := shapeOf(words[1])
		if err != nil {
			return 0, err
		}
		return 0, s.write(os.Getenv(directoryVariable))
	}
	var n []int
	for _, w := range words[1:] {
		i, err := strconv.Atoi(w)
		if err != nil {
			return 0, err
		}
		n = append(n, i)
	}
	threads, err := strconv.Atoi(os.Getenv("PEER_THREADS"))
	if err != nil {
		return 0, err
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	switch words[0] {
	case "train":
		return train(pool, n[0])
	case "train-share":
		return trainShare(pool, n[0])
	case "forward":
		return forward(pool, n[0])
	case "decode":
		return decode(pool, n[0], n[1])
	case "stream":
		return stream(pool), nil
	case "sgemm":
		return sgemm(pool, n[0], n[1], n[2], false), nil
	case "sgemm-packed":
		return sgemm(pool, n[0], n[1], n[2], true), nil
	}
	return 0, fmt.Errorf("nothing is called %q", words[0])
}

func newModel() (*llama.Model, error) {
	m, err := llama.NewModel(configS)
	if err != nil {
		return nil, err
	}
	m.Init(1)
	return m, nil
}

func randomTokens(r *rand.Rand, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(r.IntN(configS.VocabSize))
	}
	return out
}

// rate calls f once to warm up, then so many times more.
func rate(times, tokens int, f func() error) (float64, error) {
	if err := f(); err != nil {
		return 0, err
	}
	start := clock()
	for range times {
		if err := f(); err != nil {
			return 0, err
		}
	}
	return float64(times*tokens) / (clock() - start), nil
}

// train steps: forward, backward, AdamW; a tenth of the targets carries no loss.
func train(pool *kernel.Pool, steps int) (float64, error) {
	step, err := trainStep(pool)
	if err != nil {
		return 0, err
	}
	return rate(steps, batchSize*length, step)
}

func trainStep(pool *kernel.Pool) (step func() error, err error) {
	m, err := newModel()
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 1))
	seqs := make([]llama.Sequence, batchSize)
	for i := range seqs {
		seqs[i].Tokens = randomTokens(r, length+1)
		seqs[i].Loss = make([]bool, length+1)
		for t := 1; t <= length; t++ {
			seqs[i].Loss[t] = r.Float64() < 0.9
		}
	}
	t := llama.NewTrainer(m, pool)
	var tensors []optim.Tensor
	gradients := t.Gradient().Params()
	for i, p := range m.Params() {
		tensors = append(tensors, optim.Tensor{Param: p.Data, Grad: gradients[i].Data, Decay: p.Decay})
	}
	opt := optim.NewAdamW(optim.Options{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.01}, tensors)
	scale := 1 / float64(llama.Predictions(seqs))
	return func() error {
		t.ZeroGradient()
		if _, _, err := t.Accumulate(seqs, scale); err != nil {
			return err
		}
		_, err := opt.Step(pool, 1e-3)
		return err
	}, nil
}

// trainShare is the speed of train steps in per cent of that of products 4096×256×2048: the
// median of so many rounds of a step and of products for about as long, since a shared machine
// is not equally fast in any two seconds.
func trainShare(pool *kernel.Pool, rounds int) (float64, error) {
	step, err := trainStep(pool)
	if err != nil {
		return 0, err
	}
	const m, k, n, calls = 4096, 256, 2048, 40
	product := newProduct(pool, m, k, n, false)
	if err := step(); err != nil { // warms up
		return 0, err
	}
	product()
	var shares []float64
	for range rounds {
		start := clock()
		if err := step(); err != nil {
			return 0, err
		}
		stepped := clock()
		for range calls {
			product()
		}
		ours := batchSize * length * flopsPerToken / (stepped - start)
		shares = append(shares, 100*ours/(calls*2*m*k*n/(clock()-stepped)))
	}
	return median(shares), nil
}

// forward is the log-probability of every token, from all logits.
func forward(pool *kernel.Pool, passes int) (float64, error) {
	d, spans, err := newDecoder(pool, batchSize)
	if err != nil {
		return 0, err
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range spans {
		tokens := randomTokens(r, length+1)
		s.Tokens, s.Targets = tokens[:length], tokens[1:]
	}
	return rate(passes, batchSize*length, func() error {
		d.Forward(spans)
		return nil
	})
}

// decode continues a batch of prompts greedily; the time of the prompts does not count.
func decode(pool *kernel.Pool, batch, runs int) (float64, error) {
	d, spans, err := newDecoder(pool, batch)
	if err != nil {
		return 0, err
	}
	r := rand.New(rand.NewPCG(1, 1))
	var spent float64
	for run := range runs + 1 {
		for _, s := range spans {
			s.Start, s.Tokens, s.WantLogits = 0, randomTokens(r, prompt), true
		}
		d.Forward(spans)
		end := length
		if run == 0 {
			end = prompt + 8 // warms up
		}
		start := clock()
		for position := prompt; position < end; position++ {
			for _, s := range spans {
				s.Start, s.Tokens = position, []int32{argmax(s.Logits)}
			}
			d.Forward(spans)
		}
		if run > 0 {
			spent += clock() - start
		}
	}
	return float64(runs*batch*(length-prompt)) / spent, nil
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// newDecoder has a cache for so many whole sequences, and a span for each.
func newDecoder(pool *kernel.Pool, batch int) (*llama.Decoder, []*llama.Span, error) {
	m, err := newModel()
	if err != nil {
		return nil, nil, err
	}
	pages := length / llama.PageTokens
	cache := llama.NewCache(m.Config, batch*pages)
	spans := make([]*llama.Span, batch)
	for i := range spans {
		spans[i] = new(llama.Span)
		last, ok := llama.Page(-1), true
		for range pages {
			if last, ok = cache.Alloc(last); !ok {
				return nil, nil, fmt.Errorf("the cache has no room for %d sequences", batch)
			}
			spans[i].Pages = append(spans[i].Pages, last)
		}
	}
	return llama.NewDecoder(m, pool, cache), spans, nil
}

// sgemm is the rate of the fastest call of y = x Wᵀ; of the mean one in the processor's time.
func sgemm(pool *kernel.Pool, m, k, n int, packedBefore bool) float64 {
	call := newProduct(pool, m, k, n, packedBefore)
	call()
	best, calls, start := math.Inf(1), 0, clock()
	for before := start; before < start+0.4; calls++ {
		call()
		now := clock()
		best, before = min(best, now-before), now
	}
	if processorTime() { // too coarse for one call
		best = (clock() - start) / float64(calls)
	}
	return 2 * float64(m) * float64(n) * float64(k) / best / 1e9
}

// newProduct is a function that computes y = x Wᵀ.
func newProduct(pool *kernel.Pool, m, k, n int, packedBefore bool) func() {
	r := rand.New(rand.NewPCG(1, 1))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	x, w, y := random(m*k), random(n*k), make([]float32, m*n)
	var packed kernel.Packed
	pool.PackTransposed(&packed, w, n, k, k)
	return func() {
		if !packedBefore {
			pool.PackTransposed(&packed, w, n, k, k)
		}
		pool.Mul(y, n, x, k, &packed, m, false)
	}
}
