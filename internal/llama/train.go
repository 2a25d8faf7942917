package llama

import (
	"fmt"
	"math"
	"runtime"

	"stargate/internal/kernel"
	"stargate/lm"
)

// Trainer computes losses and gradients of a model over packed sequences: of all its weights
// ([NewTrainer]), or of low-rank updates of frozen ones ([NewLowRankTrainer]).
//
// The result never depends on the number of workers: work is divided over elements of the
// output (tiles, rows, or one sequence's head), and every sum has one fixed order.
// A Trainer is not for concurrent use. Its memory is allocated at first use and kept.
type Trainer struct {
	model *Model    // without matrices where they are frozen
	grad  *Model    // nil where the weights are frozen
	low   *lowRanks // nil where they are not
	pool  *kernel.Pool

	weights  trainWeights
	embed    func(x []float32, id int32) // writes a token's row of Embed
	stored   *Stored                     // keeps mapped weights where they are, or nil
	rope     *rope
	act      activations
	attn     []attention // scratch, one per worker
	cuts     []int       // of eachRowsAlone
	dropping bool        // in this run

	recompute bool
	rounded   []byte // bf16 copies of the matrices, nil without RoundWeights
}

// NewTrainer prepares training of m on the workers of pool. The gradient starts at zero.
func NewTrainer(m *Model, pool *kernel.Pool) *Trainer {
	t := &Trainer{model: m, grad: m.Clone(), pool: pool, attn: make([]attention, pool.Workers())}
	t.weights = newTrainWeights(len(m.Layers))
	d := m.Config.HiddenSize
	t.embed = func(x []float32, id int32) { copy(x, m.Embed[int(id)*d:][:d]) }
	t.ZeroGradient()
	return t
}

// Gradient is the accumulated gradient: a Model of the same shape whose "weights" are the
// derivatives. It stays valid, and is added to by every Accumulate. nil for a trainer of
// low-rank updates, whose gradient is [Trainer.Updates].
func (t *Trainer) Gradient() *Model { return t.grad }

// ZeroGradient sets the gradient to zero.
func (t *Trainer) ZeroGradient() {
	if t.grad != nil {
		clear(t.grad.flat)
	}
	for _, g := range t.Updates() {
		clear(g.A)
		clear(g.B)
	}
}

// Accumulate adds the gradient of scale * Σ nll to [Trainer.Gradient] or [Trainer.Updates],
// where the sum runs over all predictions that carry loss and nll is in nats. It returns Σ nll
// (unscaled) and the number of those predictions.
//
// For the mean over a batch, pass scale = 1/n with n the batch's number of predictions
// ([Predictions]).
//
// Errors: [lm.ErrNoLoss] for a sequence without a prediction, [lm.ErrContextLength] for one
// that is too long; both before anything is computed. [lm.ErrNonFinite] when the loss is not
// finite; the gradient is then worthless and must be zeroed.
func (t *Trainer) Accumulate(seqs []Sequence, scale float64) (sum float64, n int, err error) {
	return t.run(seqs, scale, true)
}

// Loss is Accumulate without the gradient: the value at which the model predicts seqs. Nothing
// is dropped; without dropout the two return the same bits.
func (t *Trainer) Loss(seqs []Sequence) (sum float64, n int, err error) {
	return t.run(seqs, 0, false)
}

// Predictions counts the predictions of seqs that carry loss.
func Predictions(seqs []Sequence) int {
	n := 0
	for _, s := range seqs {
		for _, l := range s.Loss {
			if l {
				n++
			}
		}
	}
	return n
}

func (t *Trainer) run(seqs []Sequence, scale float64, gradient bool) (sum float64, n int, err error) {
	batches, longest, err := microbatches(t.model.Config, seqs)
	if err != nil {
		return 0, 0, err
	}
	if t.rope == nil || len(t.rope.cos) < longest*t.rope.half {
		t.rope = newRope(t.model.Config, longest)
	}
	defer runtime.KeepAlive(t.stored)
	t.dropping = gradient && t.low != nil && t.low.dropout.below > 0
	// The weights may have changed since the last call; packing costs about a hundredth of
	// a step.
	if t.low != nil {
		t.low.pack(gradient)
	} else if t.rounded != nil {
		t.round()
	} else {
		t.weights.packForward(t.pool, t.model)
		if gradient {
			t.weights.packBackward(t.pool, t.model)
		}
	}
	// Memory grows to the largest microbatch at once, not step by step.
	if i := largest(batches); i > 0 {
		t.prepare(batches[i], gradient)
	}
	for _, b := range batches {
		t.prepare(b, gradient)
		t.forwardPass(b, gradient)
		s, k := t.loss(scale, gradient)
		sum, n = sum+s, n+k
		if gradient {
			t.backwardPass(b)
		}
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return sum, n, fmt.Errorf("loss of %d sequences is %g: %w", len(seqs), sum, lm.ErrNonFinite)
	}
	return sum, n, nil
}
