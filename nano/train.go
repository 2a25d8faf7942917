package nano

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/optim"
)

// recipe is how the model is trained.
type recipe struct {
	seed      uint64
	steps     int // updates
	batch     int // documents per update
	rate      float64
	warmup    int
	workers   int // 0 = one per CPU
	logEvery  int
	saveEvery int // updates between checkpoints; 0 = none
}

// step is one line of the training log.
type step struct {
	Step   int     `json:"step"`
	Tokens int     `json:"tokens"` // read so far
	Loss   float64 `json:"loss"`   // mean nats per predicted token since the last line
	Rate   float64 `json:"learning_rate"`
	Norm   float64 `json:"grad_norm"`
}

// encode turns a document into a training sequence.
type encode func(Document) (llama.Sequence, error)

// train fits m to the corpus. Results depend on recipe and corpus alone, never on workers.
// checkpoint is called between updates with the weights as they are.
func train(ctx context.Context, m *llama.Model, c *Corpus, enc encode, r recipe, log func(step), checkpoint func(step) error) error {
	pool := kernel.NewPool(r.workers)
	defer pool.Close()
	trainer := llama.NewTrainer(m, pool)
	opt := optim.NewAdamW(optim.Options{Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, Decay: 0.01, MaxNorm: 1}, tensors(m, trainer.Gradient()))
	schedule := optim.Schedule{Base: r.rate, Warmup: r.warmup, Total: r.steps, MinRatio: 0.02}

	loss, predictions, tokens := 0.0, 0, 0
	for s := range r.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch, err := sequences(c, enc, s*r.batch, r.batch)
		if err != nil {
			return err
		}
		n := llama.Predictions(batch)
		trainer.ZeroGradient()
		sum, _, err := trainer.Accumulate(batch, 1/float64(n))
		if err != nil {
			return fmt.Errorf("update %d: %w", s+1, err)
		}
		rate := schedule.LR(s)
		norm, err := opt.Step(pool, rate)
		if err != nil {
			return err
		}
		loss, predictions = loss+sum, predictions+n
		for _, q := range batch {
			tokens += len(q.Tokens)
		}
		line := step{Step: s + 1, Tokens: tokens, Loss: loss / float64(predictions), Rate: rate, Norm: norm}
		if (s+1)%r.logEvery == 0 || s+1 == r.steps {
			log(line)
			loss, predictions = 0, 0
		}
		if r.saveEvery > 0 && (s+1)%r.saveEvery == 0 && s+1 < r.steps {
			if err := checkpoint(line); err != nil {
				return err
			}
		}
	}
	return nil
}

func tensors(m, grad *llama.Model) []optim.Tensor {
	params, grads := m.Params(), grad.Params()
	ts := make([]optim.Tensor, len(params))
	for i, p := range params {
		ts[i] = optim.Tensor{Param: p.Data, Grad: grads[i].Data, Decay: p.Decay}
	}
	return ts
}

// sequences encodes documents [from, from+n), in order, on all CPUs.
func sequences(c *Corpus, enc encode, from, n int) ([]llama.Sequence, error) {
	seqs, errs := make([]llama.Sequence, n), make([]error, n)
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				d, err := c.Document(from + i)
				if err == nil {
					seqs[i], err = enc(d)
				}
				errs[i] = err
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", from+i, err)
		}
	}
	return seqs, nil
}
