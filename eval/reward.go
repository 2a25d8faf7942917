package eval

import (
	"slices"

	"stargate"
	"stargate/eval/stats"
)

// Reward collects what [Reliability] tells, pair by pair in the split's order. It keeps numbers
// and no texts: a few words of memory for each candidate.
type Reward struct {
	seed  uint64
	truth Truth
	r     Reliability // sums, until they are divided

	sum, mean                  []float64 // over candidates
	delta, deltaSum, deltaMean []float64 // over those where log p(gold | task) is known
	turns, gain                []float64 // over pairs
	saturation                 [][]float64
	lengths                    float64
	ranked                     int
	leaks                      leakCounts
}

// NewReward begins to collect for the split that model asked about; truth may be nil.
func NewReward(model, split string, seed uint64, truth Truth) *Reward {
	return &Reward{seed: seed, truth: truth, r: Reliability{Model: model, Split: split, Saturation: []Best{}, Leaks: []Leak{}}, leaks: leakCounts{all: map[string]int{}, chosen: map[string]int{}}}
}

// Add takes the candidates of the next pair, whose log p(gold | task) was not measured.
func (w *Reward) Add(c stargate.Candidates) { w.add(c, 0, false) }

func (w *Reward) add(c stargate.Candidates, base float64, known bool) {
	w.leaks.add(w.truth, c)
	scores := make([]float64, len(c.Scored))
	total := 0.0
	for k, s := range c.Scored {
		scores[k] = s.LogProb
		total += s.LogProb
		w.sum, w.mean = append(w.sum, s.LogProb), append(w.mean, s.LogProb/float64(max(s.Tokens, 1)))
		if known {
			w.delta, w.deltaSum, w.deltaMean = append(w.delta, s.LogProb-base), append(w.deltaSum, s.LogProb), append(w.deltaMean, s.LogProb/float64(max(s.Tokens, 1)))
		}
	}
	n := len(scores)
	if n > 0 && known {
		w.turns, w.gain = append(w.turns, float64(len(c.Scored[0].Turns))), append(w.gain, total/float64(n)-base)
	}
	if n < 2 {
		return
	}
	r := &w.r
	r.Pairs++
	r.Candidates += n
	order := slices.Sorted(slices.Values(scores))
	r.Margin += order[n-1] - total/float64(n)
	r.Second += order[n-1] - order[n-2]
	if order[n-1]-order[n-2] < closeNats {
		r.Close++
	}
	best := stats.BestOf(scores)
	for m := range best {
		best[m] -= total / float64(n)
	}
	w.saturation = append(w.saturation, best)
	if rho, ok := stats.Spearman(scores, wordsOf(c.Scored), nil); ok {
		w.lengths += rho
		w.ranked++
	}
	same, byChance, gap := halves(w.truth, c, stargate.Seed(w.seed, "halves", r.Model, r.Split, c.Pair.Key()))
	r.Stable, r.ByChance, r.HalfGap = r.Stable+same, r.ByChance+byChance, r.HalfGap+gap
}

// Reliability is what was collected so far.
func (w *Reward) Reliability() Reliability {
	r := w.r
	if r.Pairs > 0 {
		n := float64(r.Pairs)
		r.Margin, r.Second, r.Close = r.Margin/n, r.Second/n, r.Close/n
		r.Stable, r.ByChance, r.HalfGap = r.Stable/n, r.ByChance/n, r.HalfGap/n
	}
	if w.ranked > 0 {
		r.LengthRank = w.lengths / float64(w.ranked)
	}
	r.SumMean, r.SumDelta, r.MeanDelta, r.TurnsDelta = rho(w.sum, w.mean), rho(w.deltaSum, w.delta), rho(w.deltaMean, w.delta), rho(w.turns, w.gain)
	r.TopSumMean, r.TopSumDelta = overlap(w.sum, w.mean), overlap(w.deltaSum, w.delta)
	r.Saturation = saturated(w.saturation)
	r.Leaks = w.leaks.shares(w.truth)
	return r
}

// leakCounts counts each kind of leak over all candidates and over the chosen ones.
type leakCounts struct {
	all, chosen          map[string]int
	candidates, selected int
}

func (l *leakCounts) add(truth Truth, c stargate.Candidates) {
	states, _ := truth.(Stated)
	best := map[int]bool{}
	for _, b := range c.Best {
		best[b] = true
	}
	gold := grams(c.Pair.Gold)
	for i, s := range c.Scored {
		l.candidates++
		if best[i] {
			l.selected++
		}
		for kind, found := range leaksOf(truth, states, c.Pair, gold, s) {
			if !found {
				continue
			}
			l.all[kind]++
			if best[i] {
				l.chosen[kind]++
			}
		}
	}
}

func (l *leakCounts) shares(truth Truth) []Leak {
	kinds := []string{GoldInAnswer, GoldInQuestion}
	if _, states := truth.(Stated); states {
		kinds = append(kinds, Volunteered)
	}
	out := []Leak{}
	for _, k := range kinds {
		out = append(out, Leak{k, float64(l.all[k]) / float64(max(l.candidates, 1)), float64(l.chosen[k]) / float64(max(l.selected, 1)), l.all[k], l.chosen[k]})
	}
	return out
}
