package eval

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"stargate"
	"stargate/eval/stats"
)

// Reliability is how far the reward, log p(gold | task, conversation) under Q_BASE, can be
// relied on to choose conversations.
//
// The gold of a pair is the same for all its conversations, so that the sum over its tokens,
// their mean, and the sum less log p(gold | task) rank the conversations of a pair alike: the
// choice of the paper (top-k within a pair) cannot depend on which of the three is taken.
// They differ between pairs, where a filter over the whole data set would use them.
type Reliability struct {
	Model      string `json:"model"` // who asked
	Split      string `json:"split"`
	Pairs      int    `json:"pairs"`      // with two complete conversations or more
	Candidates int    `json:"candidates"` // their complete conversations

	// Spearman's ρ over all candidates of all pairs, and the overlap of the best quarters.
	// Absent where a side does not vary, or where log p(gold | task) was not measured.
	SumMean     *float64 `json:"sum_mean,omitempty"`
	SumDelta    *float64 `json:"sum_delta,omitempty"`
	MeanDelta   *float64 `json:"mean_delta,omitempty"`
	TopSumMean  *float64 `json:"top_sum_mean,omitempty"`
	TopSumDelta *float64 `json:"top_sum_delta,omitempty"`

	Margin     float64 `json:"margin"`      // nats between the best and the mean candidate of a pair
	Second     float64 `json:"second"`      // nats between the best and the second best
	Close      float64 `json:"close"`       // share of pairs where these two are within a nat
	Stable     float64 `json:"stable"`      // two halves of a pair's candidates choose conversations about the same
	ByChance   float64 `json:"by_chance"`   // two candidates of a pair drawn at random are about the same
	HalfGap    float64 `json:"half_gap"`    // nats between the best of one half and the best of the other
	Saturation []Best  `json:"saturation"`  // what fewer candidates would have found
	LengthRank float64 `json:"length_rank"` // mean over pairs of Spearman's ρ between score and words of the conversation
	// TurnsDelta is Spearman's ρ over pairs between turns and the mean gain over log p(gold | task).
	TurnsDelta *float64 `json:"turns_delta,omitempty"`

	Leaks []Leak `json:"leaks"`
}

// Best is the expected score of the best of so many candidates, in nats over their mean.
type Best struct {
	Of   int     `json:"of"`
	Over float64 `json:"over"`
}

// Leak is a kind of conversation whose score the questions did not earn, as a share of all
// candidates and of the chosen ones. A chosen share above that of all means that the reward
// favours it.
type Leak struct {
	Kind     string  `json:"kind"`
	All      float64 `json:"all"`
	Selected float64 `json:"selected"`
	N        int     `json:"n"`        // candidates that have it
	Chosen   int     `json:"chosen_n"` // of the chosen ones
}

// Kinds of leaks.
const (
	GoldInAnswer   = "gold in an answer"  // an answer holds leakWords words in a row of the gold, said by nobody before
	GoldInQuestion = "gold in a question" // the Questioner says them
	Volunteered    = "volunteered"        // an answer states an attribute that was not asked for; needs a known truth
)

// leakWords in a row are no chance: as many as the guards of the simulation take.
const leakWords = 6

// closeNats is how near two scores are that a slightly different engine could exchange.
const closeNats = 1

// ReliabilityOf measures the reward on the candidates of a split. neg gives log p(gold |
// task) of a pair, where it was measured; truth may be nil.
func ReliabilityOf(model, split string, seed uint64, truth Truth, rated []stargate.Candidates, neg func(pair int) (float64, bool)) Reliability {
	w := NewReward(model, split, seed, truth)
	for i, c := range rated {
		base, known := 0.0, false
		if neg != nil {
			base, known = neg(i)
		}
		w.add(c, base, known)
	}
	return w.Reliability()
}

func rho(x, y []float64) *float64 {
	if v, ok := stats.Spearman(x, y, nil); ok {
		return &v
	}
	return nil
}

// overlap is the share of the best quarter by x that is also in the best quarter by y.
func overlap(x, y []float64) *float64 {
	k := len(x) / 4
	if k == 0 {
		return nil
	}
	in := map[int]bool{}
	for _, i := range topIndices(x, k) {
		in[i] = true
	}
	both := 0
	for _, i := range topIndices(y, k) {
		if in[i] {
			both++
		}
	}
	share := float64(both) / float64(k)
	return &share
}

