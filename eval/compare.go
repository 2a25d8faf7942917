package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"stargate"
	"stargate/eval/stats"
)

// Records are what a run leaves for a comparison.
type Records struct {
	Name   string // shown
	Result *Result
	Pairs  []PairRecord
}

// Contrast compares run B with run A.
type Contrast struct {
	A      string        `json:"a"`
	B      string        `json:"b"`
	BaseA  string        `json:"baseline_a"` // the model that wins of A are wins over: its first
	BaseB  string        `json:"baseline_b"`
	Shared int           `json:"shared"` // pairs of both test splits with the same texts
	OnlyA  int           `json:"only_a"` // pairs of A's test split alone
	OnlyB  int           `json:"only_b"`
	Other  int           `json:"changed"` // pairs of one name whose texts differ; left out
	Paired bool          `json:"paired"`  // false: no pair is shared, and the errors are those of independent samples
	Rows   []ContrastRow `json:"rows"`
}

// ContrastRow is one quantity of one model in both runs. Means are over the shared pairs
// that both have a value for (over all pairs of each where none is shared).
type ContrastRow struct {
	What   string  `json:"what"`
	ModelA string  `json:"model_a"`
	ModelB string  `json:"model_b"`
	MeanA  float64 `json:"mean_a"`
	MeanB  float64 `json:"mean_b"`
	Test   Paired  `json:"test"`
	Holm   float64 `json:"holm"` // p adjusted for the number of rows
}

// quantity is a number that a pair's record has, for a model or (as the controls) for none.
type quantity struct {
	name string
	of   func(p PairRecord, m ModelRecord) (float64, bool)
}

func known(v *float64) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return *v, true
}

// Relevance and Redundance are what a [Contrast] compares besides the conditions and wins:
// shares of a pair's questions.
const (
	Relevance  = "relevant questions"
	Redundance = "redundant questions"
)

var quantities = []quantity{
	{QExperimental, func(_ PairRecord, m ModelRecord) (float64, bool) { return m.mean() }},
	{QExperimental + "/" + Top1, func(_ PairRecord, m ModelRecord) (float64, bool) { return m.top() }},
	{QRandom, func(_ PairRecord, m ModelRecord) (float64, bool) { return known(m.Rand) }},
	{OverRandom, func(_ PairRecord, m ModelRecord) (float64, bool) {
		own, ok := m.mean()
		return own - deref(m.Rand), ok && m.Rand != nil
	}},
	{PositiveExperiment, func(_ PairRecord, m ModelRecord) (float64, bool) { return known(m.Told) }},
	{Wins, func(_ PairRecord, m ModelRecord) (float64, bool) { return m.Verdict.Value() }},
	{Relevance, func(_ PairRecord, m ModelRecord) (float64, bool) {
		return float64(m.Relevant) / float64(max(m.Asked, 1)), m.Asked > 0
	}},
	{Redundance, func(_ PairRecord, m ModelRecord) (float64, bool) {
		return float64(m.Redundant) / float64(max(m.Asked, 1)), m.Asked > 0
	}},
}

// controls are the same for every model; they differ between runs whose base models differ.
var controls = []quantity{
	{Negative, func(p PairRecord, _ ModelRecord) (float64, bool) { return known(p.Neg) }},
	{Positive, func(p PairRecord, _ ModelRecord) (float64, bool) { return known(p.Pos) }},
}

func deref(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// mean and top are Q-experimental of a pair: over all conversations, and of the best.
func (m ModelRecord) mean() (float64, bool) {
	sum := 0.0
	for _, v := range m.LogProbs {
		sum += v
	}
	return sum / float64(max(len(m.LogProbs), 1)), len(m.LogProbs) > 0
}

func (m ModelRecord) top() (float64, bool) {
	if len(m.LogProbs) == 0 {
		return 0, false
	}
	return slices.Max(m.LogProbs), true
}

// ErrNothingInCommon: two runs have no quantity that was measured in both.
var ErrNothingInCommon = errors.New("the two have nothing measured in common")

// CompareOptions say what [Compare] compares; the zero value everything that both runs have.
type CompareOptions struct {
	Models    map[string]string // names of the first run to names of the second
	What      []string          // conditions, [Wins], [Relevance], …
	Resamples int               // of each bootstrap; 0 = 10,000
}

func (o CompareOptions) wants(q quantity) bool {
	return len(o.What) == 0 || slices.Contains(o.What, q.name)
}

// Compare compares run b with run a. Where the test splits share pairs with the same texts the
// comparison is paired, pair by pair; where they share none the runs are taken as independent.
func Compare(a, b Records, o CompareOptions) (*Contrast, error) {
	c := &Contrast{A: a.Name, B: b.Name, BaseA: first(a.Result.Models), BaseB: first(b.Result.Models), Rows: []ContrastRow{}}
	left, right := byPair(a.Pairs), byPair(b.Pairs)
	var shared []string
	for _, p := range a.Pairs {
		switch q, ok := right[p.Pair]; {
		case !ok:
			c.OnlyA++
		case q.Digest != p.Digest:
			c.Other++
		default:
			shared = append(shared, p.Pair)
		}
	}
	for _, p := range b.Pairs {
		if _, ok := left[p.Pair]; !ok {
			c.OnlyB++
		}
	}
	slices.Sort(shared) // the order of a split changes nothing
	c.Shared, c.Paired = len(shared), len(shared) > 0
	names, err := pairUp(a.Result.Models, b.Result.Models, o.Models)
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", a.Name, b.Name, err)
	}
	for i, n := range names {
		all := quantities
		if i == 0 {
			all = slices.Concat(controls, quantities)
		}
		for _, q := range all {
			if !o.wants(q) {
				continue
			}
			var row ContrastRow
			var ok bool
			if c.Paired {
				row, ok = pairwise(q, n, shared, left, right, o.Resamples)
			} else {
				row, ok = independent(q, n, a.Pairs, b.Pairs)
			}
			if ok {
				c.Rows = append(c.Rows, row)
			}
		}
	}
	if len(c.Rows) == 0 {
		return nil, fmt.Errorf("compare %s with %s: %w", a.Name, b.Name, ErrNothingInCommon)
	}
	var p []float64
	for _, r := range c.Rows {
		p = append(p, r.Test.P)
	}
	for i, adjusted := range stats.Holm(p) {
		c.Rows[i].Holm = adjusted
	}
	return c, nil
}

