package report

import (
	"bytes"
	"fmt"
	"io"
)

// AblationsText prints a comparison as tables.
func AblationsText(w io.Writer, a Ablations) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", wrap(a.headline(), 100))
	for _, s := range a.sections() {
		fmt.Fprintf(&b, "\n%s: win rate against m0 [95 %%]; the last model's gain in log p(gold), distance to the optimum (nats) and relevant questions; its responses that ask, and facts they state that nobody told\n", s.Heading)
		t := table{{""}}
		for _, m := range a.Rows[0].Result.Models[1:] {
			t[0] = append(t[0], m)
		}
		t[0] = append(t[0], "gain", "to the optimum", "relevant", "asks", "invented")
		for _, r := range s.Rows {
			row := []string{r.Name}
			for _, i := range append(r.Wins, r.Gain, r.Gap) {
				row = append(row, i.text())
			}
			t = append(t, append(row, r.Relevant, r.Asks, r.Invented))
		}
		t.print(&b)
		if len(s.Differences) == 0 {
			continue
		}
		b.WriteString("  The last model less the main run's, pair by pair [95 %]\n")
		t = table{{""}}
		for _, d := range differences {
			t[0] = append(t[0], d.Name, "p")
		}
		for _, d := range s.Differences {
			row := []string{d.Name}
			for _, c := range d.Cells {
				row = append(row, c.text(), c.P)
			}
			t = append(t, row)
		}
		t.print(&b)
	}
	if m := a.matrix(); m != nil {
		b.WriteString("\nWin rate of the last model by Roleplayer of training (rows) and evaluation (columns)\n")
		t := table{append([]string{""}, m.Columns...)}
		for _, r := range m.Rows {
			row := []string{r.Name}
			for _, c := range r.Cells {
				row = append(row, c.text())
			}
			t = append(t, row)
		}
		t.print(&b)
	}
	for _, l := range a.baselines() {
		fmt.Fprintf(&b, "\n%s, win rates against %s:", l.Row, l.Baseline)
		for i, w := range l.Wins {
			fmt.Fprintf(&b, " m%d %s", i, w.text())
		}
		b.WriteString("\n")
	}
	b.WriteString("\nShapes\n")
	for _, s := range a.Shapes {
		verdict := "not tested"
		switch {
		case s.Seen != nil && *s.Seen:
			verdict = "seen"
		case s.Seen != nil:
			verdict = "not seen"
		}
		fmt.Fprintf(&b, "  (%s) %-10s  %s\n", s.ID, verdict, s.Evidence)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (i interval) text() string {
	if i.Low == "" {
		return i.Value
	}
	return i.Value + " [" + i.Low + ", " + i.High + "]"
}
