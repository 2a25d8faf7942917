package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stargate/dataset/build"
)

func dataCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "data",
		Short: "Build the data of a run: tasks, personas, gold responses",
		Long: `Build a data set in a directory: tasks.jsonl from files, personas.jsonl and gold.jsonl from a
model (the Oracle), each with a report beside it. Every answer of the model is kept in the
directory's ledger before it is used: a command that was stopped goes on when it is repeated,
and nothing is paid twice.`,
		Example: `  stargate data tasks import train.parquet --out data --limit 550 --split 250/250/50
  stargate data personas generate data --seeds profiles.json --url https://api.openai.com --model NAME --api-key-env OPENAI_API_KEY
  stargate data gold generate data --url https://api.openai.com --model NAME --api-key-env OPENAI_API_KEY --batch --price 2.5,10
  stargate data check data
  stargate run --experiment paper --data data`,
	}
	tasks := &cobra.Command{Use: "tasks", Short: "What users want done"}
	tasks.AddCommand(tasksImportCommand())
	personas := &cobra.Command{Use: "personas", Short: "Who the users are"}
	personas.AddCommand(personasGenerateCommand())
	gold := &cobra.Command{Use: "gold", Short: "The Oracle's responses, which know the persona"}
	gold.AddCommand(goldGenerateCommand())
	c.AddCommand(tasks, personas, gold, dataImportCommand(), dataExportCommand(), dataCheckCommand())
	return c
}

// readFiles reads the files of a command line.
func readFiles(paths []string) ([]build.File, error) {
	var out []build.File
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		out = append(out, build.File{Name: filepath.Base(p), Data: data})
	}
	return out, nil
}

// splitSizes reads "250/250/50".
func splitSizes(text string) (a, b, test int, err error) {
	parts := strings.Split(text, "/")
	var n [3]int
	if len(parts) != 3 {
		return 0, 0, 0, fmt.Errorf("%w: --split %q: want three numbers, of A, B and test, such as 250/250/50", errUsage, text)
	}
	for i, p := range parts {
		if n[i], err = strconv.Atoi(strings.TrimSpace(p)); err != nil || n[i] < 0 {
			return 0, 0, 0, fmt.Errorf("%w: --split %q: %q is no number of items", errUsage, text, p)
		}
	}
	return n[0], n[1], n[2], nil
}

func tasksImportCommand() *cobra.Command {
	var o build.TaskOptions
	var out, sizes string
	var asJSON bool
	c := &cobra.Command{
		Use:   "import FILE...",
		Short: "Read tasks from files, clean them, and deal them to splits",
		Long: `Read tasks from JSON arrays, JSONL, CSV or Parquet (as the Hugging Face Hub keeps data sets) and
write tasks.jsonl. Of a transcript "Human: … Assistant: …" only the human query is taken. Empty and
repeated tasks are dropped; near-duplicates are listed and dealt to one split, so that none leaks
into another. What was dropped, and why, is in tasks.report.json.

With --split tasks are drawn for A, B and test by a hash of the seed and their words: the order of
the files is nothing. Files that give splits of their own (a field split) keep them.`,
		Example: `  stargate data tasks import train.parquet --out data --limit 550 --split 250/250/50
  stargate data tasks import mine.csv --column question --out data --split 100/100/20 --min-words 4 --drop-near`,
		Args: atLeastOne("one file or more"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if sizes != "" {
				if o.A, o.B, o.Test, err = splitSizes(sizes); err != nil {
					return err
				}
			}
			files, err := readFiles(args)
			if err != nil {
				return err
			}
			tasks, report, err := build.Tasks(files, o)
			if err != nil {
				return err
			}
			if len(tasks) == 0 {
				return fmt.Errorf("no task is left of %d entries: look at the filters", report.Read)
			}
			d := build.Directory(out)
			if err := d.Write(build.Data{Tasks: tasks}); err != nil {
				return err
			}
			if err := d.WriteReport(build.TasksFile, report); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), report)
			}
			return printTasks(c.OutOrStdout(), report, d.Path(build.TasksFile))
		},
	}
	f := c.Flags()
	f.StringVar(&out, "out", "data", "data directory")
	f.StringVar(&o.Column, "column", "", "field with the task (default task, text, prompt, query or instruction)")
	f.IntVar(&o.Limit, "limit", 0, "entries to read (default all; the paper took the first 550)")
	f.StringVar(&sizes, "split", "", "tasks for A, B and test, such as 250/250/50 (default: deal when the run begins)")
	f.Uint64Var(&o.Seed, "seed", 0, "names the deal")
	f.IntVar(&o.MinWords, "min-words", 0, "drop tasks of fewer words")
	f.IntVar(&o.MaxWords, "max-words", 0, "drop tasks of more words (default no limit)")
	f.StringVar(&o.Language, "language", "", `"en" drops tasks that do not look like English (default off)`)
	f.Float64Var(&o.Near, "near", build.DefaultNear, "similarity from which two tasks are near-duplicates, 0 to 1")
	f.BoolVar(&o.DropNear, "drop-near", false, "keep only the first of near-duplicates")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

// atLeastOne is cobra.MinimumNArgs(1) with an error that says what was wanted.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%w: %s wants %s; see %s --help", errUsage, c.CommandPath(), what, c.CommandPath())
		}
		return nil
	}
}