func topIndices(x []float64, k int) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case x[a] > x[b]:
			return -1
		case x[a] < x[b]:
			return 1
		}
		return 0
	})
	return order[:k]
}

// saturated is the mean over pairs of the best of m, for every m that all pairs have.
func saturated(pairs [][]float64) []Best {
	shortest := 0
	for i, p := range pairs {
		if i == 0 || len(p) < shortest {
			shortest = len(p)
		}
	}
	out := []Best{}
	for m := range shortest {
		v := 0.0
		for _, p := range pairs {
			v += p[m] / float64(len(pairs))
		}
		if m == 0 { // the best of one is the mean; no rounding may say otherwise
			v = 0
		}
		out = append(out, Best{m + 1, v})
	}
	return out
}

func wordsOf(scored []stargate.Scored) []float64 {
	out := make([]float64, len(scored))
	for i, s := range scored {
		for _, t := range s.Turns {
			out[i] += float64(len(strings.Fields(t.Question)) + len(strings.Fields(t.Answer)))
		}
	}
	return out
}

// about is what a conversation is about: the attributes asked for, in any order; without a
// truth the first question, word for word.
func about(truth Truth, s stargate.Scored) string {
	if truth == nil {
		if len(s.Turns) == 0 {
			return ""
		}
		return strings.ToLower(strings.Join(strings.Fields(s.Turns[0].Question), " "))
	}
	asked := map[string]bool{}
	var all []string
	for _, t := range s.Turns {
		if a, ok := truth.Classify(t.Question); ok && !asked[a] {
			asked[a] = true
			all = append(all, a)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// splits is how often a pair's candidates are split into halves.
const splits = 20

// halves splits a pair's candidates at random into two halves, again and again, and tells
// how often the best of one is about the same as the best of the other, how often two
// candidates drawn at random are, and how far the two best scores lie apart.
func halves(truth Truth, c stargate.Candidates, seed uint64) (same, byChance, gap float64) {
	n := len(c.Scored)
	r := rand.New(rand.NewPCG(seed, 1))
	topic := make([]string, n)
	for i, s := range c.Scored {
		topic[i] = about(truth, s)
	}
	best := func(of []int) int {
		b := of[0]
		for _, i := range of {
			if c.Scored[i].LogProb > c.Scored[b].LogProb || c.Scored[i].LogProb == c.Scored[b].LogProb && i < b {
				b = i
			}
		}
		return b
	}
	for range splits {
		p := r.Perm(n)
		x, y := best(p[:n/2]), best(p[n/2:])
		if topic[x] == topic[y] {
			same++
		}
		gap += math.Abs(c.Scored[x].LogProb - c.Scored[y].LogProb)
	}
	pairs := 0
	for i := range n {
		for j := i + 1; j < n; j++ {
			pairs++
			if topic[i] == topic[j] {
				byChance++
			}
		}
	}
	return same / splits, byChance / float64(pairs), gap / splits
}

// leaksOf are the kinds of leaks of a conversation; gold has the runs of words of its pair's gold.
func leaksOf(truth Truth, states Stated, p stargate.Pair, gold map[string]bool, s stargate.Scored) map[string]bool {
	found := map[string]bool{}
	said := p.Task.Text
	fresh := func(text string) bool {
		known := ""
		for _, g := range ngrams(wordsIn(text), leakWords) {
			if !gold[g] {
				continue
			}
			if known == "" {
				known = inOneLine(said)
			}
			if !strings.Contains(known, " "+g+" ") {
				return true
			}
		}
		return false
	}
	asked := map[string]bool{}
	for _, t := range s.Turns {
		if fresh(t.Question) {
			found[GoldInQuestion] = true
		}
		said += " . " + t.Question
		if fresh(t.Answer) {
			found[GoldInAnswer] = true
		}
		said += " . " + t.Answer
		if states == nil {
			continue
		}
		if a, ok := truth.Classify(t.Question); ok {
			asked[a] = true
		}
		for _, f := range states.States(t.Answer) {
			if !asked[f.Attribute] {
				found[Volunteered] = true
			}
		}
	}
	return found
}

// grams are the runs of leakWords words in a text.
func grams(text string) map[string]bool {
	set := map[string]bool{}
	for _, g := range ngrams(wordsIn(text), leakWords) {
		set[g] = true
	}
	return set
}

// inOneLine is a text as words with a space before and after each, so that words in a row are
// found as a part of it.
func inOneLine(text string) string { return " " + strings.Join(wordsIn(text), " ") + " " }
