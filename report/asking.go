package report

import (
	"fmt"
	"maps"
	"slices"

	"stargate/eval"
	"stargate/eval/judge"
)

// diversitySection tells whether the questions stay diverse, alarms first.
func diversitySection(r *eval.Result) evidence {
	s := evidence{ID: "diversity", Short: "Diversity", Heading: "Do the questions stay diverse?",
		Lede:   "A model that collapses asks the same of everybody. Alarms compare each model with " + baseline(r) + "; few different questions for one task are none, they may be the right ones.",
		Tables: tables(diversityTable(r), frequentTable(r), malformedTable(r))}
	if len(s.Tables) == 0 {
		return s
	}
	for _, d := range r.Diversity {
		for _, a := range d.Alarms {
			s.Alarms = append(s.Alarms, d.Model+": "+a)
		}
	}
	if len(s.Alarms) == 0 {
		s.Calm = "No alarm."
	}
	return s
}

func diversityTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "Diversity of questions, in samples of the same size. Distinct-n: different runs of n words per run. Self-BLEU: likeness to the others, 1 = all the same. Effective: as many equally frequent questions have the same entropy. First questions: share of different ones among a pair’s candidates",
		Head: []string{"Model", "questions", "sample", "distinct-1", "distinct-2", "distinct-3", "self-BLEU", "effective questions", "effective attributes", "first questions"}}
	for _, d := range r.Diversity {
		attributes := "–"
		if d.Attributes != nil {
			attributes = fmt.Sprintf("%.1f", *d.Attributes)
		}
		t.Rows = append(t.Rows, []string{d.Model, count(d.N), count(d.Sample), rate(d.Distinct1), rate(d.Distinct2), rate(d.Distinct3), rate(d.SelfBLEU), fmt.Sprintf("%.1f", d.Effective), attributes, percent(d.PerPair)})
	}
	return t
}

func frequentTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "The most frequent question of each model", Head: []string{"Model", "share of all", "question"}, Text: 2}
	for _, d := range r.Diversity {
		t.Rows = append(t.Rows, []string{d.Model, percent1(d.TopShare), d.Top})
	}
	return t
}

func malformedTable(r *eval.Result) plainTable {
	kinds := map[string]bool{}
	for _, d := range r.Diversity {
		for k := range d.Malformed {
			kinds[k] = true
		}
	}
	names := slices.Sorted(maps.Keys(kinds))
	t := plainTable{Caption: "Malformed questions by kind, as shares of all questions drawn, those thrown away included", Head: append([]string{"Model"}, names...)}
	if len(names) == 0 {
		return t
	}
	for _, d := range r.Diversity {
		row := []string{d.Model}
		for _, k := range names {
			row = append(row, percent1(d.Malformed[k]))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// askingSection tells when models ask of themselves.
func askingSection(r *eval.Result) evidence {
	s := evidence{ID: "asking", Short: "When to ask", Heading: "Does it ask when a question is needed, and only then?", Tables: tables(askingTable(r))}
	if w := r.WhenToAsk; w != nil {
		s.Lede = fmt.Sprintf("Here a model may ask or answer as it likes, turn after turn. Open tasks are the test split’s; in a told task the user says at once everything that matters, and no question is needed. The base model can use what it is told: log p(gold | told task) is %s ± %.2f nats.", nats(w.ToldLogProb), w.ToldSEM)
	}
	return s
}

func askingTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "When models ask. Asks first: before anything was said. Over-asks: of the steps that need no question. Under-asks: of the steps that need one, those at which it answers. Stops: answers within the most turns", Head: []string{"Model, tasks", "asks first", "questions", "over-asks", "under-asks", "stops", "pairs"}}
	if r.WhenToAsk == nil {
		return t
	}
	for _, a := range r.WhenToAsk.Rows {
		t.Rows = append(t.Rows, []string{a.Model + ", " + a.Tasks, judged(&a.First), fmt.Sprintf("%.2f", a.Questions), judged(a.OverAsk), judged(a.UnderAsk), judged(&a.Stopped), count(a.N)})
	}
	return t
}

// selfTable is for judges that are themselves among the models.
func selfTable(audits []judge.Audit) plainTable {
	t := plainTable{Caption: "Judges that rate themselves: the judge’s own model in its own eyes and in those of the other judges, on the same comparisons. A difference above 0 favours itself", Head: []string{"Judge, model", "its own rating", "the others’", "difference", "95 % interval", "comparisons"}}
	difference := func(v float64) string { return minus(fmt.Sprintf("%+.3f", v)) }
	for _, a := range audits {
		if s := a.Self; s != nil {
			t.Rows = append(t.Rows, []string{a.Judge + ", " + s.Model, rate(s.Own), rate(s.Others), difference(s.Difference), span(difference, s.Low, s.High), count(s.N)})
		}
	}
	return t
}

// baselineTable is win rates over other ways of answering than the first model's own.
func baselineTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "Win rates over other baselines", Head: []string{"Model, baseline", "win rate", "95 % interval", "n", "ties", "invalid"}}
	for _, b := range r.Baselines {
		for _, w := range b.WinRate {
			if w.N > 0 {
				t.Rows = append(t.Rows, []string{w.Model + ", over " + b.Name, rate(w.Rate), span(rate, w.Low, w.High), count(w.N), count(w.Ties), count(w.Invalid)})
			}
		}
	}
	return t
}
