package llama

import (
	"math"

	"stargate/internal/kernel"
)

// loss computes the negative log-likelihoods of the microbatch's predictions and, with
// gradient, act.dx (the gradient of scale * Σ nll by the last layer's output) and those of
// the head and the final norm.
//
// Only rows that carry loss are multiplied by the head, a chunk at a time.
func (t *Trainer) loss(scale float64, gradient bool) (sum float64, n int) {
	a := &t.act
	d, v := t.model.Config.HiddenSize, t.model.Config.VocabSize
	if gradient {
		clear(a.dx)
	}
	chunk := chunkRows(v)
	for from := 0; from < len(a.rowOf); from += chunk {
		k := min(chunk, len(a.rowOf)-from)
		t.eachRows(k, func(_, lo, hi int) {
			t.predict(from, lo, hi, scale, gradient)
			if gradient {
				t.predictBackward(from, lo, hi)
			}
		})
		if gradient && t.low == nil {
			t.pool.MulTN(t.grad.Head, d, a.logits, v, a.final, d, v, d, k, true)
			addPartial(t.grad.Norm, a.dscale2[:rowBlocks(k)*d])
		}
	}
	for _, x := range a.nll {
		sum += x
	}
	return sum, len(a.rowOf)
}

// predict computes logits = RMSNorm(last) Headᵀ and nll for rows [lo, hi) of the chunk that
// begins at prediction from. With gradient it replaces the logits by their gradient.
func (t *Trainer) predict(from, lo, hi int, scale float64, gradient bool) {
	m, a := t.model, &t.act
	d, v, eps := m.Config.HiddenSize, m.Config.VocabSize, float32(m.Config.RMSNormEps)
	for i := lo; i < hi; i++ {
		a.finalR[i] = kernel.RMSNorm(a.final[i*d:][:d], a.last[int(a.rowOf[from+i])*d:][:d], m.Norm, eps)
	}
	t.weights.head.apply(a.logits, v, a.final, d, lo, hi, false)
	for i := lo; i < hi; i++ {
		row, target := a.logits[i*v:][:v], a.target[from+i]
		if gradient {
			a.nll[from+i] = crossEntropyBackward(row, target, scale)
		} else {
			a.nll[from+i] = crossEntropy(row, target)
		}
	}
}

// predictBackward goes back through predict, to dx. It sets the row blocks' parts of the
// gradient of the final norm.
func (t *Trainer) predictBackward(from, lo, hi int) {
	m, a := t.model, &t.act
	d, v := m.Config.HiddenSize, m.Config.VocabSize
	t.weights.head.applyBackward(a.dfinal, d, a.logits, v, lo, hi)
	for i := lo; i < hi; i++ {
		dw := a.dscale2[i/rowBlock*d:][:d]
		if i%rowBlock == 0 {
			clear(dw)
		}
		at := int(a.rowOf[from+i]) * d
		kernel.RMSNormBackward(a.dx[at:at+d], dw, a.dfinal[i*d:][:d], a.last[at:at+d], m.Norm, a.finalR[i])
	}
}

// crossEntropy returns -log softmax(logits)[target] in nats. It overwrites logits with
// exp(logits-max).
func crossEntropy(logits []float32, target int32) float64 {
	nll, _ := exponentiate(logits, target)
	return nll
}

// crossEntropyBackward returns crossEntropy and replaces the logits by the gradient of
// scale*nll: scale*(softmax(logits) - onehot(target)).
func crossEntropyBackward(logits []float32, target int32, scale float64) float64 {
	nll, sum := exponentiate(logits, target)
	kernel.Scale(logits, float32(scale/float64(sum)))
	logits[target] -= float32(scale)
	return nll
}

func exponentiate(logits []float32, target int32) (nll float64, sum float32) {
	top, hit := kernel.Max(logits), logits[target]
	sum = kernel.ExpSum(logits, 1, top)
	return math.Log(float64(sum)) + float64(top) - float64(hit), sum
}
