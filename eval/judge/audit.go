package judge

import (
	"math"

	"stargate/eval/stats"
)

// Audit is what can be said of a judge besides its win rates.
type Audit struct {
	Judge      string `json:"judge"`
	N          int    `json:"n"`          // comparisons it was asked about
	Invalid    int    `json:"invalid"`    // without a verdict in the end
	Calls      int    `json:"calls"`      // attempts in all
	Retried    int    `json:"retried"`    // attempts after the first of an order
	Refused    int    `json:"refused"`    // attempts declined
	Unparsable int    `json:"unparsable"` // attempts without a verdict in their text
	// Order is nil for a judge that was asked in one order only.
	Order *Order `json:"order,omitempty"`
	// Longer is the share of decided comparisons of different length that the longer
	// response won.
	Longer *Rate         `json:"longer,omitempty"`
	Self   *SelfRate     `json:"self,omitempty"`
	Wins   []AuditedRate `json:"wins"` // by model
}

// Order is what the order of the two responses did.
type Order struct {
	Flips    Rate  `json:"flips"`              // verdicts that change with the order, of comparisons with two verdicts
	FirstBy  int   `json:"first_both"`         // said A in both orders
	SecondBy int   `json:"second_both"`        // said B in both orders
	Position *Rate `json:"position,omitempty"` // share of decided verdicts for the response shown first; ½ without a bias
}

// SelfRate compares how a judge that is itself one of the models rates that model with how
// the other judges do, on the same comparisons. Difference is positive when it favours
// itself.
type SelfRate struct {
	Model      string  `json:"model"`
	Own        float64 `json:"own"`    // win rate of the model in its own eyes
	Others     float64 `json:"others"` // mean over the other judges
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	N          int     `json:"n"`
}

// AuditedRate is a model's win rate over m0 by one judge, counted in several ways.
type AuditedRate struct {
	Model   string  `json:"model"`
	Rate    float64 `json:"rate"` // a tie is half a win
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	N       int     `json:"n"`
	Ties    int     `json:"ties"`
	Invalid int     `json:"invalid"`
	// Authors is b/(a+b) with the order of each comparison by coin flip, ties and invalid
	// verdicts left out: the paper's number (PROTOCOL §7).
	Authors *Rate `json:"authors,omitempty"`
	// SameLength is the rate that a logistic model in the logarithm of the length ratio
	// predicts for responses of equal length; nil where lengths do not vary.
	SameLength *float64 `json:"same_length,omitempty"`
}

// AuditOf describes the judge called name by all records of a panel; self is the model under
// evaluation that the judge is, or "".
func AuditOf(records []Record, name, self string, seed uint64) Audit {
	mine := of(records, name)
	a := Audit{Judge: name, N: len(mine), Wins: []AuditedRate{}}
	var longer []stats.Observation
	for _, r := range mine {
		if r.Ballot.Verdict == Invalid {
			a.Invalid++
		}
		for _, o := range r.Ballot.Opinions() {
			a.Calls += o.Attempts
			a.Retried += o.Attempts - 1
			a.Refused += o.Refused
			a.Unparsable += o.Unparsable
		}
		if v, ok := r.Ballot.Verdict.Value(); ok && v != 0.5 && r.WordsA != r.WordsB {
			if r.WordsA < r.WordsB {
				v = 1 - v
			}
			longer = append(longer, r.observation(v))
		}
	}
	a.Longer, a.Order = rateOf(longer), orderOf(mine)
	same := sameLength(mine)
	for _, m := range names(mine, func(r Record) string { return r.Model }) {
		w := AuditedRate{Model: m}
		var all, authors []stats.Observation
		for _, r := range mine {
			if r.Model != m {
				continue
			}
			if v, ok := r.Ballot.Flip(r.Coin(seed)).Value(); ok && v != 0.5 {
				authors = append(authors, r.observation(v))
			}
			v, ok := r.Ballot.Verdict.Value()
			if !ok {
				w.Invalid++
				continue
			}
			if v == 0.5 {
				w.Ties++
			}
			all = append(all, r.observation(v))
		}
		if rate := rateOf(all); rate != nil {
			w.Rate, w.Low, w.High, w.N = rate.Rate, rate.Low, rate.High, rate.N
		}
		w.Authors = rateOf(authors)
		if p, ok := same[m]; ok {
			w.SameLength = &p
		}
		a.Wins = append(a.Wins, w)
	}
	if self != "" {
		a.Self = selfOf(records, name, self)
	}
	return a
}

