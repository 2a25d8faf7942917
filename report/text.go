package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"stargate/eval"
)

// Text prints a result for a terminal: the headline, gold log-probabilities, win rates,
// questions and shapes, with the paper's values under or beside ours.
func Text(w io.Writer, r *eval.Result) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", wrap(Headline(Data{Result: r}), 100))
	if rows := goldRows(r); len(rows) > 0 {
		if gap, ok := gapRow(r); ok {
			rows = append(rows, gap)
		}
		b.WriteString("\nGold log-probability under Q_BASE, nats: mean ± SEM" + beside(r, " (paper's values below)") + "\n")
		t := table{append(append([]string{""}, r.Models...), "change", "n")}
		for _, row := range rows {
			t = append(t, goldText(row)...)
		}
		for _, row := range optimumRows(r) {
			t = append(t, goldText(row)...)
		}
		t.print(&b)
		if o := r.Optimum; o != nil && o.Reached != "" {
			fmt.Fprintf(&b, "  %s is the first model not told apart from the optimum.\n", o.Reached)
		}
	}
	if rows, lengths := winRows(r); len(rows) > 0 {
		b.WriteString("\nWin rate against " + baseline(r) + "\n")
		head := []string{"", "rate", "95 % interval", "n", "wins", "ties", "losses", "invalid"}
		for _, k := range lengths {
			head = append(head, plural(k, "turn"))
		}
		if iterated(r) {
			head = append(head, "paper")
		}
		t := table{head}
		for _, row := range rows {
			cells := append([]string{row.Model, row.Rate, row.Interval, row.N, row.Wins, row.Ties, row.Losses, row.Invalid}, row.ByTurns...)
			if iterated(r) {
				cells = append(cells, row.Paper)
			}
			t = append(t, cells)
		}
		t.print(&b)
	}
	if rows := questionRows(r); len(rows) > 0 {
		b.WriteString("\nQuestions on the test split\n")
		t := table{{"", "well-formed", "relevant", "redundant", "distinct", "words", "n"}}
		for _, q := range rows {
			t = append(t, []string{q.Model, q.Wellformed, strings.TrimSpace(q.Relevant + " " + q.RelevantSEM), q.Redundant, q.Distinct, q.Words, q.N})
		}
		if o := r.Optimum; o != nil {
			t = append(t, []string{"chance", "", percent1(o.ChanceRelevant)}, []string{"optimum", "", percent1(o.Relevant)})
		}
		t.print(&b)
	}
	for _, a := range diversitySection(r).Alarms {
		fmt.Fprintf(&b, "  ALARM  %s\n", a)
	}
	if asking := askingTable(r); len(asking.Rows) > 0 {
		b.WriteString("\nWhen it asks, if it may choose (95 % intervals)\n")
		append(table{append([]string{""}, asking.Head[1:]...)}, asking.Rows...).print(&b)
	}
	if iterated(r) {
		b.WriteString("\nShapes of the paper\n")
		for _, s := range shapeRows(r) {
			fmt.Fprintf(&b, "  (%s) %s %-10s  %s\n", s.ID, s.Mark, s.Verdict, s.Evidence)
		}
	}
	if left := leftOutText(r.LeftOut); left != "" {
		fmt.Fprintf(&b, "\n%s\n", left)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("report: print: %w", err)
	}
	return nil
}

// goldText is a row of the table and, where the paper has values, one below it.
func goldText(row goldRow) [][]string {
	ours := []string{row.Name}
	for _, c := range row.Cells {
		ours = append(ours, strings.TrimSpace(c.Mean+" "+c.SEM))
	}
	out := [][]string{append(ours, strings.TrimSpace(row.Change+" "+row.ChangeSEM), row.N)}
	if row.Paper != nil {
		out = append(out, append(append([]string{"  paper"}, row.Paper...), row.Delta))
	}
	return out
}

// table prints its rows in columns: the first to the left, the others to the right. Rows
// may be short.
type table [][]string

func (t table) print(b *bytes.Buffer) {
	var width []int
	for _, row := range t {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line = "  " + cell + pad
			} else {
				line += "  " + pad + cell
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// wrap breaks a text into lines of at most width characters where words allow.
func wrap(text string, width int) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// beside is text for reports that have the paper's values in them.
func beside(r *eval.Result, text string) string {
	if iterated(r) {
		return text
	}
	return ""
}
