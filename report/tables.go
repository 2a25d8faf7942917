package report

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"stargate/eval"
)

// goldRow is a row of the table of gold log-probabilities, one cell per model.
type goldRow struct {
	Name      string
	Cells     []goldCell
	Change    string // last model minus m0, paired
	ChangeSEM string
	N         string
	Paper     []string // the paper's values for m0, m1, …; nil where it has none
	Delta     string   // the paper's change
	Fixed     bool     // a control: one value for all models
}

type goldCell struct{ Mean, SEM string }

func goldRows(r *eval.Result) []goldRow {
	var out []goldRow
	for _, c := range conditions {
		row := goldRow{Name: c.name, Cells: make([]goldCell, len(r.Models))}
		lo, hi, found := 0, 0, 0
		see := func(g eval.GoldLogProb) goldCell {
			if found == 0 {
				lo, hi = g.N, g.N
			}
			lo, hi = min(lo, g.N), max(hi, g.N)
			found++
			return goldCell{nats(g.Mean), sem(g.SEM)}
		}
		if isControl(c.key) {
			row.Fixed = true
			if g, ok := anyGold(r, c.key); ok {
				row.Cells[0] = see(g)
			}
		} else {
			for i, m := range r.Models {
				if g, ok := gold(r, c.key, m, c.subset); ok {
					row.Cells[i] = see(g)
				}
			}
		}
		if found == 0 {
			continue
		}
		if _, mN, ok := ends(r); ok && !row.Fixed {
			if g, ok := gold(r, c.key, mN, c.subset); ok {
				row.Change, row.ChangeSEM = signed(g.Delta), sem(g.DeltaSEM)
			}
		}
		row.N = count(lo)
		if hi != lo {
			row.N += "–" + count(hi)
		}
		if p := paperLogProb[paperKey(c.key, c.subset)]; p != nil && iterated(r) {
			row.Paper = make([]string, len(r.Models))
			for i := range row.Paper {
				if i < len(p) {
					row.Paper[i] = nats(p[i])
				}
			}
			if len(p) > 1 {
				row.Delta = paperSigned(p[len(p)-1] - p[0])
			}
		}
		out = append(out, row)
	}
	return out
}

func sem(v float64) string { return "±" + fmt.Sprintf("%.2f", v) }

// gapRow is Q-experimental minus Q-random by model: the persona's share of the gain.
func gapRow(r *eval.Result) (goldRow, bool) {
	row := goldRow{Name: "Gap: Q-experimental − Q-random", Cells: make([]goldCell, len(r.Models))}
	if iterated(r) {
		row.Paper = make([]string, len(r.Models))
	}
	var first, last float64
	for i, m := range r.Models {
		a, okA := gold(r, eval.QExperimental, m, eval.All)
		b, okB := gold(r, eval.QRandom, m, eval.All)
		if !okA || !okB {
			return row, false
		}
		last = a.Mean - b.Mean
		if i == 0 {
			first = last
		}
		row.Cells[i] = goldCell{Mean: signed(last)}
		if i < len(paperLogProb["qa"]) && row.Paper != nil {
			row.Paper[i] = paperSigned(paperGap(i))
		}
	}
	row.Change = signed(last - first)
	if row.Paper != nil {
		row.Delta = paperSigned(paperGap(3) - paperGap(0))
	}
	return row, len(r.Models) > 0
}

// optimumRows are the optimum and how far each model's Q-experimental is from it.
func optimumRows(r *eval.Result) []goldRow {
	o := r.Optimum
	if o == nil || len(r.Models) == 0 {
		return nil
	}
	best := goldRow{Name: "Optimum", Cells: make([]goldCell, len(r.Models)), N: count(o.N)}
	best.Cells[0] = goldCell{nats(o.GoldLogProb), sem(o.SEM)}
	out := []goldRow{best}
	away := goldRow{Name: "Q-experimental − optimum", Cells: make([]goldCell, len(r.Models))}
	for _, g := range o.Gaps {
		if i := slices.Index(r.Models, g.Model); i >= 0 {
			away.Cells[i] = goldCell{signed(g.Mean), sem(g.SEM)}
		}
	}
	if len(o.Gaps) > 0 {
		out = append(out, away)
	}
	return out
}

