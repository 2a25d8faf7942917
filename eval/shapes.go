package eval

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Shapes judges the findings of PROTOCOL §8 from a run, and with results of the ablations
// "no-regularization", "gold-response" and "response-model" also those that need them. A
// run that is itself an ablation is judged by its own numbers.
//
// The criteria are the paper's findings in words and hold for every run alike:
//
//	a  Q-experimental of every model is above its predecessor's, or is at the optimum
//	   (Gap.Reached); from m0 to the last model it gains, and gains more than Q-random
//	b  the interval of every win rate lies above one half
//	c  without regularisation, the interval of the last win rate lies below one half
//	d  trained on golds, the last model has at least the main run's log p(gold), less one
//	   standard error, and a lower win rate
//	e  with Q_BASE responding, the last win rate is above one half
//	f  with weaker Roleplayers at evaluation (the ablations "roleplayer-weak…") the last win
//	   rate is lower than the main run's, and its interval still lies above one half
func Shapes(main *Result, ablations map[string]*Result) []Shape {
	return []Shape{
		rises(main), wins(main),
		ablated(main, ablations, "c", "no-regularization", func(_, a *Result) (bool, string, bool) {
			w, ok := last(a)
			return w.High < 0.5, "without regularisation: " + w.text(), ok
		}),
		ablated(main, ablations, "d", "gold-response", func(m, a *Result) (bool, string, bool) {
			w, okW := last(a)
			own, okOwn := last(m)
			x, okX := find(a, QExperimental, lastModel(a))
			y, okY := find(m, QExperimental, lastModel(m))
			return x.Mean >= y.Mean-x.SEM && w.Rate < own.Rate,
				fmt.Sprintf("log p(gold) %.2f ± %.2f against %.2f ± %.2f of the main run; %s against %.3f", x.Mean, x.SEM, y.Mean, y.SEM, w.text(), own.Rate),
				okW && okOwn && okX && okY
		}),
		ablated(main, ablations, "e", "response-model", func(_, a *Result) (bool, string, bool) {
			w, ok := last(a)
			return w.Rate > 0.5, "Q_BASE on the model's conversations: " + w.text(), ok
		}),
		roleplayers(main, ablations),
	}
}

// roleplayers is (f). Other Roleplayers than weaker ones are told in its evidence only.
func roleplayers(main *Result, ablations map[string]*Result) Shape {
	own, ok := last(main)
	if !ok {
		return Shape{ID: "f", Evidence: "no comparisons"}
	}
	seen, weaker := true, false
	text := fmt.Sprintf("main run %.3f", own.Rate)
	for _, name := range slices.Sorted(maps.Keys(ablations)) {
		if !strings.HasPrefix(name, "roleplayer-") {
			continue
		}
		w, ok := last(ablations[name])
		if !ok {
			continue
		}
		text += fmt.Sprintf("; %s %.3f [%.3f, %.3f]", name, w.Rate, w.Low, w.High)
		if strings.HasPrefix(name, "roleplayer-weak") {
			weaker = true
			seen = seen && w.Rate < own.Rate && w.Low > 0.5
		}
	}
	if !weaker {
		return Shape{ID: "f", Evidence: "needs evaluations with weaker roleplayers (ablations roleplayer-weak…)"}
	}
	return Shape{"f", yes(seen), text}
}

func yes(b bool) *bool { return &b }

// find looks a mean over all conversations up.
func find(r *Result, condition, model string) (GoldLogProb, bool) {
	for _, g := range r.GoldLogProb {
		if g.Condition == condition && g.Model == model && g.Subset == All {
			return g, true
		}
	}
	return GoldLogProb{}, false
}

func lastModel(r *Result) string {
	if len(r.Models) == 0 {
		return ""
	}
	return r.Models[len(r.Models)-1]
}

// last is the win rate of the last model; ok is false where nothing was judged.
func last(r *Result) (w WinRate, ok bool) {
	if len(r.WinRate) == 0 {
		return w, false
	}
	w = r.WinRate[len(r.WinRate)-1]
	return w, w.N > 0
}

