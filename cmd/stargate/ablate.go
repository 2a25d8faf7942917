package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"stargate/report"
	"stargate/runner"
)

func ablateCommand() *cobra.Command {
	var o runner.AblateOptions
	var only []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "ablate [EXPERIMENT]",
		Short: "Run an experiment with its ablations and compare them on one page",
		Long: `Run an experiment (default nano) and every ablation of it: the paper's, those of the
authors' code, and other roleplayers in training and at evaluation. The runs share what is
the same for both: the first iteration's conversations, and for ablations of the evaluation
the whole training. Each run keeps a report of its own, the same as if it were done alone.

The page is written after every run. It compares all that is finished in the directory, also
what earlier calls did; stargate report STUDY draws it again. Repeating the command goes on
where it stopped.`,
		Example: `  stargate ablate
  stargate ablate nano --seed 1 --only no-regularization,gold-response
  stargate ablate nano --only roleplayer-rule,several-roleplayers+roleplayer-rule`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.Experiment = "nano"
			if len(args) > 0 {
				o.Experiment = args[0]
			}
			for _, a := range only {
				o.Ablations = append(o.Ablations, strings.TrimSpace(a))
			}
			if o.Out == "" {
				o.Out = filepath.Join("runs", fmt.Sprintf("%s-ablations", strings.TrimSuffix(filepath.Base(o.Experiment), ".yaml")))
				if o.Seed != 0 {
					o.Out += fmt.Sprintf("-seed%d", o.Seed)
				}
			}
			var err error
			storageOf(&o.Options)
			if o.Source.ModelDir, err = modelDir(o.Source.ModelDir); err != nil {
				return err
			}
			progress := newProgress(c.ErrOrStderr())
			o.Version, o.Observe = buildVersion(), progress.observe
			o.Started = func(name string, i, n int) { progress.announce(fmt.Sprintf("%d/%d %s", i+1, n, name)) }
			a, err := runner.Ablate(c.Context(), o)
			progress.close()
			if err != nil {
				return err
			}
			return printAblations(c, o.Out, a, asJSON)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&only, "only", nil, "ablations to run, separated by commas (default all; see stargate experiments)")
	f.StringVar(&o.Out, "out", "", "directory of the study (default runs/EXPERIMENT-ablations)")
	f.Uint64Var(&o.Seed, "seed", 0, "names all random draws")
	f.IntVar(&o.Workers, "workers", 0, "processors to use (default all); changes no result")
	sourceFlags(f, &o.Source, "gold responses for all pairs of your tasks and personas")
	storageFlags(c, &o.Options)
	f.BoolVar(&asJSON, "json", false, "print ablations.json instead of tables")
	return c
}

// printAblations prints a comparison that was written into dir.
func printAblations(c *cobra.Command, dir string, a report.Ablations, asJSON bool) error {
	if asJSON {
		return printJSON(c.OutOrStdout(), a)
	}
	if err := report.AblationsText(c.OutOrStdout(), a); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "\nOpen %s to compare them.\n", filepath.Join(dir, report.AblationsPage))
	return err
}
