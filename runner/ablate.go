package runner

import (
	"context"
	"errors"
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

// Ablate does an experiment and its ablations in one directory and writes the page that
// compares them. Runs share every model call and fine-tune that is the same for both: an
// ablation of the evaluation alone trains nothing. Each run's report is the same, byte for
// byte, as when it is done by itself. Repeating the call goes on where it stopped.
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
	var rows []report.Row
	var first eval.Records
	for i, full := range all {
		if o.Started != nil {
			o.Started(full, i, len(all))
		}
		name := strings.TrimPrefix(strings.TrimPrefix(full, o.Experiment), "+")
		run := o.Options
		run.Experiment, run.Share = full, share
		dir := "main"
		if name != "" {
			dir = name
		}
		run.Out = filepath.Join(o.Out, dir)
		out, err := Run(ctx, run)
		if err != nil {
			return report.Ablations{}, fmt.Errorf("%s: %w", full, err)
		}
		row := report.Row{Name: name, About: about(name), Dir: dir, Result: out.Result}
		pairs, err := eval.LoadPairs(run.Out)
		if err != nil {
			return report.Ablations{}, fmt.Errorf("%s: %w", full, err)
		}
		records := eval.Records{Name: full, Result: out.Result, Pairs: pairs}
		if i == 0 {
			first = records
		} else if row.Against, err = lastLess(first, records); err != nil {
			return report.Ablations{}, err
		}
		rows = append(rows, row)
	}
	a, err := report.NewAblations(rows)
	if err != nil {
		return a, err
	}
	return a, report.WriteAblations(o.Out, a)
}

// lastLess compares the last model of an ablation with that of the main run; nil where nothing
// was measured of one of them.
func lastLess(main, ablation eval.Records) (*eval.Contrast, error) {
	last := func(r eval.Records) string { return r.Result.Models[len(r.Result.Models)-1] }
	c, err := eval.Compare(main, ablation, eval.CompareOptions{Models: map[string]string{last(main): last(ablation)}, What: report.Differences()})
	if errors.Is(err, eval.ErrNothingInCommon) {
		return nil, nil
	}
	return c, err
}

// about says in words what an ablation does.
func about(name string) string {
	var out []string
	for _, a := range strings.FieldsFunc(name, func(r rune) bool { return r == '+' }) {
		if h, err := experiment.Describe("ablations/" + a); err == nil {
			out = append(out, h.About)
		}
	}
	return strings.Join(out, "; ")
}
