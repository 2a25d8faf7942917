package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"stargate/eval"
	"stargate/report"
	"stargate/runner"
)

func reportCommand() *cobra.Command {
	var ablations []string
	var pair string
	var iteration int
	var asJSON bool
	c := &cobra.Command{
		Use:   "report RUN|STUDY",
		Short: "Draw a finished run's or study's page again, and print its tables",
		Long: `Draw report.html of a finished run again from what the run stored, without a model. With
--with, the shapes that need ablations are judged from the run directories given. For the
directory of a study of stargate ablate, ablations.html is drawn from all that is finished there.

The page shows a sample of the conversations. With --pair the candidates of any pair of an
iteration come from the run's ledger, best first; --pair list prints the keys.`,
		Example: `  stargate report runs/nano
  stargate report runs/nano --with runs/nano+no-regularization --with runs/nano+gold-response
  stargate report runs/nano-ablations
  stargate report runs/nano --pair list --iteration 2
  stargate report runs/nano --pair trip-048/walt-edb03fcd --iteration 2`,
		Args: exactly(1, "one run or study directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if runner.IsStudy(args[0]) {
				if len(ablations) > 0 || pair != "" {
					return fmt.Errorf("%w: %s is a study; --with and --pair are for one of its runs, as %s", errUsage, args[0], filepath.Join(args[0], "main"))
				}
				a, err := runner.CompareStudy(args[0])
				if err != nil {
					return err
				}
				if err := report.WriteAblations(args[0], a); err != nil {
					return err
				}
				return printAblations(c, args[0], a, asJSON)
			}
			if pair != "" {
				return printPair(c, args[0], pair, iteration, asJSON)
			}
			d, err := report.Load(args[0])
			if err != nil {
				return err
			}
			if len(ablations) > 0 {
				others := map[string]*eval.Result{}
				for _, dir := range ablations {
					a, err := report.Load(dir)
					if err != nil {
						return err
					}
					_, name, ok := strings.Cut(a.Result.Experiment, "+")
					if !ok {
						return fmt.Errorf("%w: %s is %s, which is no ablation", errUsage, dir, a.Result.Experiment)
					}
					others[name] = a.Result
				}
				d.Result.Shapes = eval.Shapes(d.Result, others)
				if err := report.Write(args[0], d); err != nil {
					return err
				}
			} else if err := report.Write(args[0], d); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), d.Result)
			}
			return report.Text(c.OutOrStdout(), d.Result)
		},
	}
	c.Flags().StringArrayVar(&ablations, "with", nil, "run directory of an ablation of the same experiment (may be repeated)")
	c.Flags().StringVar(&pair, "pair", "", "print the conversations of the pair with this key instead; list prints all keys")
	c.Flags().IntVar(&iteration, "iteration", 0, "of --pair (default the last that is finished)")
	c.Flags().BoolVar(&asJSON, "json", false, "print report.json, ablations.json or the conversations as JSON")
	return c
}
