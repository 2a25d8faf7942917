package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"stargate/eval"
	"stargate/experiment"
	"stargate/report"
	"stargate/runner"
)

func evalCommand() *cobra.Command {
	var workers int
	var asJSON bool
	c := &cobra.Command{
		Use:     "eval RUN",
		Short:   "Evaluate a run's models on its test split",
		Long:    "Evaluate the models of a run directory. What the run has already measured comes from its\nledger; what is missing is done now.",
		Example: "  stargate eval runs/nano --json",
		Args:    exactly(1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := runner.ReadManifest(args[0])
			if err != nil {
				return err
			}
			return execute(c, runner.Options{Resolved: &m.Experiment, Out: args[0], Seed: m.Seed, Workers: workers, Source: m.Source}, asJSON)
		},
	}
	c.Flags().IntVar(&workers, "workers", 0, "processors to use (default all); changes no result")
	c.Flags().BoolVar(&asJSON, "json", false, "print report.json instead of tables")
	return c
}

func reportCommand() *cobra.Command {
	var ablations []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "Draw a finished run's report again, and print its tables",
		Long: `Draw report.html of a finished run again from what the run stored, without a model. With
--with, the shapes that need ablations are judged from the run directories given.`,
		Example: "  stargate report runs/nano\n  stargate report runs/nano --with runs/nano+no-regularization --with runs/nano+gold-response",
		Args:    exactly(1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
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
	c.Flags().BoolVar(&asJSON, "json", false, "print report.json instead of tables")
	return c
}

func experimentsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "experiments", Short: "List the experiments and ablations that come with the program", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, part := range []struct {
				title string
				names []string
			}{{"Experiments", experiment.Names()}, {"Ablations, laid over an experiment with '+'", experiment.Ablations()}} {
				fmt.Fprintln(c.OutOrStdout(), part.title+":")
				for _, n := range part.names {
					h, err := experiment.Describe(n)
					if err != nil {
						return err
					}
					fmt.Fprintf(c.OutOrStdout(), "  %-24s %s\n", n, h.About)
				}
			}
			return nil
		},
	}
}
