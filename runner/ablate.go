package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stargate/eval"
	"stargate/experiment"
	"stargate/report"
)

// sharedDir of an ablation study keeps the model calls and fine-tunes of all its runs.
const sharedDir = "shared"

// AblateOptions are the inputs of [Ablate].
type AblateOptions struct {
	Options            // of every run; Experiment is the main run's, Out the directory of the study
	Ablations []string // names, each perhaps several joined by "+"; none: [DefaultAblations]
	Started   func(name string, i, n int)
}

// DefaultAblations are the rows of a study: all of the paper's, those of the authors' code,
// and the Roleplayers of training crossed with those of evaluation. Those that need a rule to
// play the user are left out where the truth is not known.
func DefaultAblations(knownWorld bool) []string {
	var alone, evaluation, training []string
	for _, a := range experiment.Ablations() {
		var e Experiment
		if _, err := experiment.Load("paper+"+a, &e); err != nil {
			panic(err) // the files are embedded
		}
		if !knownWorld && needsRule(e) {
			continue
		}
		if a == "lora" { // another way to train the same, not a finding
			continue
		}
		switch {
		case len(e.Evaluation.Roleplayer) > 0:
			evaluation = append(evaluation, a)
		case len(e.Roles.Roleplayer) > 0:
			training = append(training, a)
			alone = append(alone, a)
		default:
			alone = append(alone, a)
		}
	}
	out := append(alone, evaluation...)
	for _, t := range training {
		for _, e := range evaluation {
			out = append(out, t+"+"+e)
		}
	}
	return out
}

func needsRule(e Experiment) bool {
	return slices.ContainsFunc(slices.Concat(e.Roles.Roleplayer, e.Evaluation.Roleplayer), func(p Player) bool { return p.Rule != nil })
}

// Ablate does an experiment and its ablations in one directory and writes, after each, the page
// that compares them and the ablations that earlier calls finished there. Runs share every model
// call and fine-tune that is the same for both: an ablation of the evaluation alone trains
// nothing. Each run's report is the same, byte for byte, as when it is done by itself. Repeating
// the call goes on where it stopped.
func Ablate(ctx context.Context, o AblateOptions) (report.Ablations, error) {
	main, err := LoadExperiment(o.Experiment)
	if err != nil {
		return report.Ablations{}, err
	}
	names := o.Ablations
	if len(names) == 0 {
		names = DefaultAblations(main.World != "" || o.Source.WorldFile != "")
	}
	all := make([]string, 0, len(names)+1)
	for _, a := range append([]string{""}, names...) {
		full := strings.TrimSuffix(o.Experiment+"+"+a, "+")
		if _, err := LoadExperiment(full); err != nil { // all names before the first hour of work
			return report.Ablations{}, err
		}
		all = append(all, full)
	}
	share := filepath.Join(o.Out, sharedDir)
	if err := os.MkdirAll(share, 0o755); err != nil {
		return report.Ablations{}, fmt.Errorf("directory of the study: %w; choose another place with --out", err)
	}
	s := &study{dir: o.Out, rows: map[string]report.Row{}}
	var a report.Ablations
	for i, full := range all {
		if o.Started != nil {
			o.Started(full, i, len(all))
		}
		name := strings.TrimPrefix(strings.TrimPrefix(full, o.Experiment), "+")
		run := o.Options
		run.Experiment, run.Share, run.Out = full, share, s.place(name)
		out, err := Run(ctx, run)
		if err != nil {
			return report.Ablations{}, fmt.Errorf("%s: %w", full, err)
		}
		pairs, err := eval.LoadPairs(run.Out)
		if err != nil {
			return report.Ablations{}, fmt.Errorf("%s: %w", full, err)
		}
		if err := s.put(name, eval.Records{Name: out.Result.Experiment, Result: out.Result, Pairs: pairs}); err != nil {
			return report.Ablations{}, fmt.Errorf("%s: %w", full, err)
		}
		if i == 0 {
			if err := s.found(names); err != nil {
				return report.Ablations{}, err
			}
		}
		// After each row, so that a study that is stopped has a page of what it finished.
		if a, err = s.compare(); err != nil {
			return a, err
		}
		if err := report.WriteAblations(o.Out, a); err != nil {
			return a, err
		}
	}
	return a, nil
}
