package clarify

import (
	"slices"

	"stargate/eval/reply"
	"stargate/eval/stats"
)

// Score is what decisions amount to.
type Score struct {
	N         int `json:"n"`
	Needed    int `json:"needed"` // items that need a question
	Asked     int `json:"asked"`  // of these, asked about
	OverAsked int `json:"over_asked"`
	Refused   int `json:"refused"`
	Nothing   int `json:"nothing"`

	Precision float64 `json:"precision"` // of asking
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	AnswerF1  float64 `json:"answer_f1"`
	MacroF1   float64 `json:"macro_f1"`
	Accuracy  float64 `json:"accuracy"`

	OverAsk  *Rate `json:"over_ask,omitempty"`  // of items that need no question
	UnderAsk *Rate `json:"under_ask,omitempty"` // of items that need one
	AskRate  *Rate `json:"ask_rate,omitempty"`  // of all items

	// 95 % interval of macro-F1 by a bootstrap over groups; absent where there is one group.
	Low  *float64 `json:"macro_f1_low,omitempty"`
	High *float64 `json:"macro_f1_high,omitempty"`
}

// Rate is a share with its 95 % interval, clustered by group.
type Rate struct {
	Rate float64 `json:"rate"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	N    int     `json:"n"`
}

// KindScore is the ask rate of one kind of item.
type KindScore struct {
	Kind   string `json:"kind"`
	Needed int    `json:"needed"` // of N
	Ask    Rate   `json:"ask_rate"`
}

// Report is a model's result on a benchmark, beside those of two models that do not look.
type Report struct {
	Score
	Always Score       `json:"always_ask"`
	Never  Score       `json:"never_ask"`
	Kinds  []KindScore `json:"kinds"`
}

// ReportOf scores decisions. seed names the bootstrap.
func ReportOf(decisions []Decision, seed uint64) Report {
	r := Report{Score: scoreOf(decisions), Always: scoreOf(all(decisions, reply.Asks)), Never: scoreOf(all(decisions, reply.Answers)), Kinds: []KindScore{}}
	obs := make([]stats.Observation, len(decisions))
	for i, d := range decisions {
		obs[i] = stats.Observation{Task: d.Group, Persona: d.Item}
	}
	if interval, ok := stats.Cross(obs).Percentile(stats.Resampling{Seed: seed}, func(w []float64) (float64, bool) {
		c := count(decisions, w)
		return c.macroF1(), c.total() > 0
	}); ok {
		r.Low, r.High = &interval.Low, &interval.High
	}
	for _, k := range kindsOf(decisions) {
		var of []Decision
		needed := 0
		for _, d := range decisions {
			if d.Kind == k {
				of = append(of, d)
				if d.Ask {
					needed++
				}
			}
		}
		r.Kinds = append(r.Kinds, KindScore{k, needed, *rate(of, func(Decision) bool { return true }, asks)})
	}
	return r
}

func kindsOf(decisions []Decision) []string {
	var out []string
	for _, d := range decisions {
		if d.Kind != "" && !slices.Contains(out, d.Kind) {
			out = append(out, d.Kind)
		}
	}
	slices.Sort(out)
	return out
}

func all(decisions []Decision, act reply.Act) []Decision {
	out := slices.Clone(decisions)
	for i := range out {
		out[i].Act = act
	}
	return out
}

// counts are the four cells and what falls out of them, by weight.
type counts struct {
	truePositive, falseNegative, falsePositive, trueNegative float64
	lostNeeded, lostClear                                    float64 // refused or nothing
}

func count(decisions []Decision, weight []float64) counts {
	var c counts
	for i, d := range decisions {
		w := 1.0
		if weight != nil {
			w = weight[i]
		}
		switch {
		case d.Act == reply.Asks && d.Ask:
			c.truePositive += w
		case d.Act == reply.Asks:
			c.falsePositive += w
		case d.Act == reply.Answers && d.Ask:
			c.falseNegative += w
		case d.Act == reply.Answers:
			c.trueNegative += w
		case d.Ask:
			c.lostNeeded += w
		default:
			c.lostClear += w
		}
	}
	return c
}

func (c counts) total() float64 {
	return c.truePositive + c.falseNegative + c.falsePositive + c.trueNegative + c.lostNeeded + c.lostClear
}

// f1 of a class from its true positives, false positives and misses; 0 where there are none.
func f1(true_, false_, missed float64) float64 {
	if true_ == 0 {
		return 0
	}
	return 2 * true_ / (2*true_ + false_ + missed)
}

func (c counts) askF1() float64 {
	return f1(c.truePositive, c.falsePositive, c.falseNegative+c.lostNeeded)
}
func (c counts) answerF1() float64 {
	return f1(c.trueNegative, c.falseNegative, c.falsePositive+c.lostClear)
}
func (c counts) macroF1() float64 { return (c.askF1() + c.answerF1()) / 2 }

func scoreOf(decisions []Decision) Score {
	c := count(decisions, nil)
	s := Score{N: len(decisions), Asked: int(c.truePositive), OverAsked: int(c.falsePositive), F1: c.askF1(), AnswerF1: c.answerF1(), MacroF1: c.macroF1()}
	s.Needed = int(c.truePositive + c.falseNegative + c.lostNeeded)
	for _, d := range decisions {
		switch d.Act {
		case reply.Refuses:
			s.Refused++
		case reply.Nothing:
			s.Nothing++
		}
	}
	s.Precision = share(c.truePositive, c.truePositive+c.falsePositive)
	s.Recall = share(c.truePositive, float64(s.Needed))
	s.Accuracy = share(c.truePositive+c.trueNegative, c.total())
	s.OverAsk = rate(decisions, func(d Decision) bool { return !d.Ask }, asks)
	s.UnderAsk = rate(decisions, func(d Decision) bool { return d.Ask }, func(d Decision) bool { return !asks(d) })
	s.AskRate = rate(decisions, func(Decision) bool { return true }, asks)
	return s
}

func asks(d Decision) bool { return d.Act == reply.Asks }

func share(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// rate is nil where no decision is of the kind.
func rate(decisions []Decision, of, hit func(Decision) bool) *Rate {
	var obs []stats.Observation
	for _, d := range decisions {
		if !of(d) {
			continue
		}
		o := stats.Observation{Task: d.Group, Persona: d.Item}
		if hit(d) {
			o.Value = 1
		}
		obs = append(obs, o)
	}
	if len(obs) == 0 {
		return nil
	}
	est, low, high := stats.Share(obs)
	return &Rate{est.Mean, low, high, est.N}
}
