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
func (t *Trainer) loss(batch []span, scale float64, gradient bool) (sum float64, n int) {
	m, g, a := t.model, t.grad, &t.act
	d, v := m.Config.HiddenSize, m.Config.VocabSize
	eps := float32(m.Config.RMSNormEps)
	if gradient {
		clear(a.dx)
	}
	for from := 0; from < len(a.predict); from += chunkRows(v) {
		to := min(from+chunkRows(v), len(a.predict))
		rows, k := a.predict[from:to], to-from
		t.pool.For(k, 1, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				a.finalR[i] = kernel.RMSNorm(a.final[i*d:][:d], a.last[int(rows[i])*d:][:d], m.Norm, eps)
			}
		})
		t.pool.Mul(a.logits, v, a.final, d, &t.forward.head, k, false)
		t.pool.For(k, 1, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				row := a.logits[i*v:][:v]
				if gradient {
					a.nll[from+i] = crossEntropyBackward(row, a.target[from+i], scale)
				} else {
					a.nll[from+i] = crossEntropy(row, a.target[from+i])
				}
			}
		})
		if !gradient {
			continue
		}
		// logits = final Headᵀ
		t.pool.Mul(a.dfinal, d, a.logits, v, &t.backward.head, k, false)
		t.pool.MulTN(g.Head, d, a.logits, v, a.final, d, v, d, k, true)
		// final = RMSNorm(last): rows are gathered, otherwise as normaliseBackward.
		blocks := (k + rowBlock - 1) / rowBlock
		t.pool.For(blocks, 1, func(_, lo, hi int) {
			for b := lo; b < hi; b++ {
				dw := a.dscale[b*d:][:d]
				clear(dw)
				for i := b * rowBlock; i < min((b+1)*rowBlock, k); i++ {
					at := int(rows[i]) * d
					kernel.RMSNormBackward(a.dx[at:at+d], dw, a.dfinal[i*d:][:d], a.last[at:at+d], m.Norm, a.finalR[i])
				}
			}
		})
		for b := range blocks {
			kernel.Add(g.Norm, a.dscale[b*d:][:d])
		}
	}
	for _, x := range a.nll[:len(a.predict)] {
		sum += x
	}
	return sum, len(a.predict)
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
