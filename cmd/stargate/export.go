package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"stargate/export"
	"stargate/export/readback"
	"stargate/export/selection"
	"stargate/lm/local"
	"stargate/runner"
)

// exportOptions are the flags of "stargate export".
type exportOptions struct {
	format, out, model string
	iteration          int
	weighting          export.Weighting
	minMargin          float64
	json               bool
	write              export.Options
}

func exportCommand() *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export RUN|FILE --out FILE",
		Short: "Write a run's training examples for another trainer, and prove what it will train on",
		Long: `Write the conversations that an iteration of a run selected as training examples, or turn a
file of examples (--format jsonl or parquet) into another format:

` + formatTable() + `
A file of examples that must not be trained on (see stargate audit data) is refused.

Every row is read again by the rules of the trainer that it is for, with the model's own
tokenizer and chat template, before it is written. Where the trainer would train other tokens
than the examples say, nothing is written and the reason is told; --lossy writes it all the
same and says how much differs. What the trainer must be told besides (its longest row, the
token that ends a turn) is written beside the file.

The last three formats are comparisons of two questions in one place of a conversation, and
--weights makes better conversations count more. The paper does neither.`,
		Example: `  stargate export runs/nano --out examples.jsonl
  stargate export runs/nano --iteration 1 --format trl-text --out trl.jsonl
  stargate export examples.jsonl --model ORG/NAME --format axolotl --out axolotl.jsonl
  stargate export runs/nano --format trl-dpo-text --min-margin 0.05 --out pairs.jsonl`,
		Args: exactly(1, "a run directory or a file of examples"),
		RunE: func(c *cobra.Command, args []string) error { return exportData(c, args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", export.Canonical, "format of the file")
	f.StringVar(&o.out, "out", "", "file to write")
	f.StringVar(&o.model, "model", "", "directory, GGUF file or ORG/NAME with tokenizer and chat template (default the run's base model, or the built-in one)")
	f.IntVar(&o.iteration, "iteration", 0, "of the run, from 1 (default the last that is finished)")
	f.StringVar(&o.weighting.Kind, "weights", export.Uniform.Kind, "how much an example counts: "+strings.Join(export.Weightings(), ", "))
	f.Float64Var(&o.weighting.Temperature, "weights-temperature", 0.1, "of --weights exp, in nats per token of the gold response")
	f.Float64Var(&o.weighting.Most, "weights-most", 5, "no example counts more than so many times the mean")
	f.Float64Var(&o.minMargin, "min-margin", 0, "of preferences: least difference of the two scores, in nats per token of the gold response")
	f.BoolVar(&o.write.Lossy, "lossy", false, "write also what trains other tokens, and say how much differs")
	f.BoolVar(&o.write.Force, "force", false, "replace a file that is there")
	f.StringVar(&o.write.LlamaFactoryTemplate, "llama-factory-template", "", "LLaMA-Factory's template: "+strings.Join(readback.Templates(), ", ")+" (default made of the model's own)")
	f.BoolVar(&o.json, "json", false, "print what was written as JSON")
	return c
}

func formatTable() string {
	var b strings.Builder
	for _, f := range export.Formats() {
		fmt.Fprintf(&b, "  %-21s %s\n", f.Name, f.About)
	}
	for _, f := range export.PreferenceFormats() {
		fmt.Fprintf(&b, "  %-21s %s\n", f.Name, f.About)
	}
	return b.String()
}

func exportData(c *cobra.Command, from string, o exportOptions) error {
	if o.out == "" {
		return fmt.Errorf("%w: --out is missing: the file to write", errUsage)
	}
	choices, preferences := export.ParsePreferenceFormat(o.format)
	var format export.Format
	if !preferences {
		var err error
		if format, err = export.ParseFormat(o.format); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	in, err := openExamples(c, from, o.model, o.iteration)
	if err != nil {
		return err
	}
	var s export.Summary
	switch {
	case preferences && in.recorded == nil:
		return fmt.Errorf("%w: preferences are made of a run; %s is a file of examples, which does not have the conversations that lost", errUsage, from)
	case preferences:
		ps, n, err := selection.Preferences(in.run(), in.recorded.Iteration, o.minMargin)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d pairs compared: %d parted at a question; %d had one conversation, %d were too close, %d did not part at a question\n", n.Pairs, len(ps), n.Alone, n.Close, n.SameAsk)
		s, err = export.WritePreferences(c.Context(), choices, in.text, all(ps), o.out, o.write)
		if err != nil {
			return err
		}
	default:
		src, err := in.examples(o.weighting)
		if err != nil {
			return err
		}
		if err := in.sound(c.Context(), src); err != nil {
			return err
		}
		if s, err = export.Write(c.Context(), format, in.text, src, o.out, o.write); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(c.OutOrStdout(), s)
	}
	return printExport(c.OutOrStdout(), s)
}

func all(ps []export.Preference) export.Preferences {
	return func(yield func(export.Preference, error) bool) {
		for _, p := range ps {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func printExport(w io.Writer, s export.Summary) error {
	_, err := fmt.Fprintf(w, "%s: %d examples in %d rows, %d of %d tokens trained, the longest row has %d\n", s.Format, s.Examples, s.Rows, s.Trained, s.Tokens, s.LongestRow)
	for _, path := range append([]string{s.Path}, s.Beside...) {
		if err == nil {
			_, err = fmt.Fprintln(w, " ", path)
		}
	}
	if err == nil && !s.Differences.None() {
		_, err = fmt.Fprintln(w, "lossy:", s.Differences)
	}
	return err
}

// examplesIn are what a command looks at: a run's, or a file's.
type examplesIn struct {
	from     string
	recorded *runner.Recorded // nil: a file
	text     *local.Text
}

// openExamples finds a run or a file, and the tokenizer that belongs to it.
func openExamples(c *cobra.Command, from, model string, iteration int) (*examplesIn, error) {
	in := &examplesIn{from: from}
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	if model, err = modelDir(model); err != nil {
		return nil, err
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(from, "manifest.json")); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is a directory without a manifest.json, so it is no run; give a run directory or a file of examples", from)
		}
		if in.recorded, err = runner.ReadIteration(c.Context(), from, iteration); err != nil {
			return nil, err
		}
		if model == "" {
			if model, err = textOf(in.recorded.Manifest); err != nil {
				return nil, err
			}
		}
	} else if iteration != 0 {
		return nil, fmt.Errorf("%w: --iteration is for runs; %s is a file", errUsage, from)
	}
	in.text, err = openText(model)
	return in, err
}

// textOf is the directory with the tokenizer of a run's base model, "" for the built-in one.
func textOf(m *runner.Manifest) (string, error) {
	q := m.Experiment.Roles.Questioner
	switch {
	case q == nil:
		return m.Source.ModelDir, nil
	case q.Local != "":
		return q.Local, nil
	case q.Tokenizer != "":
		return q.Tokenizer, nil
	}
	return "", fmt.Errorf("%w: the run's base model is on a server; give --model, a directory with its tokenizer and chat template", errUsage)
}

func (in *examplesIn) run() selection.Run {
	m := in.recorded.Manifest
	return selection.Run{Name: m.Experiment.Name, Identity: m.Identity, Model: m.Model, Version: buildVersion(), Prompts: in.recorded.Prompts}
}

// sound fails for a file that must not be trained on: it may be anybody's. A run's examples are
// made as they should be.
func (in *examplesIn) sound(ctx context.Context, src export.Source) error {
	if in.recorded != nil {
		return nil
	}
	r, err := export.Audit(ctx, in.text, src, export.AuditOptions{})
	if err == nil && !r.OK() {
		err = fmt.Errorf("%s: %w: %s; the first: %s (stargate audit data shows all)", in.from, export.ErrAudit, problems(r), r.Findings[0])
	}
	return err
}

func (in *examplesIn) examples(w export.Weighting) (export.Source, error) {
	if in.recorded != nil {
		return selection.Examples(in.text, in.run(), in.recorded.Iteration, w)
	}
	if w.Kind != export.Uniform.Kind {
		return nil, fmt.Errorf("%w: --weights is for runs; the examples of %s have their weights", errUsage, in.from)
	}
	return export.File(in.from), nil
}
