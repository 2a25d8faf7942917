package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stargate/eval"
	"stargate/lm/remote"
	"stargate/plan"
	"stargate/runner"
)

// forecast is what plan prints as JSON.
type forecast struct {
	*plan.Forecast
	Errors []plan.Error `json:"errors,omitempty"` // against a finished run
}

func planCommand() *cobra.Command {
	o := runner.ForecastOptions{Lengths: plan.PaperLengths(), Gold: 180}
	var prices []string
	var against string
	var limits remote.Limits
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan",
		Short: "Forecast what a run will cost: calls, tokens, money, hours",
		Long: `Forecast calls, tokens, money and hours of a run, stage by stage and role by role, before
anything is spent. The turns of every pair and its first prompts are counted exactly; how much
models will say is assumed (--question, --answer, --response, --verdict, in tokens), or measured
with --pilot on a few pairs.

A pilot really runs those pairs, in the run's directory and as the run itself will: its calls are
kept there, and the run does not make them again. With tasks and personas but no gold responses,
what those will cost is in the forecast too.

With --max-cost or --max-tokens the exit code tells whether the forecast is within them; what stops
a run hard is the same limits of stargate run.`,
		Example: `  stargate plan
  stargate plan --experiment paper --data data --price oracle=2.5,10
  stargate plan --experiment mine.yaml --data data --pilot 20 --max-cost 500
  stargate plan --pilot 8 --against runs/nano`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Source.ModelDir, err = modelDir(o.Source.ModelDir); err != nil {
				return err
			}
			if o.Prices, err = rolePrices(prices); err != nil {
				return err
			}
			if o.Out == "" && o.Pilot > 0 && against != "" {
				return fmt.Errorf("%w: a pilot in the directory of a finished run finds all calls made and measures no time; give another one with --out", errUsage)
			}
			progress := newProgress(c.ErrOrStderr())
			o.Version, o.Observe = buildVersion(), progress.observe
			f, err := runner.Forecast(c.Context(), o)
			progress.close()
			if err != nil {
				return err
			}
			out := forecast{Forecast: f}
			if against != "" {
				actual, err := callsOf(against)
				if err != nil {
					return err
				}
				out.Errors = f.Compare(actual)
			}
			w := c.OutOrStdout()
			if asJSON {
				err = printJSON(w, out)
			} else if err = plan.Text(w, f); err == nil && against != "" {
				err = plan.TextErrors(w, out.Errors)
			}
			return errors.Join(err, f.Within(limits))
		},
	}
	f := c.Flags()
	f.StringVar(&o.Experiment, "experiment", "nano", "experiment by name or .yaml file, with ablations after '+'")
	f.StringVar(&o.Out, "out", "", "run directory of the pilot (default runs/EXPERIMENT)")
	f.Uint64Var(&o.Seed, "seed", 0, "the run's seed: it decides how long conversations are")
	f.IntVar(&o.Workers, "workers", 0, "processors to use (default all)")
	sourceFlags(f, &o.Source, "gold responses (default: forecast their making)")
	f.IntVar(&o.Pilot, "pilot", 0, "pairs to run for real")
	f.StringArrayVar(&prices, "price", nil, "money per million tokens of a role, prompt and answer, such as oracle=2.5,10 (may be repeated; default the experiment's)")
	f.IntVar(&o.Lengths.Question, "question", o.Lengths.Question, "tokens of a question, without a pilot")
	f.IntVar(&o.Lengths.Answer, "answer", o.Lengths.Answer, "tokens of an answer, without a pilot")
	f.IntVar(&o.Lengths.Response, "response", o.Lengths.Response, "tokens of a response, without a pilot")
	f.IntVar(&o.Lengths.Judge, "verdict", o.Lengths.Judge, "tokens of a verdict, without a pilot")
	f.IntVar(&o.Gold, "gold-tokens", o.Gold, "tokens of a gold response, where there are none yet")
	f.Float64Var(&o.Characters, "chars-per-token", o.Characters, "count tokens by characters (default the model's tokenizer, or 4 where it is not on this machine)")
	f.StringVar(&against, "against", "", "finished run to compare the forecast with")
	limitFlags(f, &limits, "fail if the forecast is dearer", "fail if the forecast has more tokens")
	f.BoolVar(&asJSON, "json", false, "print the forecast as JSON")
	return c
}

// rolePrices reads "oracle=2.5,10".
func rolePrices(list []string) (map[string]remote.Price, error) {
	out := map[string]remote.Price{}
	for _, text := range list {
		role, price, ok := strings.Cut(text, "=")
		in, answer, both := strings.Cut(price, ",")
		var p remote.Price
		var errIn, errOut error
		p.Input, errIn = strconv.ParseFloat(in, 64)
		p.Output, errOut = strconv.ParseFloat(answer, 64)
		known := map[string]bool{plan.Questioner: true, plan.Roleplayer: true, plan.Scorer: true, plan.Judge: true, plan.Rater: true, plan.Oracle: true, plan.Trainer: true}
		if !ok || !both || errIn != nil || errOut != nil || !known[role] || p.Input < 0 || p.Output < 0 {
			return nil, fmt.Errorf("%w: --price %q: want ROLE=INPUT,OUTPUT in money per million tokens, such as oracle=2.5,10; roles are questioner, roleplayer, scorer, judge, rater, oracle, trainer", errUsage, text)
		}
		out[role] = p
	}
	return out, nil
}

// callsOf are the calls of a finished run.
func callsOf(dir string) (map[string]plan.Spent, error) {
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: --against %s: it has no report.json; give the directory of a finished run", errUsage, dir)
	}
	if err != nil {
		return nil, err
	}
	var r eval.Result
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "report.json"), err)
	}
	out := map[string]plan.Spent{}
	for role, c := range r.Calls {
		out[role] = plan.Spent{Calls: int64(c.Made), TokensIn: int64(c.TokensIn), TokensOut: int64(c.TokensOut)}
	}
	return out, nil
}
