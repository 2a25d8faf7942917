package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"stargate/report"
	"stargate/runner"
)

func runCommand() *cobra.Command {
	var o runner.Options
	var asJSON bool
	var workers onCluster
	var metrics string
	c := &cobra.Command{
		Use:   "run",
		Short: "Run an experiment: simulate, select, train, repeat, evaluate, report",
		Long: `Run an experiment, or go on with one that was stopped: every finished model call is kept in
the run directory and never made again. The result does not depend on --workers, on how
often the run was interrupted, or on the machine's speed.

Without data of your own it plays in a small built-in world whose truth is known. With
--data (a directory that stargate data built), or --tasks, --personas and --gold (JSON array,
JSONL, CSV or Parquet), it runs on yours; split sizes come from the experiment and shrink where
there is less. Gold responses that are missing are made first, if the experiment names a model
under roles: oracle. What of the data is left out, and why, is in the report.

Where servers play roles, what the run is likely to take is told before the first call: calls,
tokens, money and hours, and in which stage --max-cost or --max-tokens would end it. Limits that
cannot pay for the first stage are refused. The same command with a higher limit goes on with a
run that a limit has ended.`,
		Example: `  stargate run
  stargate run --experiment nano+no-regularization
  stargate run --experiment paper --model DIR --data data
  stargate run --experiment paper --model DIR --tasks tasks.json --personas personas.json --gold gold.jsonl
  stargate run --world world.yaml --model DIR`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			storageOf(&o)
			if o.Source.ModelDir, err = modelDir(o.Source.ModelDir); err != nil {
				return err
			}
			if workers.use {
				return workers.run(c, o, asJSON)
			}
			stop, err := watch(c, metrics, &o)
			if err != nil {
				return err
			}
			return errors.Join(execute(c, o, asJSON), stop())
		},
	}
	f := c.Flags()
	metricsFlag(c, &metrics)
	f.StringVar(&o.Experiment, "experiment", "nano", "experiment by name or .yaml file, with ablations after '+' (see stargate experiments)")
	f.StringVar(&o.Out, "out", "", "run directory (default runs/EXPERIMENT)")
	f.Uint64Var(&o.Seed, "seed", 0, "names all random draws")
	f.IntVar(&o.Workers, "workers", 0, "processors to use (default all); changes no result")
	sourceFlags(f, &o.Source, "gold responses for all pairs of your tasks and personas")
	storageFlags(c, &o)
	limitFlags(f, &o.Budget, "stop before the servers' prices add up to more (default no limit, or the experiment's)", "stop before servers have read and written more tokens (default no limit, or the experiment's)")
	f.BoolVar(&asJSON, "json", false, "print report.json instead of tables")
	workers.flags(c)
	return c
}

// execute runs an experiment and prints what came out.
func execute(c *cobra.Command, o runner.Options, asJSON bool) error {
	if err := expect(c.Context(), c.ErrOrStderr(), o); err != nil {
		return err
	}
	progress := newProgress(c.ErrOrStderr())
	o.Version, o.Observe = buildVersion(), progress.observe
	out, err := runner.Run(c.Context(), o)
	progress.close()
	if err != nil {
		return err
	}
	return printOutcome(c.OutOrStdout(), out, asJSON)
}

func printOutcome(w io.Writer, out *runner.Outcome, asJSON bool) error {
	if asJSON {
		return printJSON(w, out.Result)
	}
	if err := report.Text(w, out.Result); err != nil {
		return err
	}
	last := out.Timing.Sessions[len(out.Timing.Sessions)-1]
	_, err := fmt.Fprintf(w, "\n%.0f s, %d MiB at most. Open %s to see every conversation.\n", last.Seconds, last.PeakMiB, filepath.Join(out.Dir, "report.html"))
	return err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
