package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"stargate/eval"
)

// Text prints the tables for a terminal.
func Text(w io.Writer, r *eval.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "log p(gold), nats\t%s\tpairs\t\n", strings.Join(r.Models, "\t"))
	for _, row := range goldRows(r) {
		fmt.Fprintf(t, "%s\t", row.Name)
		for _, c := range row.Cells {
			fmt.Fprintf(t, "%s %s\t", c.Mean, c.SEM)
		}
		fmt.Fprintf(t, "%s\t\n", row.N)
	}
	wins, _ := winRows(r)
	fmt.Fprintf(t, "\nwin rate against m0\trate\t95 %% interval\tpairs\tties\tinvalid\t\n")
	for _, row := range wins {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t\n", row.Model, row.Rate, row.Interval, row.N, row.Ties, row.Invalid)
	}
	fmt.Fprintf(t, "\nquestions\twell-formed\trelevant\tredundant\t\n")
	for _, row := range questionRows(r) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", row.Model, row.Wellformed, row.Relevant, row.Redundant)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range shapeRows(r) {
		if _, err := fmt.Fprintf(w, "(%s) %-10s %s\n", s.ID, s.Verdict, s.Evidence); err != nil {
			return err
		}
	}
	return nil
}