func (w WinRate) text() string {
	return fmt.Sprintf("win rate of %s %.3f [%.3f, %.3f], n = %d", w.Model, w.Rate, w.Low, w.High, w.N)
}

// atOptimum tells whether a model is not below the optimum; false where that is unknown.
func (r *Result) atOptimum(model string) bool {
	if r.Optimum == nil {
		return false
	}
	for _, g := range r.Optimum.Gaps {
		if g.Model == model {
			return g.Reached()
		}
	}
	return false
}

// gain is the difference from m0 with its interval.
func (g GoldLogProb) gain() string {
	return fmt.Sprintf("%.2f [%.2f, %.2f]", g.Delta, g.DeltaLow, g.DeltaHigh)
}

// rises is (a): Q-experimental rises at every iteration until the optimum, where it can
// rise no more; Q-random rises less, so that the gap widens.
func rises(r *Result) Shape {
	if len(r.Models) < 2 {
		return Shape{ID: "a", Evidence: "only one model"}
	}
	var own, random []float64
	var qa, gap []string
	var lastOwn, lastRandom GoldLogProb
	up := true
	for i, m := range r.Models {
		q, okQ := find(r, QExperimental, m)
		x, okX := find(r, QRandom, m)
		if !okQ || !okX {
			return Shape{ID: "a", Evidence: "Q-experimental and Q-random of " + m + " were not both measured"}
		}
		own, random = append(own, q.Mean), append(random, x.Mean)
		lastOwn, lastRandom = q, x
		qa, gap = append(qa, fmt.Sprintf("%.2f", q.Mean)), append(gap, fmt.Sprintf("%.2f", q.Mean-x.Mean))
		up = up && (i == 0 || own[i] > own[i-1] || r.atOptimum(m))
	}
	n := len(own) - 1
	gain, other := own[n]-own[0], random[n]-random[0]
	text := fmt.Sprintf("Q-experimental %s nats; gain %s against %s of Q-random; gap %s",
		strings.Join(qa, " → "), lastOwn.gain(), lastRandom.gain(), strings.Join(gap, " → "))
	if r.Optimum != nil {
		text += fmt.Sprintf("; optimum %.2f", r.Optimum.GoldLogProb)
		if r.Optimum.Reached != "" {
			text += ", reached by " + r.Optimum.Reached
		}
	}
	return Shape{"a", yes(up && gain > 0 && gain > other), text}
}

// wins is (b): above one half from the first iteration on.
func wins(r *Result) Shape {
	above, judged := true, 0
	var all []string
	for _, w := range r.WinRate {
		above = above && w.Low > 0.5
		judged += w.N
		all = append(all, fmt.Sprintf("%s %.3f [%.3f, %.3f]", w.Model, w.Rate, w.Low, w.High))
	}
	if judged == 0 {
		return Shape{ID: "b", Evidence: "no comparisons"}
	}
	return Shape{"b", yes(above), strings.Join(all, "; ")}
}

// ablated judges a shape that needs an ablation: given beside the main run, or the run
// itself when that is the ablation. judge's last value tells whether it can tell.
func ablated(main *Result, ablations map[string]*Result, id, name string, judge func(main, ablation *Result) (seen bool, evidence string, ok bool)) Shape {
	a := ablations[name]
	if a == nil && strings.Contains(main.Experiment, name) {
		a = main
	}
	if a == nil {
		return Shape{ID: id, Evidence: "needs the ablation " + name}
	}
	if a == main && id == "d" {
		return Shape{ID: id, Evidence: "needs the main run beside this one"}
	}
	seen, text, ok := judge(main, a)
	if !ok {
		return Shape{ID: id, Evidence: "nothing was judged: no win rates in the ablation " + name + ", or in the main run"}
	}
	return Shape{id, yes(seen), text}
}
