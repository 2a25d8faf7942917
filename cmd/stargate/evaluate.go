package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"stargate/runner"
)

func evalCommand() *cobra.Command {
	e := &evaluation{}
	c := &cobra.Command{
		Use:   "eval MODEL... | RUN",
		Short: "Evaluate any models, or a run's, on the test split",
		Long: `Evaluate models on the test split alone: nothing is trained and no run is needed. Measured are
log p(gold) under the base model in all conditions, win rates against the first model (or
--against), what the models ask, and in a world whose truth is known when they ask. report.html,
report.json and the records of single pairs are written to --out; repeating the command goes on
where it stopped, and stargate compare, gate, rate and report read the directory like a run's.

A MODEL, with a name of your choice in front as in "tuned=DIR" if you like (draws are named by
it), is

  DIR or FILE.gguf     a local model: a Hugging Face directory, a run's model (RUN/models/m2), or
                       a LoRA adapter of the base model
  ORG/NAME             one that was pulled (see stargate models)
  http://HOST#MODEL    a model on a server; "#MODEL" may be left out where the server has just one
  FILE.yaml            a role as in an experiment's "roles": prices, rates, sampling and all
  base                 the base model

The base model scores (default the built-in one, or the experiment's). It plays the user and
judges too, except that the built-in world judges by its rubric, and as --roleplayer, --judge and
the experiment say. A single MODEL is compared with the base model.

With a RUN, the models of the run are evaluated: what is in its ledger is not asked again.`,
		Example: `  stargate eval runs/nano/models/m3
  stargate eval base runs/nano/models/m2 runs/nano+gold-response/models/m2 --credit
  stargate eval mine=./my-model theirs=http://127.0.0.1:8000#qwen --against mine --data data --whole
  stargate eval runs/nano --json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%w: %s wants a model, or a run directory; see %s --help", errUsage, c.CommandPath(), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return e.run(c, args) },
	}
	e.flags(c)
	return c
}

// evaluation is the command line of stargate eval.
type evaluation struct {
	o                         runner.EvaluateOptions
	against, base, roleplayer string
	judges                    []string
	like, apiKeyEnv           string
	credit, whenToAsk, asJSON bool
}

func (e *evaluation) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&e.against, "against", "", "MODEL that the others are compared with (default the first)")
	f.StringVar(&e.o.Out, "out", "", "directory of the evaluation (default runs/eval-MODELS)")
	f.StringVar(&e.o.Experiment, "experiment", "nano", "experiment whose test split, roles and sampling are used (see stargate experiments)")
	f.StringVar(&e.like, "like", "", "run whose experiment, seed, data and base model are used instead: the same test split, pair by pair")
	f.Uint64Var(&e.o.Seed, "seed", 0, "names all random draws")
	f.IntVar(&e.o.Workers, "workers", 0, "processors to use (default all); changes no result")
	f.StringVar(&e.base, "base", "", "MODEL that scores (default the experiment's, or the built-in one)")
	f.StringVar(&e.roleplayer, "roleplayer", "", "MODEL that plays the user")
	f.StringArrayVar(&e.judges, "judge", nil, "MODEL that judges (may be repeated; a majority decides)")
	f.IntVar(&e.o.WinPairs, "win-pairs", 0, "pairs that are judged (default the experiment's)")
	f.BoolVar(&e.credit, "credit", false, "score the gold after every turn: what each question was worth")
	f.BoolVar(&e.whenToAsk, "when-to-ask", false, "let the models ask or answer as they like (default in a world whose truth is known)")
	f.StringVar(&e.apiKeyEnv, "api-key-env", "", "environment variable that holds the API key of servers given by address")
	f.StringVar(&e.o.Source.Data, "data", "", "directory with your tasks, personas and gold responses (see stargate data), instead of the next four")
	dataFlags(f, &e.o.Source, "gold responses of pairs of your tasks and personas")
	f.BoolVar(&e.o.Source.Whole, "whole", false, "all pairs of your data are test pairs; without it the same test split as in a run")
	limitFlags(f, &e.o.Budget, "stop before the servers' prices add up to more", "stop before servers have read and written more tokens")
	f.BoolVar(&e.asJSON, "json", false, "print report.json instead of tables")
}

func (e *evaluation) run(c *cobra.Command, args []string) error {
	if m, err := runner.ReadManifest(args[0]); err == nil {
		return e.again(c, args, m)
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDirectory) {
		return err
	}
	if err := e.settings(c); err != nil {
		return err
	}
	models, err := e.models(args)
	if err != nil {
		return err
	}
	e.o.Models = models
	if e.o.Out == "" {
		e.o.Out = filepath.Join("runs", "eval-"+directoryName(models, e.o.Seed))
	}
	return executeEvaluation(c, e.o, e.asJSON)
}

// again evaluates the models of a run, or goes on with an evaluation.
func (e *evaluation) again(c *cobra.Command, args []string, m *runner.Manifest) error {
	if len(args) > 1 {
		return fmt.Errorf("%w: %s is a run; to compare single models name them, such as %s", errUsage, args[0], filepath.Join(args[0], "models", "m1"))
	}
	for _, name := range []string{"against", "out", "experiment", "like", "seed", "base", "roleplayer", "judge", "win-pairs", "credit", "when-to-ask", "world", "prompts", "data", "tasks", "personas", "names", "gold", "whole"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("%w: %s is a run, which says itself how it is evaluated; --%s is for models, such as %s", errUsage, args[0], name, filepath.Join(args[0], "models", "m1"))
		}
	}
	o := runner.Options{Out: args[0], Workers: e.o.Workers, Budget: e.o.Budget}
	if len(m.Evaluated) > 0 {
		return executeEvaluation(c, m.Reevaluate(o), e.asJSON)
	}
	o.Resolved, o.Seed, o.Source = &m.Experiment, m.Seed, m.Source
	return execute(c, o, e.asJSON)
}

// settings are everything but the models.
func (e *evaluation) settings(c *cobra.Command) error {
	if e.like != "" {
		for _, name := range []string{"experiment", "seed", "world", "prompts", "data", "tasks", "personas", "names", "gold", "whole"} {
			if c.Flags().Changed(name) {
				return fmt.Errorf("%w: --like takes that from the run; leave out --%s", errUsage, name)
			}
		}
		m, err := runner.ReadManifest(e.like)
		if err != nil {
			return err
		}
		e.o.Resolved, e.o.Seed, e.o.Source = &m.Experiment, m.Seed, m.Source
	}
	for _, f := range []struct {
		spec string
		into func(runner.Player)
	}{
		{e.base, func(p runner.Player) { e.o.Base = &p }},
		{e.roleplayer, func(p runner.Player) { e.o.Roleplayer = []runner.Player{p} }},
	} {
		if f.spec == "" {
			continue
		}
		m, err := e.model(f.spec)
		if err != nil {
			return err
		}
		f.into(m.Player)
	}
	for _, spec := range e.judges {
		m, err := e.model(spec)
		if err != nil {
			return err
		}
		m.Player.Name = m.Name
		e.o.Judge = append(e.o.Judge, m.Player)
	}
	if c.Flags().Changed("credit") {
		e.o.Credit = &e.credit
	}
	if c.Flags().Changed("when-to-ask") {
		e.o.WhenToAsk = &e.whenToAsk
	} else if own := e.o.Source.Data != "" || e.o.Source.Tasks != "" || e.o.Source.Personas != "" || e.o.Source.Gold != ""; !own {
		yes := true
		e.o.WhenToAsk = &yes
	}
	return nil
}

// models are those of the command line, the one to compare with first.
func (e *evaluation) models(specs []string) ([]runner.Contestant, error) {
	var all []runner.Contestant
	for _, spec := range specs {
		m, err := e.model(spec)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	switch i := slices.IndexFunc(all, func(m runner.Contestant) bool { return m.Name == e.against }); {
	case e.against != "" && i >= 0: // by its name
		first := all[i]
		all = slices.Insert(slices.Delete(all, i, i+1), 0, first)
	case e.against != "":
		m, err := e.model(e.against)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(o runner.Contestant) bool { return samePlayer(o.Player, m.Player) })
		all = slices.Insert(all, 0, m)
	case len(all) == 1 && !samePlayer(all[0].Player, runner.Player{}):
		all = append([]runner.Contestant{{Name: baseModel}}, all...)
	}
	return distinctNames(all)
}

func executeEvaluation(c *cobra.Command, o runner.EvaluateOptions, asJSON bool) error {
	progress := newProgress(c.ErrOrStderr())
	o.Version, o.Observe = buildVersion(), progress.observe
	out, err := runner.Evaluate(c.Context(), o)
	progress.close()
	if err != nil {
		return err
	}
	return printOutcome(c.OutOrStdout(), out, asJSON)
}

// directoryName names the directory of an evaluation by its models.
func directoryName(models []runner.Contestant, seed uint64) string {
	var parts []string
	for _, m := range models {
		parts = append(parts, strings.Map(func(r rune) rune {
			if strings.ContainsRune(`/\:*?"<>| `, r) {
				return '-'
			}
			return r
		}, m.Name))
	}
	name := strings.Join(parts, "-")
	if seed != 0 {
		name += fmt.Sprintf("-seed%d", seed)
	}
	return name
}
