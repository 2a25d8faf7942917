package llama

import (
	"fmt"
	"math"

	"stargate/internal/kernel"
	"stargate/lm"
)

// Trainer computes losses and gradients of a model over packed sequences.
//
// The result never depends on the number of workers: work is divided over elements of the
// output (tiles, rows, or one sequence's head), and every sum has one fixed order.
// A Trainer is not for concurrent use. Its memory is allocated at first use and kept.
type Trainer struct {
	model *Model
	grad  *Model
	pool  *kernel.Pool

	forward  packedWeights // right-hand sides of y = x Wᵀ
	backward packedWeights // right-hand sides of dx = dy W
	rope     *rope
	act      activations
	attn     []attention // scratch, one per worker
}

// NewTrainer prepares training of m on the workers of pool. The gradient starts at zero.
func NewTrainer(m *Model, pool *kernel.Pool) *Trainer {
	t := &Trainer{model: m, grad: m.Clone(), pool: pool, attn: make([]attention, pool.Workers())}
	t.forward = newPackedWeights(len(m.Layers))
	t.backward = newPackedWeights(len(m.Layers))
	t.ZeroGradient()
	return t
}

// Gradient is the accumulated gradient: a Model of the same shape whose "weights" are the
// derivatives. It stays valid, and is added to by every Accumulate.
func (t *Trainer) Gradient() *Model { return t.grad }

// ZeroGradient sets the gradient to zero.
func (t *Trainer) ZeroGradient() { clear(t.grad.flat) }

// Accumulate adds the gradient of scale * Σ nll to [Trainer.Gradient], where the sum runs
// over all predictions that carry loss and nll is in nats. It returns Σ nll (unscaled) and
// the number of those predictions.
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

// Loss is Accumulate without the gradient: the value at which the model predicts seqs.
// The two return the same bits.
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
	// The weights may have changed since the last call; packing costs about a hundredth of
	// a step.
	t.forward.packForward(t.pool, t.model)
	if gradient {
		t.backward.packBackward(t.pool, t.model)
	}
	// Memory grows to the largest microbatch at once, not step by step.
	if i := largest(batches); i > 0 {
		t.act.prepare(t.model.Config, batches[i], gradient)
	}
	for _, b := range batches {
		t.act.prepare(t.model.Config, b, gradient)
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

// packedWeights are a model's matrices in the layout that products read.
type packedWeights struct {
	layers []packedLayer
	head   kernel.Packed
}

type packedLayer struct{ qkv, out, gateUp, down kernel.Packed }

func newPackedWeights(layers int) packedWeights {
	return packedWeights{layers: make([]packedLayer, layers)}
}

func (w *packedWeights) packForward(p *kernel.Pool, m *Model) {
	c := m.Config
	d, f := c.HiddenSize, c.IntermediateSize
	for i := range m.Layers {
		l, b := &m.Layers[i], &w.layers[i]
		p.PackTransposed(&b.qkv, l.QKV, c.qkv(), d, d)
		p.PackTransposed(&b.out, l.Out, d, c.attn(), c.attn())
		p.PackTransposed(&b.gateUp, l.GateUp, 2*f, d, d)
		p.PackTransposed(&b.down, l.Down, d, f, f)
	}
	p.PackTransposed(&w.head, m.Head, c.VocabSize, d, d)
}

func (w *packedWeights) packBackward(p *kernel.Pool, m *Model) {
	c := m.Config
	d, f := c.HiddenSize, c.IntermediateSize
	for i := range m.Layers {
		l, b := &m.Layers[i], &w.layers[i]
		p.Pack(&b.qkv, l.QKV, c.qkv(), d, d)
		p.Pack(&b.out, l.Out, d, c.attn(), c.attn())
		p.Pack(&b.gateUp, l.GateUp, 2*f, d, d)
		p.Pack(&b.down, l.Down, d, f, f)
	}
	p.Pack(&w.head, m.Head, c.VocabSize, d, d)
}
