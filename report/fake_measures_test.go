package report

import (
	"fmt"

	"stargate/eval"
	"stargate/eval/judge"
)

// fakeEverything is fakeData with all that an evaluation can measure, a model that collapsed
// included, so that every section of the page is there.
func fakeEverything() Data {
	d := fakeData()
	r := d.Result
	num := func(v float64) *float64 { return &v }
	share := func(v float64) judge.Rate { return judge.Rate{Rate: v, Low: v - .06, High: v + .06, N: 300} }
	some := func(v float64) *judge.Rate { s := share(v); return &s }
	for i, m := range r.Models {
		x := float64(i)
		alarms := []string{}
		if i == 3 {
			alarms = []string{`one question is 61 % of all: "What do you like?"`, "effectively 3.2 different questions, m0 has 88.1"}
		}
		r.Diversity = append(r.Diversity, eval.Diversity{Model: m, N: 9876, Sample: 1000, Distinct1: .021 - .004*x, Distinct2: .08 - .02*x, Distinct3: .14 - .03*x, SelfBLEU: .71 + .08*x,
			Effective: 88.1 / (1 + 3*x), Top: "What kind of food do you enjoy when you are at home with your family in the evening?", TopShare: .04 + .19*x, PerPair: .8 - .1*x, Attributes: num(10 - x), Alarms: alarms,
			Malformed: map[string]float64{"no-question": .02, "several-questions": .011 * x}})
		for turn := 1; turn <= 3; turn++ {
			r.Credit = append(r.Credit, eval.Credit{Model: m, By: "turn", Key: fmt.Sprint(turn), Gain: 3 - x/2 - float64(turn)/3, SEM: .2, Low: 2.5 - x/2 - float64(turn)/3, High: 3.5 - x/2 - float64(turn)/3, N: 500, Questions: 5000})
		}
		for k, kind := range []string{eval.RelevantQuestion, eval.RepeatedQuestion, eval.OtherQuestion} {
			r.Credit = append(r.Credit, eval.Credit{Model: m, By: "kind", Key: kind, Gain: 5 - 2.6*float64(k), SEM: .3, Low: 4.4 - 2.6*float64(k), High: 5.6 - 2.6*float64(k), N: 480, Questions: 1800})
		}
		r.Grounding = append(r.Grounding, eval.Grounding{Model: m, Told: .8 + .3*x, Invented: .2 + .1*x, SEM: .02, Low: .16 + .1*x, High: .24 + .1*x, N: 300})
		if i == 0 {
			continue
		}
		low, high := r.WinRate[i-1].Low, r.WinRate[i-1].High
		r.WinChecks = append(r.WinChecks, eval.WinCheck{Model: m, WilsonLow: low + .01, WilsonHigh: high - .01, P: .0001, Boot: &eval.Boot{Low: low - .01, High: high + .01, P: .0002}, DesignEffect: 1.4, Tells: .053, Detects: .075})
		r.Paired = append(r.Paired,
			eval.Paired{What: "qa", A: "m0", B: m, N: 500, Diff: 3.3 * x, SEM: .3, Low: 3.3*x - .6, High: 3.3*x + .6, P: 1e-9, Boot: &eval.Boot{Low: 3.3*x - .7, High: 3.3*x + .7, P: .0002}},
			eval.Paired{What: eval.Wins, A: "m0", B: m, N: 300, Diff: .2, SEM: .03, Low: .14, High: .26, P: .04})
	}
	for _, name := range []string{"gpt", "m0"} {
		a := judge.Audit{Judge: name, N: 900, Invalid: 3, Calls: 1830, Retried: 24, Refused: 2, Unparsable: 22, Order: &judge.Order{Flips: share(.17), FirstBy: 100, SecondBy: 44, Position: some(.56)}, Longer: some(.61)}
		for i, w := range r.WinRate {
			a.Wins = append(a.Wins, judge.AuditedRate{Model: w.Model, Rate: w.Rate, Low: w.Low, High: w.High, N: w.N, Ties: w.Ties, Invalid: 1, Authors: some(w.Rate + .02), SameLength: num(w.Rate - .01*float64(i))})
		}
		if name == "m0" {
			a.Self = &judge.SelfRate{Model: "m0", Own: .41, Others: .27, Difference: .14, Low: .09, High: .19, N: 880}
		}
		r.Judges = append(r.Judges, a)
	}
	r.Agreement = &judge.Agreement{Judges: []string{"gpt", "m0"}, Items: 880, Alpha: .41, Ordinal: .47, Low: num(.33), High: num(.49), Fleiss: num(.4), Pairs: []judge.PairKappa{{A: "gpt", B: "m0", Kappa: .4, Observed: .66, Items: 880}}}
	r.Baselines = []eval.Baseline{{Name: "m0 with the preamble", WinRate: r.WinRate}}
	r.Reliability = []eval.Reliability{{Model: "m0", Split: "test", Pairs: 500, Candidates: 4900, SumMean: num(.83), SumDelta: num(.61), MeanDelta: num(.7), Margin: 6.1, Second: 1.2, Close: .4, Stable: .58, ByChance: .19, LengthRank: -.04,
		Leaks: []eval.Leak{{Kind: eval.GoldInAnswer, All: .004, Selected: .011, N: 20, Chosen: 6}}}}
	w := &eval.WhenToAsk{ToldLogProb: -6.2, ToldSEM: .3, N: 500}
	for i, m := range r.Models {
		x := float64(i)
		w.Rows = append(w.Rows, eval.Asking{Model: m, Tasks: eval.Open, N: 500, First: share(.5 + .12*x), Questions: .7 + .5*x, Stopped: share(.9), UnderAsk: some(.6 - .1*x), OverAsk: some(.2)},
			eval.Asking{Model: m, Tasks: eval.Told, N: 500, First: share(.3 + .1*x), Questions: .4, Stopped: share(.92), OverAsk: some(.31)})
	}
	r.WhenToAsk = w
	r.TaskKinds = &eval.TaskKinds{Ratings: []eval.TaskRating{{Task: "t1", Rating: 2}, {Task: "t2", Rating: 5}}}
	for _, kind := range []string{eval.General, eval.Specific} {
		for _, what := range []string{"qa", "gap", eval.Wins} {
			r.TaskKinds.Rows = append(r.TaskKinds.Rows, eval.TaskKindRow{Kind: kind, Model: "m3", What: what, Mean: .7, SEM: .02, Low: .66, High: .74, N: 250})
		}
	}
	r.LeftOut = &eval.LeftOut{Pairs: []eval.LeftOutPair{{Split: "A", Task: "t7", Persona: "u3", Reason: "refused"}}, Entries: []eval.LeftOutEntry{{Where: "tasks.csv line 7", Reason: "empty"}}}
	c := r.Calls["judge"]
	c.Cost = 12.34
	r.Calls["judge"] = c
	return d
}

