package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"stargate/eval"
	"stargate/report"
)

func compareCommand() *cobra.Command {
	var models []string
	var resamples int
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare RUN RUN...",
		Short: "Compare finished runs, pair by pair",
		Long: `Compare runs with the first one given: gold log-probabilities, win rates and questions of
every model that both have. Where the test splits share pairs (the same texts under the same
name) differences are taken pair by pair; their errors are clustered by task and persona.
Wins are those over the first model of each run (m0, unless its models are any) and are
compared by McNemar's test. "Holm" is the p-value adjusted for the number of rows. A
difference is the later run less the first.`,
		Example: `  stargate compare runs/nano runs/nano+no-regularization
  stargate compare runs/a runs/b --models m2:m3 --json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%w: %s wants two run directories or more; see %s --help", errUsage, c.CommandPath(), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			pairs, err := modelPairs(models)
			if err != nil {
				return err
			}
			var runs []eval.Records
			for _, dir := range args {
				r, err := recordsOf(dir)
				if err != nil {
					return err
				}
				runs = append(runs, r)
			}
			var all []*eval.Contrast
			for _, other := range runs[1:] {
				contrast, err := eval.Compare(runs[0], other, eval.CompareOptions{Models: pairs, Resamples: resamples})
				if err != nil {
					return err
				}
				all = append(all, contrast)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), all)
			}
			for i, contrast := range all {
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				if err := printContrast(c.OutOrStdout(), contrast); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&models, "models", nil, "models to compare, as m3 or as m2:m3 for m2 of the first run with m3 of the others (default all that both have)")
	c.Flags().IntVar(&resamples, "resamples", 0, "of every bootstrap (default 10,000)")
	c.Flags().BoolVar(&asJSON, "json", false, "print all numbers as JSON")
	return c
}

// recordsOf reads what a run directory holds for a comparison.
func recordsOf(dir string) (eval.Records, error) {
	d, err := report.Load(dir)
	if err != nil {
		return eval.Records{}, err
	}
	pairs, err := eval.LoadPairs(dir)
	return eval.Records{Name: filepath.Clean(dir), Result: d.Result, Pairs: pairs}, err
}

func modelPairs(flags []string) (map[string]string, error) {
	if len(flags) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, f := range flags {
		a, b, two := strings.Cut(f, ":")
		if !two {
			b = a
		}
		if a == "" || b == "" {
			return nil, fmt.Errorf("%w: --models %q: want a model such as m3, or two such as m2:m3", errUsage, f)
		}
		out[a] = b
	}
	return out, nil
}

// quantityNames are what rows are called on a terminal.
var quantityNames = map[string]string{
	eval.Negative: "negative control", eval.Positive: "positive control", eval.QExperimental: "Q-experimental", eval.QExperimental + "/" + eval.Top1: "Q-experimental, top-1",
	eval.QRandom: "Q-random", eval.OverRandom: "gap over Q-random", eval.PositiveExperiment: "persona and conversation",
}

// quantityName is what a row of a contrast is called. Wins are named by what was won over,
// which is m0 of a run and the first model of an evaluation of any models.
func quantityName(what string, c *eval.Contrast) string {
	if what == eval.Wins {
		if c.BaseA != c.BaseB {
			return "win rate over " + c.BaseA + ", " + c.BaseB
		}
		return "win rate over " + c.BaseA
	}
	if name, ok := quantityNames[what]; ok {
		return name
	}
	return what
}

func printContrast(w io.Writer, c *eval.Contrast) error {
	fmt.Fprintf(w, "%s less %s: ", c.B, c.A)
	if c.Paired {
		fmt.Fprintf(w, "%d pairs in common", c.Shared)
	} else {
		fmt.Fprint(w, "no pair in common, compared as independent runs")
	}
	for _, n := range []struct {
		n    int
		what string
	}{{c.OnlyA, "only in " + c.A}, {c.OnlyB, "only in " + c.B}, {c.Other, "with other texts"}} {
		if n.n > 0 {
			fmt.Fprintf(w, ", %d %s", n.n, n.what)
		}
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "  \tmodel\tfirst\tlater\tdifference\t95 % interval\tbootstrap\tp\tHolm\tn\t")
	for _, r := range c.Rows {
		name := quantityName(r.What, c)
		model := r.ModelA
		if r.ModelB != r.ModelA {
			model += ":" + r.ModelB
		}
		boot := "–"
		if b := r.Test.Boot; b != nil {
			boot = fmt.Sprintf("%.3f to %.3f", b.Low, b.High)
		}
		fmt.Fprintf(t, "  %s\t%s\t%.3f\t%.3f\t%+.3f\t%.3f to %.3f\t%s\t%s\t%s\t%d\t\n", name, model, r.MeanA, r.MeanB, r.Test.Diff, r.Test.Low, r.Test.High, boot, probability(r.Test.P), probability(r.Holm), r.Test.N)
		if m := r.Test.McNemar; m != nil {
			fmt.Fprintf(t, "  won by one alone\t%s\t%d\t%d\t\t\t\t%s\t\t%d\t\n", model, *r.Test.OnlyA, *r.Test.OnlyB, probability(*m), r.Test.N)
		}
	}
	return t.Flush()
}

func probability(p float64) string {
	if p < 0.0005 {
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", p)
}
