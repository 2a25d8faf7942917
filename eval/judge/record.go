package judge

import (
	"math"
	"slices"

	"stargate"
	"stargate/eval/stats"
)

// Record is one judge's ballot on one comparison: a model's response (A) against the base model's (B)
// for the same pair.
type Record struct {
	Pair    string `json:"pair"`
	Task    string `json:"task"`
	Persona string `json:"persona"`
	Model   string `json:"model"`
	Base    string `json:"base"` // whose response B is
	Judge   string `json:"judge"`
	Ballot  Ballot `json:"ballot"`
	WordsA  int    `json:"words_a"` // lengths of the two responses
	WordsB  int    `json:"words_b"`
}

// Coin is the coin that decides the order of the authors' procedure for a comparison.
func (r Record) Coin(seed uint64) uint64 { return Coin(seed, r.Model, r.Pair) }

// Coin is a fair coin named by run, model and pair.
func Coin(seed uint64, model, pair string) uint64 {
	return stargate.Seed(seed, "order of responses", model, pair) >> 17
}

// observation is a value of the record's pair.
func (r Record) observation(v float64) stats.Observation {
	return stats.Observation{Task: r.Task, Persona: r.Persona, Value: v}
}

// Rate is a share with its 95 % interval, clustered by task and persona.
type Rate struct {
	Rate float64 `json:"rate"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	N    int     `json:"n"`
}

// rateOf is nil where there is nothing to take a share of.
func rateOf(obs []stats.Observation) *Rate {
	if len(obs) == 0 {
		return nil
	}
	est, low, high := stats.Share(obs)
	return &Rate{est.Mean, low, high, est.N}
}

// names lists a field's values in order of appearance.
func names(records []Record, field func(Record) string) []string {
	var out []string
	for _, r := range records {
		if !slices.Contains(out, field(r)) {
			out = append(out, field(r))
		}
	}
	return out
}

// Names lists the judges of records, in order of appearance.
func Names(records []Record) []string {
	return names(records, func(r Record) string { return r.Judge })
}

// of keeps the records of one judge.
func of(records []Record, judge string) []Record {
	var out []Record
	for _, r := range records {
		if r.Judge == judge {
			out = append(out, r)
		}
	}
	return out
}

// lengthRatio is the logarithm of how many times longer A is than B.
func (r Record) lengthRatio() float64 {
	return math.Log(float64(1+r.WordsA) / float64(1+r.WordsB))
}