// turnsTable is gold log-probability under Q-experimental by length of the conversation.
type turnsTable struct {
	Lengths []int
	Rows    []goldRow
}

func goldByTurns(r *eval.Result) turnsTable {
	var t turnsTable
	for _, g := range r.GoldLogProb {
		for _, k := range g.ByTurns {
			if !slices.Contains(t.Lengths, k.Turns) {
				t.Lengths = append(t.Lengths, k.Turns)
			}
		}
	}
	slices.Sort(t.Lengths)
	for _, m := range r.Models {
		g, ok := gold(r, eval.QExperimental, m, eval.All)
		if !ok || len(g.ByTurns) == 0 {
			continue
		}
		row := goldRow{Name: m, Cells: make([]goldCell, len(t.Lengths))}
		for _, k := range g.ByTurns {
			if k.N > 0 {
				row.Cells[slices.Index(t.Lengths, k.Turns)] = goldCell{nats(k.Mean), sem(k.SEM)}
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// winRow is a row of the table of win rates.
type winRow struct {
	Model, Rate, Interval, N, Wins, Ties, Losses, Invalid, Paper string
	ByTurns                                                      []string
}

// winRows gives the rows and the conversation lengths that have columns of their own.
func winRows(r *eval.Result) (rows []winRow, lengths []int) {
	for _, w := range r.WinRate {
		for _, t := range w.ByTurns {
			if !slices.Contains(lengths, t.Turns) {
				lengths = append(lengths, t.Turns)
			}
		}
	}
	slices.Sort(lengths)
	paper := paperWinRate[paperRow(r)].rates
	for _, w := range r.WinRate {
		row := winRow{Model: w.Model, N: count(w.N), Wins: count(w.Wins), Ties: count(w.Ties), Losses: count(w.Losses), Invalid: count(w.Invalid), Rate: "–", Interval: "–", Paper: "–",
			ByTurns: make([]string, len(lengths))}
		if w.N > 0 {
			row.Rate, row.Interval = rate(w.Rate), rate(w.Low)+" – "+rate(w.High)
		}
		for _, t := range w.ByTurns {
			if t.N > 0 {
				row.ByTurns[slices.Index(lengths, t.Turns)] = rate(t.Rate)
			}
		}
		if i := slices.Index(r.Models, w.Model) - 1; i >= 0 && i < len(paper) && iterated(r) {
			row.Paper = rate(paper[i])
		}
		rows = append(rows, row)
	}
	return rows, lengths
}

// questionRow is a row of the table of question statistics.
type questionRow struct{ Model, Wellformed, Relevant, RelevantSEM, Redundant, Distinct, Words, N string }

func questionRows(r *eval.Result) []questionRow {
	var out []questionRow
	for _, q := range r.Questions {
		row := questionRow{Model: q.Model, Wellformed: percent1(q.Wellformed), Relevant: "not known", Redundant: "not known",
			Distinct: percent1(q.Distinct), Words: fmt.Sprintf("%.1f", q.Words), N: count(q.N)}
		if known(q) {
			row.Relevant, row.RelevantSEM = percent1(q.Relevant), "±"+fmt.Sprintf("%.1f", 100*q.RelevantSEM)
		}
		if q.Redundant >= 0 {
			row.Redundant = percent1(q.Redundant)
		}
		out = append(out, row)
	}
	return out
}

// shapeRow is one claim of the paper with what this run says about it.
type shapeRow struct{ ID, Claim, Mark, Verdict, Class, Evidence string }

// negative is a number below 0 in a text.
var negative = regexp.MustCompile(`(^|[\s\[(])-([0-9.])`)

func shapeRows(r *eval.Result) []shapeRow {
	var out []shapeRow
	for _, id := range slices.Sorted(maps.Keys(shapes)) {
		row := shapeRow{ID: id, Claim: shapes[id], Mark: "–", Verdict: "not tested", Class: "not-tested", Evidence: "This run does not hold what is needed to tell."}
		for _, s := range r.Shapes {
			if s.ID != id {
				continue
			}
			if s.Evidence != "" {
				row.Evidence = negative.ReplaceAllString(s.Evidence, "${1}−$2")
			}
			switch {
			case s.Seen != nil && *s.Seen:
				row.Mark, row.Verdict, row.Class = "✓", "seen", "seen"
			case s.Seen != nil:
				row.Mark, row.Verdict, row.Class = "✗", "not seen", "not-seen"
			}
		}
		out = append(out, row)
	}
	return out
}

// trainRow is what one fine-tune did.
type trainRow struct {
	Model, Split, Pairs, Complete, Margin, Relevant, Examples, HeldOut, Tokens, Steps, Loss, EvalLoss, Paper string
}

func trainRows(d Data) []trainRow {
	var out []trainRow
	for i, t := range d.Result.Training {
		row := trainRow{Model: t.Model, Split: t.Split, Margin: signed(t.Margin), Examples: count(t.Examples), Steps: count(len(t.Loss)),
			Pairs: "–", Complete: "–", HeldOut: "–", Tokens: "–", Relevant: "–", Loss: "–", EvalLoss: "–", Paper: "–"}
		for _, it := range d.Iterations {
			if it.label() == t.Model {
				row.Pairs, row.Complete, row.HeldOut, row.Tokens = count(it.Pairs), count(it.Complete), count(it.HeldOut), count(it.Tokens)
			}
		}
		if t.Relevant[0] >= 0 {
			row.Relevant = percent(t.Relevant[0]) + " → " + percent(t.Relevant[1])
		}
		if n := len(t.Loss); n > 0 {
			row.Loss = rate(t.Loss[0]) + " → " + rate(t.Loss[n-1])
		}
		if t.EvalLoss != [2]float64{} {
			row.EvalLoss = rate(t.EvalLoss[0]) + " → " + rate(t.EvalLoss[1])
		}
		if i < len(paperEvalLoss) {
			row.Paper = rate(paperEvalLoss[i])
		}
		out = append(out, row)
	}
	return out
}

// kindRow counts one kind of flaw by iteration.
type kindRow struct {
	Kind  string
	Count []string
	Total string
}

// kindRows lists every flaw that some iteration counted, by name.
func kindRows(its []IterationView, of func(IterationView) map[string]int) []kindRow {
	kinds := map[string]int{}
	for _, it := range its {
		for k, n := range of(it) {
			kinds[k] += n
		}
	}
	var out []kindRow
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		row := kindRow{Kind: k, Total: count(kinds[k])}
		for _, it := range its {
			row.Count = append(row.Count, count(of(it)[k]))
		}
		out = append(out, row)
	}
	return out
}

// named is a named number of the result, sorted by name.
type named struct{ Name, Value string }

func countRows(counts map[string]int) []named {
	var out []named
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, named{k, count(counts[k])})
	}
	return out
}

type callRow struct{ Role, Made, In, Out, Cost string }

// money is in the currency of the prices that the experiment gives; "–" where nothing costs.
func money(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

func callRows(r *eval.Result) []callRow {
	var out []callRow
	made, in, tokens, cost := 0, 0, 0, 0.0
	for _, k := range slices.Sorted(maps.Keys(r.Calls)) {
		c := r.Calls[k]
		out = append(out, callRow{k, count(c.Made), count(c.TokensIn), count(c.TokensOut), money(c.Cost)})
		made, in, tokens, cost = made+c.Made, in+c.TokensIn, tokens+c.TokensOut, cost+c.Cost
	}
	if len(out) > 1 {
		out = append(out, callRow{"all roles", count(made), count(in), count(tokens), money(cost)})
	}
	return out
}

// kindTable is a table of flaws with its caption.
type kindTable struct {
	Caption string
	Columns []string
	Rows    []kindRow
}

func newKindTable(caption string, columns []string, rows []kindRow) kindTable {
	return kindTable{caption, columns, rows}
}
