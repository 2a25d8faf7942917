package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"stargate/dataset/build"
	"stargate/runner"
)

func personasGenerateCommand() *cobra.Command {
	var flags oracleFlags
	in := build.PaperPersonas()
	sizes := "50/50/10"
	var seeds string
	var keys []string
	var screen, asJSON bool
	c := &cobra.Command{
		Use:   "generate DIR",
		Short: "Draw personas from a model in the manner of your own profiles",
		Long: `Fill the slots of the splits with personas that a model invents after the example of two of your
seed profiles at a time (a file of texts or personas, or characters of PRODIGy with --seed-keys).
A draw that is empty, refused, truncated, without a name, too short or too long, nearly a seed or
another persona, or whose name is taken is drawn again, a bounded number of times. What the set
covers, as far as words tell, is in personas.report.json.`,
		Example: "  stargate data personas generate data --seeds profiles.json --url https://api.openai.com --model NAME --api-key-env OPENAI_API_KEY",
		Args:    exactly(1, "one data directory"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if in.A, in.B, in.Test, err = splitSizes(sizes); err != nil {
				return err
			}
			if seeds == "" {
				return fmt.Errorf("%w: --seeds is missing: a file with profiles of people in the manner you want", errUsage)
			}
			data, err := os.ReadFile(seeds)
			if err != nil {
				return err
			}
			if in.Seeds, err = build.Seeds(filepath.Base(seeds), data, keys); err != nil {
				return err
			}
			in.Shots = min(in.Shots, len(in.Seeds))
			d := build.Directory(args[0])
			var personas []build.Persona
			var report *build.PersonaReport
			err = withOracle(c, &flags, d, "persona", func(ctx context.Context, p *oracle, observe func(build.Progress)) error {
				if in.Prompts, err = runner.LoadPrompts("default", flags.prompts); err != nil {
					return err
				}
				in.Model, in.Ahead, in.Observe = p, p.ahead, observe
				if screen {
					in.Screen = p
				}
				personas, report, err = build.Personas(ctx, in)
				return err
			})
			if err != nil {
				return err
			}
			if err := d.Write(build.Data{Personas: personas}); err != nil {
				return err
			}
			if err := d.WriteReport(build.PersonasFile, report); err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), report)
			} else {
				err = printPersonas(c.OutOrStdout(), report, d.Path(build.PersonasFile))
			}
			if n := len(report.Open); err == nil && n > 0 {
				err = fmt.Errorf("%d of %d personas are missing: every draw had a flaw; try --draws, another model, or look at the report", n, report.Asked)
			}
			return err
		},
	}
	f := c.Flags()
	flags.register(f)
	f.StringVar(&seeds, "seeds", "", "file with your seed profiles")
	f.StringSliceVar(&keys, "seed-keys", nil, "characters to take from an object of them (default all)")
	f.StringVar(&sizes, "split", sizes, "personas for A, B and test")
	f.IntVar(&in.Shots, "shots", in.Shots, "seed profiles shown per draw")
	f.IntVar(&in.Draws, "draws", in.Draws, "draws per persona before it is given up")
	f.Float64Var(&in.Draw.Temperature, "temperature", in.Draw.Temperature, "of the draws")
	f.Float64Var(&in.Draw.TopP, "top-p", in.Draw.TopP, "nucleus mass of the draws; 0 is off")
	f.IntVar(&in.Draw.MaxTokens, "max-tokens", in.Draw.MaxTokens, "most tokens of a persona")
	f.IntVar(&in.Checks.MaxSentences, "max-sentences", in.Checks.MaxSentences, "longest persona")
	f.IntVar(&in.Checks.MinSentences, "min-sentences", in.Checks.MinSentences, "shortest persona")
	f.Float64Var(&in.Checks.Near, "near", in.Checks.Near, "similarity from which two personas are one, 0 to 1")
	f.BoolVar(&screen, "screen", true, "let the model greet each persona, so that what its provider refuses shows before golds are paid for")
	f.Uint64Var(&in.Seed, "seed", 0, "names all draws")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

func goldGenerateCommand() *cobra.Command {
	var flags oracleFlags
	in := build.PaperGold()
	var most int
	var asJSON bool
	c := &cobra.Command{
		Use:   "generate DIR",
		Short: "Ask the Oracle for the gold response of every pair",
		Long: `Ask the Oracle for a response to each task from each persona of its split: it sees both, and no
dialogue. A gold that is empty, refused or truncated is drawn again at --again-temperature; when the
draws are used up the pair is excluded, listed, and left out by runs. Results are written in the
order of the pairs to gold.jsonl.part as they come, and to gold.jsonl at the end.`,
		Example: `  stargate data gold generate data --url http://127.0.0.1:8000 --model mixtral
  stargate data gold generate data --role-file roles.yaml --batch --max-cost 300`,
		Args: exactly(1, "one data directory"),
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
			in.Pairs = build.Pairs(tasks, personas)
			if most > 0 {
				in.Pairs = in.Pairs[:min(most, len(in.Pairs))]
			}
			if len(in.Pairs) == 0 {
				return fmt.Errorf("no split of %s has both tasks and personas: give both splits, or neither", d)
			}
			var report *build.GoldReport
			err = withOracle(c, &flags, d, "gold", func(ctx context.Context, p *oracle, observe func(build.Progress)) (err error) {
				if in.Prompts, err = runner.LoadPrompts("default", flags.prompts); err != nil {
					return err
				}
				in.Oracle, in.Ahead, in.Observe = p, p.ahead, observe
				if n := flags.role.Concurrency; n > 0 {
					in.Concurrency = n
				}
				out, err := build.NewLines(d.Path(build.GoldFile))
				if err != nil {
					return err
				}
				in.Emit = func(g build.Gold) error { return out.Write(g) }
				if report, err = build.GoldResponses(ctx, in); err != nil {
					return errors.Join(err, out.Abandon())
				}
				return out.Close()
			})
			if err != nil {
				return err
			}
			if err := d.WriteReport(build.GoldFile, report); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), report)
			}
			return printGold(c.OutOrStdout(), report, d.Path(build.GoldFile))
		},
	}
	f := c.Flags()
	flags.register(f)
	f.IntVar(&in.Draws, "draws", in.Draws, "draws per pair before it is excluded")
	f.Float64Var(&in.Draw.Temperature, "temperature", in.Draw.Temperature, "of the first draw; 0 is greedy")
	f.Float64Var(&in.Again.Temperature, "again-temperature", in.Again.Temperature, "of the draws after a flaw")
	f.IntVar(&in.Draw.MaxTokens, "max-tokens", in.Draw.MaxTokens, "most tokens of a gold response")
	f.IntVar(&most, "limit", 0, "only the first pairs, to try it out (default all)")
	f.Uint64Var(&in.Seed, "seed", 0, "names the draws after a flaw")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON")
	c.PreRun = func(*cobra.Command, []string) { in.Again.MaxTokens = in.Draw.MaxTokens }
	return c
}

// withOracle opens the model, shows progress and closes both. What was built so far is in
// the ledger whatever happens.
func withOracle(c *cobra.Command, flags *oracleFlags, d build.Directory, what string, do func(context.Context, *oracle, func(build.Progress)) error) error {
	progress := newDataProgress(c.ErrOrStderr())
	p, err := flags.open(c.Context(), d, what, progress.log)
	if err != nil {
		return err
	}
	progress.oracle = p
	progress.watch()
	err = do(c.Context(), p, progress.observe)
	progress.close()
	if err == nil {
		_, err = fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", what, p.money())
	}
	return errors.Join(err, p.Close())
}
