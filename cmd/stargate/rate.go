package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"stargate/eval"
	"stargate/eval/judge"
	"stargate/eval/rating"
	"stargate/runner"
)

func rateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rate",
		Short: "Let people judge a run's responses: blinded sheets out, answers in",
		Long: `Make a blinded sheet of a run's responses for people to judge, read their answers, and show
the same statistics as for model judges: win rates with clustered intervals, order and length
bias, and how far raters agree with each other and with the run's judge.`,
	}
	c.AddCommand(rateExportCommand(), rateImportCommand(), rateShowCommand())
	return c
}

func rateExportCommand() *cobra.Command {
	var o rating.Options
	var out string
	c := &cobra.Command{
		Use:   "export RUN",
		Short: "Write a blinded sheet (.csv or .html)",
		Long: `Write a sheet of comparisons between a model's replies and those of the first model (m0,
unless the run's models are any), in an order by chance. An .html sheet is one page that
works offline and gives the answers back as a file; a .csv sheet is for a spreadsheet. The
key that undoes the blinding stays in the run directory: do not send it along.`,
		Example: "  stargate rate export runs/nano --out sheet.html\n  stargate rate export runs/nano --models m1,m3 --items 50 --repeats 0.2 --out sheet.csv",
		Args:    exactly(1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			var write func(io.Writer, rating.Sheet) error
			switch filepath.Ext(out) {
			case ".csv":
				write = rating.WriteCSV
			case ".html":
				write = rating.WriteHTML
			default:
				return fmt.Errorf("%w: --out %q: want a file ending in .csv or .html", errUsage, out)
			}
			compared, err := eval.LoadCompared(args[0])
			if err != nil {
				return err
			}
			if len(o.Models) == 0 {
				m, err := runner.ReadManifest(args[0])
				if err != nil {
					return err
				}
				o.Models = []string{fmt.Sprintf("m%d", m.Experiment.Algorithm.Iterations)}
				if n := len(m.Evaluated); n > 0 {
					o.Models = []string{m.Evaluated[n-1].Name}
				}
			}
			sheet, key, err := rating.New(compared, o)
			if err != nil {
				return err
			}
			if err := rating.SaveKey(args[0], key); err != nil {
				return err
			}
			var b bytes.Buffer
			if err := write(&b, sheet); err != nil {
				return err
			}
			if err := os.WriteFile(out, b.Bytes(), 0o644); err != nil {
				return fmt.Errorf("rating: %w", err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: sheet %s with %d items. Read the answers with: stargate rate import %s ANSWERS.csv\n", out, sheet.ID, len(sheet.Items), args[0])
			return err
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.Models, "models", nil, "models whose replies are compared with the first's (default the last)")
	f.IntVar(&o.Items, "items", 100, "comparisons of each model; 0 = all")
	f.Float64Var(&o.Repeats, "repeats", 0.1, "share of the comparisons that come twice, with the replies changed over")
	f.Uint64Var(&o.Seed, "seed", 0, "names the draw")
	f.StringVar(&out, "out", "sheet.html", "file to write, .csv or .html")
	return c
}

func rateImportCommand() *cobra.Command {
	var rater string
	var asJSON bool
	c := &cobra.Command{
		Use:   "import RUN ANSWERS.csv...",
		Short: "Read filled-in sheets, one file a rater",
		Long: `Read the answers of one rater a file: the CSV sheet filled in, or the file that the HTML
sheet gives. The rater's name is in the file, or else is the file's. What the same rater said
on the same sheet before is replaced.`,
		Example: "  stargate rate import runs/nano answers-*.csv\n  stargate rate import runs/nano sheet.csv --rater Eve",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%w: %s wants a run directory and files of answers; see %s --help", errUsage, c.CommandPath(), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if rater != "" && len(args) > 2 {
				return fmt.Errorf("%w: --rater names the rater of one file; %d are given", errUsage, len(args)-1)
			}
			for _, path := range args[1:] {
				if err := importAnswers(c.OutOrStdout(), args[0], path, rater, asJSON); err != nil {
					return err
				}
			}
			return showRatings(c.OutOrStdout(), args[0], asJSON)
		},
	}
	c.Flags().StringVar(&rater, "rater", "", "the rater's name (default that in the file, or the file's name)")
	c.Flags().BoolVar(&asJSON, "json", false, "print all numbers as JSON")
	return c
}

func importAnswers(w io.Writer, run, path, rater string, quiet bool) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	a, err := rating.ReadAnswers(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	key, err := rating.LoadKey(run, a.Sheet)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range []string{a.Rater, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))} {
		if rater == "" {
			rater = name
		}
	}
	records, err := key.Records(a, rater)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := rating.SaveRecords(run, a.Sheet, rater, records); err != nil {
		return err
	}
	if !quiet {
		_, err = fmt.Fprintf(w, "%s: %s rated %d comparisons, %d items were left open\n", path, rater, len(records), a.Skipped)
	}
	return err
}

func rateShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "show RUN",
		Short:   "Show what people said of a run",
		Example: "  stargate rate show runs/nano",
		Args:    exactly(1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			return showRatings(c.OutOrStdout(), args[0], asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print all numbers as JSON")
	return c
}

func showRatings(w io.Writer, run string, asJSON bool) error {
	compared, err := eval.LoadCompared(run)
	if err != nil {
		return err
	}
	m, err := runner.ReadManifest(run)
	if err != nil {
		return err
	}
	s, err := rating.Summarise(run, compared, m.Seed)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, s)
	}
	if len(s.Raters) == 0 {
		_, err := fmt.Fprintf(w, "nobody has rated this run yet: stargate rate export %s\n", run)
		return err
	}
	if err := printAudits(w, append(s.Raters, s.Judges...)); err != nil {
		return err
	}
	for _, a := range []struct {
		who string
		a   *judge.Agreement
	}{{"raters", s.People}, {"raters and judges", s.Agreement}} {
		if a.a == nil {
			continue
		}
		interval := ""
		if a.a.Low != nil {
			interval = fmt.Sprintf(" [%.3f, %.3f]", *a.a.Low, *a.a.High)
		}
		fmt.Fprintf(w, "\nAgreement of %s: Krippendorff's alpha %.3f%s, ordinal %.3f, over %d comparisons\n", a.who, a.a.Alpha, interval, a.a.Ordinal, a.a.Items)
		for _, p := range a.a.Pairs {
			fmt.Fprintf(w, "  %s and %s: Cohen's kappa %.3f, the same verdict in %.1f %% of %d\n", p.A, p.B, p.Kappa, 100*p.Observed, p.Items)
		}
	}
	return nil
}

// printAudits is a table of raters or judges.
func printAudits(w io.Writer, audits []judge.Audit) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "who\tmodel\twin rate\t95 % interval\tn\tties\tinvalid\tat equal length\tflips\tlonger wins\t")
	for _, a := range audits {
		flips, longer := "–", "–"
		if a.Order != nil {
			flips = fmt.Sprintf("%.3f of %d", a.Order.Flips.Rate, a.Order.Flips.N)
		}
		if a.Longer != nil {
			longer = fmt.Sprintf("%.3f of %d", a.Longer.Rate, a.Longer.N)
		}
		for _, m := range a.Wins {
			same := "–"
			if m.SameLength != nil {
				same = fmt.Sprintf("%.3f", *m.SameLength)
			}
			fmt.Fprintf(t, "%s\t%s\t%.3f\t%.3f to %.3f\t%d\t%d\t%d\t%s\t%s\t%s\t\n", a.Judge, m.Model, m.Rate, m.Low, m.High, m.N, m.Ties, m.Invalid, same, flips, longer)
		}
	}
	return t.Flush()
}
