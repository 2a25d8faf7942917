package plan

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Text prints a forecast as tables: by stage, then by role, then what it rests on.
func Text(w io.Writer, f *Forecast) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "STAGE\tROLE\tCALLS\tTOKENS IN\tTOKENS OUT\tCOST\tHOURS\t")
	for _, l := range f.Lines {
		row(t, l.Stage, l)
	}
	fmt.Fprintln(t, "\t\t\t\t\t\t\t")
	for _, name := range f.RoleNames() {
		row(t, "all", f.Roles[name])
	}
	total := f.Total
	total.Role = "all"
	row(t, "all", total)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, b := range f.Basis {
		if _, err := fmt.Fprintln(w, "-", b); err != nil {
			return err
		}
	}
	return nil
}

func row(w io.Writer, stage string, l Line) {
	cost, hours := "-", "-"
	if l.Cost > 0 {
		cost = money(l.Cost)
	}
	if l.Hours > 0 {
		hours = fmt.Sprintf("%.3g", l.Hours)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", stage, l.Role, count(l.Calls), count(l.TokensIn), count(l.TokensOut), cost, hours)
}

// money writes an amount as people read it: small ones with two digits that say something.
func money(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// count writes a number as people read it.
func count(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	case n >= 100_000:
		return fmt.Sprintf("%.0f k", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}

// TextErrors prints how far a forecast was from a finished run.
func TextErrors(w io.Writer, errors []Error) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "FORECAST MINUS ACTUAL\tCALLS\tTOKENS IN\tTOKENS OUT\t")
	for _, e := range errors {
		fmt.Fprintf(t, "%s\t%+.1f %%\t%+.1f %%\t%+.1f %%\t\n", e.Role, 100*e.Calls, 100*e.TokensIn, 100*e.TokensOut)
	}
	return t.Flush()
}
