package eval

import (
	"fmt"
	"strings"
)

// Shapes judges the findings of PROTOCOL §8 from a run, and with results of the ablations
// "no-regularization", "gold-response" and "response-model" also those that need them.
func Shapes(main *Result, ablations map[string]*Result) []Shape {
	return []Shape{
		rises(main), wins(main),
		ablated(main, ablations, "c", "no-regularization", func(_, a *Result) (bool, string) {
			w := last(a)
			return w.High < 0.5, "without regularisation: " + w.text()
		}),
		ablated(main, ablations, "d", "gold-response", func(m, a *Result) (bool, string) {
			w, own := last(a), last(m)
			x, y := find(a, QExperimental, lastModel(a)), find(m, QExperimental, lastModel(m))
			return x.Mean >= y.Mean-x.SEM && w.Rate < own.Rate, fmt.Sprintf("log p(gold) %.2f against %.2f of the main run; %s against %.3f", x.Mean, y.Mean, w.text(), own.Rate)
		}),
		ablated(main, ablations, "e", "response-model", func(_, a *Result) (bool, string) {
			w := last(a)
			return w.Rate > 0.5, "Q_BASE on the model's conversations: " + w.text()
		}),
		{ID: "f", Evidence: "needs evaluations with other roleplayers"},
	}
}

func yes(b bool) *bool { return &b }

func find(r *Result, condition, model string) GoldLogProb {
	for _, g := range r.GoldLogProb {
		if g.Condition == condition && g.Model == model && g.Subset == All {
			return g
		}
	}
	return GoldLogProb{}
}

func lastModel(r *Result) string { return r.Models[len(r.Models)-1] }

func last(r *Result) WinRate {
	if len(r.WinRate) == 0 {
		return WinRate{Low: 0, High: 1}
	}
	return r.WinRate[len(r.WinRate)-1]
}

func (w WinRate) text() string {
	return fmt.Sprintf("win rate of %s %.3f [%.3f, %.3f], n = %d", w.Model, w.Rate, w.Low, w.High, w.N)
}

// rises is (a): Q-experimental rises at every iteration (until the optimum is reached,
// where it can rise no more), Q-random rises less, the gap widens.
func rises(r *Result) Shape {
	if len(r.Models) < 2 {
		return Shape{ID: "a", Evidence: "only one model"}
	}
	var qa, gap []string
	up, reached := true, false
	for i, m := range r.Models {
		g := find(r, QExperimental, m)
		qa = append(qa, fmt.Sprintf("%.2f", g.Mean))
		gap = append(gap, fmt.Sprintf("%.2f", g.Mean-find(r, QRandom, m).Mean))
		// From the optimum on there is nothing left to rise to.
		if i > 0 && g.Mean <= find(r, QExperimental, r.Models[i-1]).Mean && !reached {
			up = false
		}
		reached = reached || r.Optimum != nil && r.Optimum.Reached == m
	}
	first, end := r.Models[0], lastModel(r)
	dq := find(r, QExperimental, end).Mean - find(r, QExperimental, first).Mean
	dr := find(r, QRandom, end).Mean - find(r, QRandom, first).Mean
	text := fmt.Sprintf("Q-experimental %s nats; gap over Q-random %s", strings.Join(qa, " → "), strings.Join(gap, " → "))
	if r.Optimum != nil {
		text += fmt.Sprintf("; optimum %.2f", r.Optimum.GoldLogProb)
		if r.Optimum.Reached != "" {
			text += ", reached by " + r.Optimum.Reached
		}
	}
	total := find(r, QExperimental, end)
	low, _ := Estimate{Mean: total.Delta, SEM: total.DeltaSEM}.Interval()
	text += fmt.Sprintf("; rise %.2f ± %.2f (paired)", total.Delta, total.DeltaSEM)
	return Shape{"a", yes(up && low > 0 && dq > dr), text}
}

// wins is (b): above one half from the first iteration on.
func wins(r *Result) Shape {
	if len(r.WinRate) == 0 {
		return Shape{ID: "b", Evidence: "no comparisons"}
	}
	above := true
	var all []string
	for _, w := range r.WinRate {
		above = above && w.Low > 0.5
		all = append(all, fmt.Sprintf("%s %.3f [%.3f, %.3f]", w.Model, w.Rate, w.Low, w.High))
	}
	return Shape{"b", yes(above), strings.Join(all, "; ")}
}

// ablated judges a shape that needs an ablation: given beside the main run, or the run
// itself when that is the ablation.
func ablated(main *Result, ablations map[string]*Result, id, name string, judge func(main, ablation *Result) (bool, string)) Shape {
	a := ablations[name]
	if a == nil && strings.Contains(main.Experiment, name) && id != "d" {
		a = main
	}
	if a == nil {
		return Shape{ID: id, Evidence: "needs the ablation " + name}
	}
	seen, text := judge(main, a)
	return Shape{id, yes(seen), text}
}
