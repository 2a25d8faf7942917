package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"stargate/dataset/build"
)

func dataImportCommand() *cobra.Command {
	var out string
	var deal, asJSON bool
	c := &cobra.Command{
		Use:   "import AUTHORS-DIR",
		Short: "Read data in the layout of the paper's authors",
		Long: `Read prompts/, personas/ and, if it is there, gold-responses/ with a file per split (A.json, B.json,
test.json), as the authors' scripts write them, into a data directory. Repeated tasks are dropped,
also those that two splits share; empty golds are excluded; the report lists them.

A run needs all three splits. Where files lack one (the test split, often), --deal forgets whose
split a task or persona was, and a run deals them anew by hash, at the sizes of its experiment.`,
		Example: "  stargate data import ../assistant-gate-data --out data",
		Args:    exactly(1, "one directory with prompts/ and personas/"),
		RunE: func(c *cobra.Command, args []string) error {
			data, report, err := build.ImportAuthors(os.DirFS(args[0]))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if deal {
				data.Undealt()
			}
			d := build.Directory(out)
			if err := d.Write(data); err != nil {
				return err
			}
			if err := d.WriteReport(build.TasksFile, report); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), report)
			}
			if err := printTasks(c.OutOrStdout(), report.Tasks, d.Path(build.TasksFile)); err != nil {
				return err
			}
			p := printer{w: c.OutOrStdout()}
			p.line("%d personas in %s, %d dropped", len(data.Personas), d.Path(build.PersonasFile), len(report.Personas))
			p.coverage(report.Coverage)
			if len(data.Gold) > 0 {
				p.line("%d gold responses in %s, %d left out, %d pairs without one", len(data.Gold), d.Path(build.GoldFile), len(report.Gold), report.Missing)
			}
			return p.err
		},
	}
	c.Flags().StringVar(&out, "out", "data", "data directory")
	c.Flags().BoolVar(&deal, "deal", false, "forget the files' splits: they are dealt when a run begins")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

func dataExportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:     "export DIR",
		Short:   "Write a data directory in the layout of the paper's authors",
		Long:    "Write prompts/, personas/ and gold-responses/ with a file per split, as the authors' scripts\nread them. Places in the arrays stand for ids.",
		Example: "  stargate data export data --out authors",
		Args:    exactly(1, "one data directory"),
		RunE: func(c *cobra.Command, args []string) error {
			d := build.Directory(args[0])
			tasks, err := d.ReadTasks()
			if err != nil {
				return err
			}
			personas, err := d.ReadPersonas()
			if err != nil {
				return err
			}
			if tasks[0].Split == "" || personas[0].Split == "" {
				return fmt.Errorf("%s has no splits, and the authors' layout is a file per split: import its tasks with --split", d)
			}
			gold, err := d.ReadGold()
			if err != nil && isThere(d.Path(build.GoldFile)) {
				return err
			}
			missing, err := build.ExportAuthors(out, tasks, personas, gold)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d tasks, %d personas in %s; %d pairs have no gold response\n", len(tasks), len(personas), out, missing)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "authors", "directory to write")
	return c
}

func dataCheckCommand() *cobra.Command {
	var near float64
	var asJSON bool
	c := &cobra.Command{
		Use:     "check DIR",
		Short:   "Look at a whole data directory: leaks, coverage, missing golds",
		Example: "  stargate data check data --json",
		Args:    exactly(1, "one data directory"),
		RunE: func(c *cobra.Command, args []string) error {
			report, err := build.Check(build.Directory(args[0]), near)
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(c.OutOrStdout(), report); err != nil {
					return err
				}
			} else if err := printCheck(c, report); err != nil {
				return err
			}
			return report.Err()
		},
	}
	c.Flags().Float64Var(&near, "near", build.DefaultNear, "similarity from which two tasks are near-duplicates, 0 to 1")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

func printCheck(c *cobra.Command, r *build.CheckReport) error {
	p := printer{w: c.OutOrStdout()}
	p.line("%d tasks, %d personas, %d pairs, %d gold responses", r.Tasks.Kept, r.Coverage.Personas, r.Pairs, r.Golds)
	p.splits(r.Tasks.Splits, 0)
	p.line("near-duplicates: %d clusters; leaks between splits: %d", len(r.Tasks.Near), len(r.Tasks.Leaks))
	for _, l := range r.Tasks.Leaks[:min(len(r.Tasks.Leaks), shownItems)] {
		p.line("  %.2f  %s (%s) and %s (%s): %s", l.Similarity, l.A, l.SplitA, l.B, l.SplitB, l.Text)
	}
	p.more(len(r.Tasks.Leaks))
	p.coverage(r.Coverage)
	if len(r.Excluded) > 0 {
		p.line("excluded pairs: %d", len(r.Excluded))
	}
	if len(r.Missing) > 0 {
		p.line("pairs without a gold response: %d, first %s", len(r.Missing), r.Missing[0])
	}
	return p.err
}
