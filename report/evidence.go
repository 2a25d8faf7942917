package report

import (
	"cmp"
	"fmt"
	"strings"

	"stargate/eval"
	"stargate/eval/judge"
)

// evidence is a section of tables about how far the numbers can be trusted.
type evidence struct {
	ID, Short, Heading, Lede string
	Alarms                   []string // what a reader must not miss
	Calm                     string   // instead, where there is none
	Tables                   []plainTable
}

// plainTable has a row's name first, numbers after it.
type plainTable struct {
	Caption string
	Head    []string
	Rows    [][]string
	Text    int // the column that is text and not a number; 0 = none
}

// evidenceOf are the sections for which a result has anything to show.
func evidenceOf(r *eval.Result) []evidence {
	var out []evidence
	for _, s := range []evidence{
		{ID: "paired", Short: "Differences", Heading: "Are the differences real?", Lede: "Models are compared on the same pairs, so that what pairs have in common falls out. Intervals and p-values are clustered by task and by persona; the bootstrap draws the effects of tasks, personas and pairs again.",
			Tables: tables(pairedTable(r), winCheckTable(r), baselineTable(r))},
		{ID: "responses", Short: "Responses", Heading: "What do the responses say?", Lede: "The paper’s ablations lose in two ways: trained on questions alone a model asks where it should answer; trained on golds it states what nobody told it.",
			Tables: tables(responseTable(r))},
		{ID: "judges", Short: "Judges", Heading: "Can the judge be trusted?", Lede: "A judge that can be biased sees both orders of every comparison; where it changes its mind the comparison is a tie.",
			Tables: tables(append(judgeTables(r.Judges), selfTable(r.Judges), agreementTable(r.Agreement))...)},
		{ID: "reward", Short: "Reward", Heading: "Is the reward reliable?", Lede: "The reward is log p(gold) of a conversation under the base model, summed over the gold’s tokens. It should choose the same conversations when they are drawn again, should not depend on their length, and should not favour what the questions did not earn.",
			Tables: tables(reliabilityTable(r), leakTable(r))},
		diversitySection(r),
		{ID: "credit", Short: "Credit", Heading: "What is a question worth?", Lede: "The gold is scored after every turn; a question’s worth is what its answer added, in nats.", Tables: tables(creditTable(r))},
		askingSection(r),
		{ID: "kinds", Short: "Task kinds", Heading: "General and specific tasks", Lede: "A model rated how much a good response to each task depends on who asks.", Tables: tables(taskKindTable(r))},
	} {
		if len(s.Tables) > 0 {
			out = append(out, s)
		}
	}
	for _, s := range []evidence{leftOutSection(r), notesSection(r)} {
		if len(s.Tables) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// tables leaves out those without rows.
func tables(all ...plainTable) []plainTable {
	var out []plainTable
	for _, t := range all {
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

func pairedTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "Paired differences, the second model less the first: nats, or for wins the share", Head: []string{"Comparison", "difference", "95 % interval", "p", "bootstrap", "p", "n"}}
	for _, p := range r.Paired {
		format := signed
		if p.What == eval.Wins {
			format = signedShare
		}
		row := []string{conditionName(p.What) + ", " + p.A + " → " + p.B, format(p.Diff), span(format, p.Low, p.High), pValue(p.P), "", "", count(p.N)}
		if p.Boot != nil {
			row[4], row[5] = span(format, p.Boot.Low, p.Boot.High), pValue(p.Boot.P)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func winCheckTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "Win rates over " + baseline(r) + ": what clustering does to their intervals, and the smallest differences that so many comparisons can tell", Head: []string{"Model", "Wilson, as if independent", "bootstrap", "p of ½", "design effect", "tells every second time", "four times in five"}}
	for _, w := range r.WinChecks {
		boot := ""
		if w.Boot != nil {
			boot = span(rate, w.Boot.Low, w.Boot.High)
		}
		t.Rows = append(t.Rows, []string{w.Model, span(rate, w.WilsonLow, w.WilsonHigh), boot, pValue(w.P), fmt.Sprintf("%.2f", w.DesignEffect), points(w.Tells), points(w.Detects)})
	}
	return t
}

// responseTable joins what is known of every world's responses, and of those whose truth is.
func responseTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "The judged responses: the share that asks instead of answering; and where the world’s truth is known, facts a response that the user had told, and facts that nobody told",
		Head: []string{"Model", "asks instead", "told facts", "invented facts", "95 % interval", "n"}}
	asks := map[string]string{}
	for _, w := range r.WinChecks {
		asks[w.Model] = percent1(w.Asks)
	}
	for _, m := range r.Models {
		g, known := grounding(r, m)
		share, judged := asks[m]
		if !known && !judged {
			continue
		}
		row := []string{m, cmp.Or(share, "–"), "–", "–", "–", "–"}
		if known {
			row = append(row[:2], each(g.Told), each(g.Invented), span(each, g.Low, g.High), count(g.N))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func judgeTables(audits []judge.Audit) []plainTable {
	biases := plainTable{Caption: "What each judge did: attempts declined and attempts without a readable verdict, verdicts that flip with the order, the share of verdicts for the response shown first, and for the longer one", Head: []string{"Judge", "comparisons", "invalid", "calls", "retried", "refused", "unparsable", "flips", "first shown", "longer"}}
	rates := plainTable{Caption: "Win rates by each judge: a tie as half a win; as the paper counts (one order by coin flip, ties left out); and for responses of the same length", Head: []string{"Judge, model", "win rate", "95 % interval", "ties", "invalid", "the paper’s count", "same length"}}
	for _, a := range audits {
		row := []string{a.Judge, count(a.N), count(a.Invalid), count(a.Calls), count(a.Retried), count(a.Refused), count(a.Unparsable), "–", "–", judged(a.Longer)}
		if a.Order != nil {
			row[7] = judged(&a.Order.Flips)
			row[8] = judged(a.Order.Position)
		}
		biases.Rows = append(biases.Rows, row)
		for _, w := range a.Wins {
			same := ""
			if w.SameLength != nil {
				same = rate(*w.SameLength)
			}
			rates.Rows = append(rates.Rows, []string{a.Judge + ", " + w.Model, rate(w.Rate), span(rate, w.Low, w.High), count(w.Ties), count(w.Invalid), judged(w.Authors), same})
		}
	}
	return []plainTable{biases, rates}
}

func judged(r *judge.Rate) string {
	if r == nil {
		return "–"
	}
	return rate(r.Rate) + " " + span(rate, r.Low, r.High)
}

func agreementTable(a *judge.Agreement) plainTable {
	if a == nil {
		return plainTable{}
	}
	t := plainTable{Caption: "How far the judges agree: 1 is always, 0 as chance has it", Head: []string{"Measure", "value", "95 % interval", "comparisons"}}
	alpha := []string{"Krippendorff’s α", rate(a.Alpha), "", count(a.Items)}
	if a.Low != nil && a.High != nil {
		alpha[2] = span(rate, *a.Low, *a.High)
	}
	t.Rows = append(t.Rows, alpha, []string{"α with ties between", rate(a.Ordinal), "", count(a.Items)})
	if a.Fleiss != nil {
		t.Rows = append(t.Rows, []string{"Fleiss’ κ", rate(*a.Fleiss), "", ""})
	}
	for _, p := range a.Pairs {
		t.Rows = append(t.Rows, []string{"Cohen’s κ, " + p.A + " and " + p.B, rate(p.Kappa), "", count(p.Items)})
	}
	return t
}

func reliabilityTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "The reward, by who asked. Margin: best candidate over the mean, in nats. Stable: two halves of a pair’s candidates choose conversations about the same; chance beside it. Ranks are Spearman’s ρ: sum against mean per token, sum against the gain over log p(gold | task), score against length", Head: []string{"Model, split", "pairs", "margin", "best over second", "stable", "by chance", "sum, mean", "sum, gain", "length"}}
	for _, x := range r.Reliability {
		t.Rows = append(t.Rows, []string{x.Model + ", " + x.Split, count(x.Pairs), nats(x.Margin), nats(x.Second), percent(x.Stable), percent(x.ByChance), optional(x.SumMean), optional(x.SumDelta), rank(x.LengthRank)})
	}
	return t
}

func leakTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "Conversations whose score the questions did not earn, as a share of all candidates and of the chosen ones", Head: []string{"Kind", "of all", "of the chosen", "candidates"}}
	for _, x := range r.Reliability {
		for _, l := range x.Leaks {
			t.Rows = append(t.Rows, []string{l.Kind + ", " + x.Model + ", " + x.Split, percent1(l.All), percent1(l.Selected), count(l.N)})
		}
	}
	return t
}

