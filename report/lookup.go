package report

import (
	"slices"
	"strings"

	"stargate/eval"
)

// The conditions of report.json, in the order of the tables.
var conditions = []struct{ key, subset, name string }{
	{eval.QExperimental, eval.All, "Q-experimental"},
	{eval.QRandom, eval.All, "Q-random"},
	{eval.QExperimental, eval.Top1, "Q-experimental, top-1"},
	{eval.QRandom, eval.Top1, "Q-random, top-1"},
	{eval.PositiveExperiment, eval.All, "Positive control + Q"},
	{eval.PositiveExperiment, eval.Top1, "Positive control + Q, top-1"},
	{eval.Negative, eval.All, "Negative control"},
	{eval.Positive, eval.All, "Positive control"},
}

// gold finds a mean gold log-probability.
func gold(r *eval.Result, condition, model, subset string) (eval.GoldLogProb, bool) {
	for _, g := range r.GoldLogProb {
		if g.Condition == condition && g.Model == model && g.Subset == subset {
			return g, true
		}
	}
	return eval.GoldLogProb{}, false
}

// anyGold finds a control, which is measured once, whatever model it stands under.
func anyGold(r *eval.Result, condition string) (eval.GoldLogProb, bool) {
	for _, m := range r.Models {
		if g, ok := gold(r, condition, m, eval.All); ok {
			return g, true
		}
	}
	for _, g := range r.GoldLogProb {
		if g.Condition == condition {
			return g, true
		}
	}
	return eval.GoldLogProb{}, false
}

func isControl(condition string) bool {
	return condition == eval.Negative || condition == eval.Positive
}

func winRate(r *eval.Result, model string) (eval.WinRate, bool) {
	i := slices.IndexFunc(r.WinRate, func(w eval.WinRate) bool { return w.Model == model })
	if i < 0 {
		return eval.WinRate{}, false
	}
	return r.WinRate[i], true
}

func questions(r *eval.Result, model string) (eval.Questions, bool) {
	i := slices.IndexFunc(r.Questions, func(q eval.Questions) bool { return q.Model == model })
	if i < 0 {
		return eval.Questions{}, false
	}
	return r.Questions[i], true
}

func grounding(r *eval.Result, model string) (eval.Grounding, bool) {
	i := slices.IndexFunc(r.Grounding, func(g eval.Grounding) bool { return g.Model == model })
	if i < 0 {
		return eval.Grounding{}, false
	}
	return r.Grounding[i], true
}

// ends are the first and the last model: m0 and m_N.
func ends(r *eval.Result) (first, last string, ok bool) {
	if len(r.Models) < 2 {
		return "", "", false
	}
	return r.Models[0], r.Models[len(r.Models)-1], true
}

// baseline is the model that all others are compared with.
func baseline(r *eval.Result) string {
	if len(r.Models) == 0 {
		return "m0"
	}
	return r.Models[0]
}

// iterated tells whether the models are iterations of one. Of others the paper says nothing,
// and its values do not stand beside theirs.
func iterated(r *eval.Result) bool { return r.Kind == eval.Iterations }

// ablation is the kind of run, read from the experiment's name: "" is the main method.
func ablation(r *eval.Result) string {
	for _, a := range []string{"no-regularization", "gold-response", "response-model"} {
		if strings.Contains(r.Experiment, a) {
			return a
		}
	}
	return ""
}

// known tells whether question statistics include relevance: a world whose truth is not
// known has none.
func known(q eval.Questions) bool { return q.Relevant >= 0 }
