package eval

import "stargate"

// Selection collects, pair by pair in the split's order, what a run tells of what an iteration
// had to select from. It keeps counts and sums.
type Selection struct {
	truth   Truth // may be nil
	hits, n [2]int
	margin  float64
	pairs   int // with something to select from
}

// NewSelection begins to collect; truth may be nil.
func NewSelection(truth Truth) *Selection { return &Selection{truth: truth} }

// Add takes the candidates of the next pair.
func (s *Selection) Add(c stargate.Candidates) {
	if s.truth != nil {
		s.addRelevant(c)
	}
	if len(c.Scored) == 0 || len(c.Best) == 0 {
		return
	}
	mean := 0.0
	for _, x := range c.Scored {
		mean += x.LogProb / float64(len(c.Scored))
	}
	s.margin += c.Scored[c.Best[0]].LogProb - mean
	s.pairs++
}

func (s *Selection) addRelevant(c stargate.Candidates) {
	relevant := map[string]bool{}
	for _, a := range s.truth.Relevant(c.Pair.Task) {
		relevant[a] = true
	}
	chosen := map[int]bool{}
	for _, i := range c.Best {
		chosen[i] = true
	}
	for i, x := range c.Scored {
		seen := map[string]bool{}
		for _, t := range x.Turns {
			a, ok := s.truth.Classify(t.Question)
			hit := 0
			if ok && relevant[a] && !seen[a] {
				hit = 1
			}
			seen[a] = true
			s.hits[0], s.n[0] = s.hits[0]+hit, s.n[0]+1
			if chosen[i] {
				s.hits[1], s.n[1] = s.hits[1]+hit, s.n[1]+1
			}
		}
	}
}

// Relevant is the share of questions that ask for something relevant and new, in all
// candidates and in the selected ones; -1 without a truth.
func (s *Selection) Relevant() (all, selected float64) {
	if s.truth == nil {
		return -1, -1
	}
	return float64(s.hits[0]) / float64(max(s.n[0], 1)), float64(s.hits[1]) / float64(max(s.n[1], 1))
}

// Margin is the mean over pairs of the best minus the mean candidate, in nats: how much
// there was to select.
func (s *Selection) Margin() float64 { return s.margin / float64(max(s.pairs, 1)) }

// selectionOf collects from all pairs.
func selectionOf(truth Truth, rated []stargate.Candidates) *Selection {
	s := NewSelection(truth)
	for _, c := range rated {
		s.Add(c)
	}
	return s
}

// RelevantShare is [Selection.Relevant] of all pairs.
func RelevantShare(truth Truth, rated []stargate.Candidates) (all, selected float64) {
	return selectionOf(truth, rated).Relevant()
}

// Margin is [Selection.Margin] of all pairs.
func Margin(rated []stargate.Candidates) float64 { return selectionOf(nil, rated).Margin() }
