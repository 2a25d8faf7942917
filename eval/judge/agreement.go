package judge

import "stargate/eval/stats"

// Agreement tells how far judges give the same verdicts on the same comparisons, beyond
// chance. Categories are A, tie and B.
type Agreement struct {
	Judges  []string    `json:"judges"`
	Items   int         `json:"items"`               // comparisons with two verdicts or more
	Alpha   float64     `json:"alpha"`               // Krippendorff's α, nominal
	Ordinal float64     `json:"alpha_ordinal"`       // with a tie between A and B
	Low     *float64    `json:"alpha_low,omitempty"` // 95 % interval of alpha, by a bootstrap over tasks and personas
	High    *float64    `json:"alpha_high,omitempty"`
	Fleiss  *float64    `json:"fleiss,omitempty"` // κ of the comparisons that all judged
	Pairs   []PairKappa `json:"pairs"`
}

// PairKappa is Cohen's κ of two judges.
type PairKappa struct {
	A        string  `json:"a"`
	B        string  `json:"b"`
	Kappa    float64 `json:"kappa"`
	Observed float64 `json:"observed"` // share of the same verdict
	Items    int     `json:"items"`
}

var category = map[Verdict]int{First: 0, Tie: 1, Second: 2}

// AgreementOf is nil for fewer than two judges, or where all verdicts are the same one.
func AgreementOf(records []Record, r stats.Resampling) *Agreement {
	a := &Agreement{Judges: Names(records), Pairs: []PairKappa{}}
	if len(a.Judges) < 2 {
		return nil
	}
	column := map[string]int{}
	for i, j := range a.Judges {
		column[j] = i
	}
	type item struct{ pair, model string }
	row := map[item]int{}
	var ratings stats.Ratings
	var obs []stats.Observation
	for _, r := range records {
		k := item{r.Pair, r.Model}
		i, ok := row[k]
		if !ok {
			i = len(ratings)
			row[k] = i
			line := make([]int, len(a.Judges))
			for j := range line {
				line[j] = stats.Missing
			}
			ratings, obs = append(ratings, line), append(obs, r.observation(0))
		}
		if c, ok := category[r.Ballot.Verdict]; ok {
			ratings[i][column[r.Judge]] = c
		}
	}
	alpha, ok := ratings.Krippendorff(stats.Nominal, nil)
	if !ok {
		return nil
	}
	a.Alpha, a.Items = alpha.Value, alpha.Items
	if ordinal, ok := ratings.Krippendorff(stats.Ordinal, nil); ok {
		a.Ordinal = ordinal.Value
	}
	if interval, ok := stats.Cross(obs).Percentile(r, func(weight []float64) (float64, bool) {
		alpha, ok := ratings.Krippendorff(stats.Nominal, weight)
		return alpha.Value, ok
	}); ok {
		a.Low, a.High = &interval.Low, &interval.High
	}
	if fleiss, ok := ratings.Fleiss(); ok {
		a.Fleiss = &fleiss.Value
	}
	for i, x := range a.Judges {
		for j := i + 1; j < len(a.Judges); j++ {
			if k, ok := ratings.Cohen(i, j); ok {
				a.Pairs = append(a.Pairs, PairKappa{x, a.Judges[j], k.Value, k.Observed, k.Items})
			}
		}
	}
	return a
}
