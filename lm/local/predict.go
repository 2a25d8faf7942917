package local

import (
	"stargate/internal/kernel"
	"stargate/lm"
)

// judge is what a prediction (V) says about the token id, with the n most probable tokens.
func judge(logits []float32, id int32, n int) Drawn {
	total := kernel.LogSumExp(logits)
	d := Drawn{ID: id, LogProb: float64(logits[id]) - total}
	mine := logits[id]
	for _, x := range logits {
		if x >= mine {
			d.Rank++
		}
	}
	if n > 0 {
		d.Alternatives = top(logits, n)
		for i := range d.Alternatives {
			d.Alternatives[i].LogProb -= total
		}
	}
	return d
}

// top is the n largest of logits, largest first, of equals the lowest id.
func top(logits []float32, n int) []lm.TokenLogProb {
	n = min(n, len(logits))
	best := make([]lm.TokenLogProb, 0, n+1)
	for id, x := range logits {
		v := float64(x)
		if len(best) == n && v <= best[n-1].LogProb {
			continue
		}
		at := len(best)
		for at > 0 && best[at-1].LogProb < v {
			at--
		}
		best = append(best, lm.TokenLogProb{})
		copy(best[at+1:], best[at:])
		best[at] = lm.TokenLogProb{ID: int32(id), LogProb: v}
		best = best[:min(len(best), n)]
	}
	return best
}