// fakeContest is an evaluation of models that are no iterations of each other.
func fakeContest() Data {
	d := fakeEverything()
	names := map[string]string{"m0": "base", "m1": "qwen2.5-0.5b-instruct", "m2": "ours", "m3": "gpt"}
	r := d.Result
	r.Kind, r.Shapes, r.Training, d.Iterations = eval.Contestants, []eval.Shape{}, []eval.Training{}, nil
	rename := func(s *string) { *s = names[*s] }
	for i := range r.Models {
		rename(&r.Models[i])
	}
	for i := range r.GoldLogProb {
		rename(&r.GoldLogProb[i].Model)
	}
	for i := range r.WinRate {
		rename(&r.WinRate[i].Model)
	}
	for i := range r.Questions {
		rename(&r.Questions[i].Model)
	}
	for i := range r.Diversity {
		rename(&r.Diversity[i].Model)
	}
	for i := range r.WhenToAsk.Rows {
		rename(&r.WhenToAsk.Rows[i].Model)
	}
	r.Credit, r.Judges, r.Agreement, r.Paired, r.Baselines, r.TaskKinds, r.Optimum.Gaps, r.Optimum.Reached = nil, nil, nil, nil, nil, nil, []eval.Gap{}, ""
	for i := range r.WinChecks {
		rename(&r.WinChecks[i].Model)
	}
	for i := range r.Grounding {
		rename(&r.Grounding[i].Model)
	}
	for i := range d.Test.Sample {
		for j := range d.Test.Sample[i].Conversations {
			rename(&d.Test.Sample[i].Conversations[j].Model)
		}
	}
	return d
}
