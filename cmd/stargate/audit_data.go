package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"stargate/export"
)

// auditDataOptions are the flags of "stargate audit data".
type auditDataOptions struct {
	model, format, key, color string
	iteration, rows           int
	tokens, json              bool
	maxTokens                 int
	export                    export.Options
}

// auditDataCommand belongs under "stargate audit".
func auditDataCommand() *cobra.Command {
	var o auditDataOptions
	c := &cobra.Command{
		Use:   "data RUN|FILE",
		Short: "Draw which tokens are trained, and find rows that must not be",
		Long: `Look at every training example of a run or of a file (stargate export --format jsonl or
parquet), and draw the mask of some: what is trained is black on green, or in ⟦brackets⟧ with
bars between tokens where there are no colours; special tokens are shown as they are.

These are errors, told with row and key, and the exit code is 1: a row that trains nothing,
trained words that are cut off or have no weight, the end of a turn without a weight, a weight
on a token of the prompt, tokens that do not spell the messages, a key used twice, tokens of
another tokenizer, and with --max-tokens a row that the trainer would cut.

With --format the file is in a trainer's own format, and what that trainer would make of it is
drawn: that shows what somebody else's file trains.`,
		Example: `  stargate audit data runs/nano
  stargate audit data examples.jsonl --rows 1 --tokens
  stargate audit data chats.jsonl --format axolotl --model ORG/NAME
  stargate audit data examples.jsonl --max-tokens 1024 --json`,
		Args: exactly(1, "a run directory or a file of examples"),
		RunE: func(c *cobra.Command, args []string) error { return auditData(c, args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.model, "model", "", "directory, GGUF file or ORG/NAME with tokenizer and chat template (default the run's base model, or the built-in one)")
	f.IntVar(&o.iteration, "iteration", 0, "of the run, from 1 (default the last that is finished)")
	f.StringVar(&o.format, "format", "", "the trainer's format that the file is in (default a file of examples)")
	f.IntVar(&o.rows, "rows", 3, "how many rows to draw; -1 draws all")
	f.StringVar(&o.key, "key", "", "draw the example of this key instead")
	f.BoolVar(&o.tokens, "tokens", false, "draw a line for each token, with its id and weight")
	f.StringVar(&o.color, "color", "auto", "auto (on a terminal), always or never")
	f.IntVar(&o.maxTokens, "max-tokens", 0, "most tokens that the trainer takes (default no limit)")
	f.StringVar(&o.export.LlamaFactoryTemplate, "llama-factory-template", "", "LLaMA-Factory's template (default made of the model's own)")
	f.BoolVar(&o.json, "json", false, "print what was found as JSON, and draw nothing")
	return c
}

func auditData(c *cobra.Command, from string, o auditDataOptions) error {
	color, err := colors(c.OutOrStdout(), o.color)
	if err != nil {
		return err
	}
	in, err := openExamples(c, from, o.model, o.iteration)
	if err != nil {
		return err
	}
	w, drawn := c.OutOrStdout(), 0
	var writing error
	d := export.Drawing{Color: color, Tokens: o.tokens}
	audit := export.AuditOptions{MaxTokens: o.maxTokens, Each: func(_ int, e export.Example, _ bool) {
		wanted := o.key == e.Key
		if o.key == "" {
			wanted = o.rows < 0 || drawn < o.rows
		}
		if wanted && !o.json && writing == nil {
			drawn++
			writing = d.Draw(w, in.text, e)
		}
	}}
	r, err := examine(c, in, o, audit)
	if err := errors.Join(err, writing); err != nil {
		return err
	}
	if o.key != "" && drawn == 0 && !o.json {
		return fmt.Errorf("%s has no example %q", from, o.key)
	}
	if o.json {
		err = printJSON(w, r)
	} else {
		err = printReport(w, r)
	}
	if err == nil && !r.OK() {
		err = fmt.Errorf("%s: %w: %s", from, export.ErrAudit, problems(r))
	}
	return err
}

func examine(c *cobra.Command, in *examplesIn, o auditDataOptions, a export.AuditOptions) (export.Report, error) {
	if o.format == "" {
		src, err := in.examples(export.Uniform)
		if err != nil {
			return export.Report{}, err
		}
		return export.Audit(c.Context(), in.text, src, a)
	}
	f, err := export.ParseFormat(o.format)
	if err != nil || in.recorded != nil {
		return export.Report{}, fmt.Errorf("%w: --format is for a file in a trainer's format: %w", errUsage, err)
	}
	return export.Look(c.Context(), f, in.text, in.from, o.export, a)
}

// colors tells whether to draw in colour.
func colors(w io.Writer, when string) (bool, error) {
	switch when {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto":
		f, ok := w.(*os.File)
		return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "", nil
	}
	return false, fmt.Errorf("%w: --color is %q, want auto, always or never", errUsage, when)
}

func printReport(w io.Writer, r export.Report) error {
	share := 0.0
	if r.Tokens > 0 {
		share = 100 * float64(r.Trained) / float64(r.Tokens)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows, %d tokens, %d of them trained (%.1f %%); the longest row has %d\n", r.Rows, r.Tokens, r.Trained, share, r.Longest)
	for _, note := range []struct {
		n    int
		what string
	}{
		{r.Weighted, "rows have weights other than 0 and 1"},
		{r.Respelt, "rows have other tokens than the tokenizer would make of the same text, as generated ones may"},
		{r.Repeated, "rows are the same as an earlier one: they count twice"},
	} {
		if note.n > 0 {
			fmt.Fprintf(&b, "note: %d %s\n", note.n, note.what)
		}
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "error: %s\n", f)
	}
	if r.OK() {
		b.WriteString("no errors\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// problems counts rows by what is wrong with them.
func problems(r export.Report) string {
	var parts []string
	for _, p := range slices.Sorted(maps.Keys(r.Problems)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.Problems[p], p))
	}
	return strings.Join(parts, ", ")
}
