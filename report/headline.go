package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"stargate/eval"
)

// learned is the verdict on a run: what its numbers allow to be said.
type learned int

const (
	unknown    learned = iota // too little was measured
	notLearned                // gold log-probability did not rise beyond its error
	asksBetter                // it did, but the answers do not win beyond chance
	winsToo                   // and the answers win
)

// verdict reads the two headline measures of the paper: gold log-probability under
// Q-experimental, last model against m0, and the last model's win rate.
func verdict(r *eval.Result) learned {
	m0, mN, ok := ends(r)
	if !ok {
		return unknown
	}
	_, okA := gold(r, eval.QExperimental, m0, eval.All)
	b, okB := gold(r, eval.QExperimental, mN, eval.All)
	if !okA || !okB {
		return unknown
	}
	if b.DeltaLow <= 0 {
		return notLearned
	}
	if w, ok := winRate(r, mN); ok && w.N > 0 && w.Low > 0.5 {
		return winsToo
	}
	return asksBetter
}

// Headline says in one or two sentences what the run shows, from its numbers alone.
func Headline(d Data) string {
	r := d.Result
	m0, mN, ok := ends(r)
	if !iterated(r) {
		return contest(r)
	}
	if !ok {
		return "This run holds one model, so there is nothing to compare yet."
	}
	rounds := "After " + plural(len(r.Models)-1, "round") + " of self-play "
	a, _ := gold(r, eval.QExperimental, m0, eval.All)
	b, _ := gold(r, eval.QExperimental, mN, eval.All)
	var s strings.Builder
	switch v := verdict(r); v {
	case unknown:
		return rounds + "gold log-probabilities of " + m0 + " and " + mN + " were not both measured, so this report cannot say whether the model learned."
	case notLearned:
		s.WriteString(rounds + "the model did not learn to ask better questions: the gold responses’ log-probability went from " +
			nats(a.Mean) + " to " + nats(b.Mean) + " nats, which is not a rise beyond its error")
		if q, ok := relevance(d); ok {
			s.WriteString(", and relevant questions from " + q.from + " to " + q.to)
		}
		s.WriteString(".")
	default:
		s.WriteString(rounds + "the model asks better questions: ")
		if q, ok := relevance(d); ok {
			s.WriteString(q.to + " of them are relevant" + q.against + ", and ")
		}
		fmt.Fprintf(&s, "the right answer is %s nats (%s–%s) more probable after its conversations.", nats(b.Delta), nats(b.DeltaLow), nats(b.DeltaHigh))
	}
	s.WriteString(" " + winSentence(r, m0, mN))
	return strings.TrimSpace(s.String())
}

// winSentence says what the judge found.
func winSentence(r *eval.Result, m0, mN string) string {
	w, ok := winRate(r, mN)
	if !ok || w.N == 0 {
		return "Responses were not judged."
	}
	interval := fmt.Sprintf("%s of the time (95\u00a0%% interval %s–%s)", percent(w.Rate), strings.TrimSuffix(percent(w.Low), "\u00a0%"), percent(w.High))
	switch {
	case w.Low > 0.5:
		return "Its responses beat those of " + m0 + " " + interval + "."
	case w.High < 0.5:
		return "But its responses lose to those of " + m0 + ": they win only " + interval + "."
	default:
		return "Its responses are not told apart from those of " + m0 + ": they win " + interval + "."
	}
}

type relevant struct{ from, to, against string }

// relevance is the share of relevant questions at both ends, where it was measured.
func relevance(d Data) (relevant, bool) {
	m0, mN, ok := ends(d.Result)
	if !ok {
		return relevant{}, false
	}
	a, okA := questions(d.Result, m0)
	b, okB := questions(d.Result, mN)
	if !okA || !okB || !known(a) || !known(b) {
		return relevant{}, false
	}
	q := relevant{from: percent(a.Relevant), to: percent(b.Relevant), against: " (" + m0 + ": " + percent(a.Relevant) + ")"}
	if o := d.Result.Optimum; o != nil {
		q.against = " (" + m0 + ": " + percent(a.Relevant) + ", chance: " + percent(o.ChanceRelevant) + ")"
	}
	return q, true
}

// contest is the headline of an evaluation of any models: who asked best, and how each fared
// against the baseline.
func contest(r *eval.Result) string {
	var s strings.Builder
	best, found := eval.GoldLogProb{}, false
	for _, m := range r.Models {
		if g, ok := gold(r, eval.QExperimental, m, eval.All); ok && (!found || g.Mean > best.Mean) {
			best, found = g, true
		}
	}
	switch {
	case len(r.Models) == 1 && found:
		fmt.Fprintf(&s, "After the conversations of %s the right answer has a log-probability of %s ± %.2f nats.", best.Model, nats(best.Mean), best.SEM)
	case found:
		fmt.Fprintf(&s, "Of %s, the conversations of %s make the right answer most probable: %s ± %.2f nats", plural(len(r.Models), "model"), best.Model, nats(best.Mean), best.SEM)
		if best.Model != r.Models[0] {
			fmt.Fprintf(&s, ", %s (%s to %s) more than those of %s", signed(best.Delta), signed(best.DeltaLow), signed(best.DeltaHigh), r.Models[0])
		}
		s.WriteString(".")
	default:
		s.WriteString("Gold log-probabilities were not measured.")
	}
	won := slices.DeleteFunc(slices.Clone(r.WinRate), func(w eval.WinRate) bool { return w.N == 0 })
	if len(won) > 2 { // the table has them all
		won = []eval.WinRate{slices.MaxFunc(won, func(a, b eval.WinRate) int { return cmp.Compare(a.Rate, b.Rate) })}
		s.WriteString(" Most often in front of the judge:")
	}
	for _, w := range won {
		fmt.Fprintf(&s, " %s wins over %s %s of the time (95\u00a0%% interval %s–%s).", w.Model, r.Models[0], percent(w.Rate), strings.TrimSuffix(percent(w.Low), "\u00a0%"), percent(w.High))
	}
	return s.String()
}
