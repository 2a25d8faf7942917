package llama

import (
	"runtime"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/optim"
)

// configS is the shape the engine's speeds are stated for.
var configS = Config{ModelType: "llama", VocabSize: 2048, HiddenSize: 256, IntermediateSize: 688, NumHiddenLayers: 6,
	NumAttentionHeads: 8, NumKeyValueHeads: 4, MaxPositionEmbeddings: 512}

// configNano is about the shape of the built-in model.
var configNano = Config{ModelType: "mistral", VocabSize: 1024, HiddenSize: 160, IntermediateSize: 432, NumHiddenLayers: 4,
	NumAttentionHeads: 5, NumKeyValueHeads: 5, MaxPositionEmbeddings: 512, TieWordEmbeddings: true}

// benchmarkSequences have a tenth of their targets masked.
func benchmarkSequences(c Config, lengths ...int) []Sequence {
	var seqs []Sequence
	for i, n := range lengths {
		seqs = append(seqs, randomSequence(c, uint64(i), n+1, 0.9))
	}
	return seqs
}

func repeat(n, times int) []int {
	out := make([]int, times)
	for i := range out {
		out[i] = n
	}
	return out
}

// benchmarkStep measures forward, backward and AdamW. MiB is all memory that Go holds.
func benchmarkStep(b *testing.B, c Config, lengths ...int) {
	m := randomModel(b, c)
	m.Init(1)
	pool := kernel.NewPool(0)
	defer pool.Close()
	tr, seqs := NewTrainer(m, pool), benchmarkSequences(m.Config, lengths...)
	opt := optim.NewAdamW(optim.Options{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, tensorsOf(tr))
	scale := 1 / float64(Predictions(seqs))
	for b.Loop() {
		tr.ZeroGradient()
		if _, _, err := tr.Accumulate(seqs, scale); err != nil {
			b.Fatal(err)
		}
		if _, err := opt.Step(pool, 1e-3); err != nil {
			b.Fatal(err)
		}
	}
	reportTokens(b, lengths)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.Sys)/(1<<20), "MiB")
}

// benchmarkLoss measures the forward pass with all logits.
func benchmarkLoss(b *testing.B, c Config, lengths ...int) {
	m := randomModel(b, c)
	m.Init(1)
	pool := kernel.NewPool(0)
	defer pool.Close()
	tr, seqs := NewTrainer(m, pool), benchmarkSequences(m.Config, lengths...)
	for _, s := range seqs {
		for t := range s.Loss {
			s.Loss[t] = t > 0
		}
	}
	for b.Loop() {
		if _, _, err := tr.Loss(seqs); err != nil {
			b.Fatal(err)
		}
	}
	reportTokens(b, lengths)
}

func reportTokens(b *testing.B, lengths []int) {
	tokens := 0
	for _, n := range lengths {
		tokens += n
	}
	b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
}

func tensorsOf(tr *Trainer) []optim.Tensor {
	var tensors []optim.Tensor
	grads := tr.Gradient().Params()
	for i, p := range tr.model.Params() {
		tensors = append(tensors, optim.Tensor{Param: p.Data, Grad: grads[i].Data, Decay: p.Decay})
	}
	return tensors
}

func BenchmarkTrainStep(b *testing.B) { benchmarkStep(b, configS, repeat(256, 16)...) }
func BenchmarkLoss(b *testing.B)      { benchmarkLoss(b, configS, repeat(256, 16)...) }

// Conversations of the built-in world have 60 to 250 tokens.
var nanoLengths = []int{61, 97, 128, 203, 250, 77, 150, 181, 90, 112, 240, 66, 133, 170, 222, 84}

func BenchmarkTrainNano(b *testing.B) { benchmarkStep(b, configNano, nanoLengths...) }
func BenchmarkLossNano(b *testing.B)  { benchmarkLoss(b, configNano, nanoLengths...) }