// first is the baseline of a run; "" where it has no model at all.
func first(models []string) string {
	if len(models) == 0 {
		return ""
	}
	return models[0]
}

func byPair(records []PairRecord) map[string]PairRecord {
	out := make(map[string]PairRecord, len(records))
	for _, r := range records {
		out[r.Pair] = r
	}
	return out
}

// pairUp lists the models to compare, in the order of a.
func pairUp(a, b []string, models map[string]string) ([][2]string, error) {
	for x, y := range models {
		if !slices.Contains(a, x) || !slices.Contains(b, y) {
			return nil, fmt.Errorf("models %s and %s: the runs have %v and %v", x, y, a, b)
		}
	}
	var out [][2]string
	for _, m := range a {
		switch {
		case models != nil:
			if other, ok := models[m]; ok {
				out = append(out, [2]string{m, other})
			}
		case slices.Contains(b, m):
			out = append(out, [2]string{m, m})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no model to compare")
	}
	return out, nil
}

func (p PairRecord) model(name string) (ModelRecord, bool) {
	for _, m := range p.Models {
		if m.Model == name {
			return m, true
		}
	}
	return ModelRecord{}, false
}

// measured is a quantity of a model on a pair.
func (q quantity) measured(p PairRecord, model string) (float64, bool) {
	m, ok := p.model(model)
	if !ok {
		return 0, false
	}
	return q.of(p, m)
}

func pairwise(q quantity, n [2]string, shared []string, left, right map[string]PairRecord, resamples int) (ContrastRow, bool) {
	row := ContrastRow{What: q.name, ModelA: n[0], ModelB: n[1]}
	var diff []stats.Observation
	onlyA, onlyB := 0, 0
	for _, key := range shared {
		p := left[key]
		x, okX := q.measured(p, n[0])
		y, okY := q.measured(right[key], n[1])
		if !okX || !okY {
			continue
		}
		row.MeanA, row.MeanB = row.MeanA+x, row.MeanB+y
		diff = append(diff, stats.Observation{Task: p.Task, Persona: p.Persona, Value: y - x})
		switch winA, winB := x == 1, y == 1; {
		case winA && !winB:
			onlyA++
		case winB && !winA:
			onlyB++
		}
	}
	if len(diff) == 0 {
		return row, false
	}
	row.MeanA, row.MeanB = row.MeanA/float64(len(diff)), row.MeanB/float64(len(diff))
	row.Test = pairedOf(q.name, n[0], n[1], diff, stats.Resampling{Resamples: resamples, Seed: stargate.Seed(0, "compare", q.name, n[0], n[1])})
	if q.name == Wins {
		exact := stats.NewMcNemar(onlyA, onlyB).Exact
		row.Test.OnlyA, row.Test.OnlyB, row.Test.McNemar = &onlyA, &onlyB, &exact
	}
	return row, true
}

// independent compares means of different pairs: the errors add, and the degrees of
// freedom are Welch's with each clustered error's own.
func independent(q quantity, n [2]string, a, b []PairRecord) (ContrastRow, bool) {
	row := ContrastRow{What: q.name, ModelA: n[0], ModelB: n[1]}
	collect := func(records []PairRecord, model string) stats.Estimate {
		var obs []stats.Observation
		for _, p := range records {
			if v, ok := q.measured(p, model); ok {
				obs = append(obs, stats.Observation{Task: p.Task, Persona: p.Persona, Value: v})
			}
		}
		return stats.Mean(obs)
	}
	x, y := collect(a, n[0]), collect(b, n[1])
	if x.N == 0 || y.N == 0 {
		return row, false
	}
	row.MeanA, row.MeanB = x.Mean, y.Mean
	vx, vy := x.SEM*x.SEM, y.SEM*y.SEM
	d := stats.Estimate{Mean: y.Mean - x.Mean, SEM: math.Sqrt(vx + vy), N: x.N + y.N, DF: 1}
	if vx+vy > 0 {
		d.DF = max(1, (vx+vy)*(vx+vy)/(vx*vx/max(x.DF, 1)+vy*vy/max(y.DF, 1)))
	}
	row.Test = Paired{What: q.name, A: n[0], B: n[1], N: d.N, Diff: d.Mean, SEM: d.SEM, P: d.P(0)}
	row.Test.Low, row.Test.High = d.Interval()
	return row, true
}