func orderOf(records []Record) *Order {
	o := &Order{}
	var flips, first []stats.Observation
	asked := false
	for _, r := range records {
		b := r.Ballot
		if b.Swapped == nil || b.Shown.Attempts == 0 {
			continue
		}
		asked = true
		for _, shown := range []Verdict{b.Shown.Verdict, b.Swapped.Verdict.Swapped()} { // as positions
			if v, ok := shown.Value(); ok && v != 0.5 {
				first = append(first, r.observation(v))
			}
		}
		if b.Shown.Verdict == Invalid || b.Swapped.Verdict == Invalid {
			continue
		}
		flip := 0.0
		if b.Shown.Verdict != b.Swapped.Verdict {
			flip = 1
		}
		switch flips = append(flips, r.observation(flip)); {
		case b.Shown.Verdict == First && b.Swapped.Verdict == Second:
			o.FirstBy++
		case b.Shown.Verdict == Second && b.Swapped.Verdict == First:
			o.SecondBy++
		}
	}
	if !asked {
		return nil
	}
	if rate := rateOf(flips); rate != nil {
		o.Flips = *rate
	} else {
		o.Flips.High = 1
	}
	o.Position = rateOf(first)
	return o
}

// weakPrior keeps the coefficients of sameLength finite: log-odds beyond ±5 are not believed.
const weakPrior = 5

// sameLength fits win = own level of each model + slope · log(length ratio).
func sameLength(records []Record) map[string]float64 {
	models := names(records, func(r Record) string { return r.Model })
	var x [][]float64
	var y []float64
	varies := false
	for _, r := range records {
		v, ok := r.Ballot.Verdict.Value()
		if !ok {
			continue
		}
		row := make([]float64, len(models)+1)
		for i, m := range models {
			if m == r.Model {
				row[i] = 1
			}
		}
		row[len(models)] = r.lengthRatio()
		varies = varies || row[len(models)] != 0
		x, y = append(x, row), append(y, v)
	}
	if !varies {
		return nil
	}
	beta, ok := stats.Logistic(x, y, weakPrior)
	if !ok {
		return nil
	}
	out := map[string]float64{}
	for i, m := range models {
		out[m] = 1 / (1 + math.Exp(-beta[i]))
	}
	return out
}

// selfOf is nil where no other judge rated the same. The base model is in every
// comparison, any other model in its own.
func selfOf(records []Record, name, self string) *SelfRate {
	type item struct{ pair, model string }
	others := map[item][]float64{}
	for _, r := range records {
		if v, ok := r.Ballot.Verdict.Value(); ok && r.Judge != name {
			others[item{r.Pair, r.Model}] = append(others[item{r.Pair, r.Model}], v)
		}
	}
	var diff []stats.Observation
	s := &SelfRate{Model: self}
	for _, r := range of(records, name) {
		v, ok := r.Ballot.Verdict.Value()
		them := others[item{r.Pair, r.Model}]
		if !ok || len(them) == 0 || self != r.Model && self != r.Base {
			continue
		}
		mean := 0.0
		for _, o := range them {
			mean += o / float64(len(them))
		}
		if self != r.Model {
			v, mean = 1-v, 1-mean
		}
		s.Own += v
		s.Others += mean
		diff = append(diff, r.observation(v-mean))
	}
	if len(diff) == 0 {
		return nil
	}
	est := stats.Mean(diff)
	s.N = est.N
	s.Own, s.Others = s.Own/float64(s.N), s.Others/float64(s.N)
	s.Difference = est.Mean
	s.Low, s.High = est.Interval()
	return s
}
