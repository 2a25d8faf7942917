package build

import "strings"

// GoldReport says what became of every pair.
type GoldReport struct {
	Pairs    int          `json:"pairs"`
	Made     int          `json:"made"`
	Redrawn  int          `json:"redrawn"`         // pairs whose first draw had a flaw and a later one had none
	Flaws    map[Flaw]int `json:"flaws,omitempty"` // of draws that were not taken
	Excluded []Gold       `json:"excluded"`        // pairs without a gold response
	Words    Spread       `json:"words"`           // of the golds
	TooLong  int          `json:"over_ten_sentences"`

	words []int
}

func newGoldReport(pairs int) *GoldReport {
	return &GoldReport{Pairs: pairs, Flaws: map[Flaw]int{}, Excluded: []Gold{}}
}

func (r *GoldReport) add(g Gold) {
	for _, f := range g.Flaws {
		r.Flaws[f]++
	}
	if g.Excluded != "" {
		r.Excluded = append(r.Excluded, g)
		return
	}
	r.Made++
	if len(g.Flaws) > 0 {
		r.Redrawn++
	}
	if sentences(g.Text) > MaxGoldSentences {
		r.TooLong++
	}
	r.words = append(r.words, len(strings.Fields(g.Text)))
}

func (r *GoldReport) finish() { r.Words = spreadOf(r.words) }