// creditTable has a row a model, a column a kind of question.
func creditTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "Mean gain in log p(gold) a question, in nats, with 95 % intervals: by turn, and by what the question asks for where that is known", Head: []string{"Model"}}
	column := map[string]int{}
	for _, c := range r.Credit {
		name := c.Key
		if c.By == "turn" {
			name = "turn " + c.Key
		}
		if _, ok := column[name]; !ok {
			column[name] = len(t.Head)
			t.Head = append(t.Head, name)
		}
	}
	for _, m := range r.Models {
		row := make([]string, len(t.Head))
		for i := range row {
			row[i] = "–"
		}
		found := false
		for _, c := range r.Credit {
			if c.Model != m {
				continue
			}
			name := c.Key
			if c.By == "turn" {
				name = "turn " + c.Key
			}
			row[column[name]], found = signed(c.Gain)+" "+span(signed, c.Low, c.High), true
		}
		if row[0] = m; found {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func taskKindTable(r *eval.Result) plainTable {
	t := plainTable{Caption: "By kind of task", Head: []string{"Kind, model, measure", "mean", "95 % interval", "n"}}
	if r.TaskKinds == nil {
		return t
	}
	for _, k := range r.TaskKinds.Rows {
		format := nats
		if k.What == eval.Wins {
			format = rate
		}
		t.Rows = append(t.Rows, []string{k.Kind + ", " + k.Model + ", " + conditionName(k.What), format(k.Mean), span(format, k.Low, k.High), count(k.N)})
	}
	return t
}

// conditionName is a condition in the words of the page.
func conditionName(what string) string {
	condition, subset, _ := strings.Cut(what, "/")
	name, ok := map[string]string{
		eval.Negative: "negative control", eval.Positive: "positive control", eval.QExperimental: "Q-experimental", eval.QRandom: "Q-random",
		eval.PositiveExperiment: "positive + Q", eval.OverRandom: "gap over Q-random", eval.Wins: "wins over the baseline",
	}[condition]
	if !ok {
		name = condition
	}
	if subset != "" {
		name += ", top-1"
	}
	return name
}

func span(format func(float64) string, low, high float64) string {
	return "[" + format(low) + ", " + format(high) + "]"
}

// pValue is as exact as it needs to be.
func pValue(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

// points is a difference of shares in percentage points.
func points(v float64) string { return fmt.Sprintf("%.1f points", 100*v) }

func rank(v float64) string { return minus(fmt.Sprintf("%.2f", v)) }

func optional(v *float64) string {
	if v == nil {
		return "–"
	}
	return rank(*v)
}
