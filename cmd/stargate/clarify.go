package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stargate"
	"stargate/eval/clarify"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
	"stargate/runner"
)

func clarifyCommand() *cobra.Command {
	var r remote.Role
	var o clarify.Options
	var data, format, dir, invitation, decisions string
	var limit int
	var seed uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "clarify --data FILE --format FORMAT",
		Short: "Score when a model asks: ClariQ, Abg-CoQA, PACIFIC, IN3, CLAMBER or your own file",
		Long: `Put the items of a clarification benchmark to any model, local or on a server, and score
whether it asks where a question is needed and answers where none is: precision, recall and F1
of asking, macro-F1 of asking and answering, over-ask and under-ask rates, each beside what a
model gets that always or never asks. Only the decision is scored, not the question's wording.

Formats: clariq (train.tsv, dev.tsv, test_with_labels.tsv), abg-coqa (coqa_abg_*.json), pacific
(train.json, validation.json), in3 (train.jsonl, test.jsonl), clamber (clamber_benchmark.jsonl),
and jsonl: one {"text" or "messages", "ask", "id", "group", "kind"} a line. The files are not
part of this program; take them from their authors' repositories.

In the mode invited (default) the model is told that it may ask one question or answer; in the
mode plain nothing is added.`,
		Example: `  stargate clarify --data dev.tsv --format clariq --model Qwen/Qwen2.5-0.5B-Instruct
  stargate clarify --data test.jsonl --format in3 --url http://127.0.0.1:8000 --mode plain --json
  stargate clarify --data mine.jsonl --format jsonl --model runs/nano/models/m3 --decisions out.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if data == "" || format == "" {
				return fmt.Errorf("%w: give --data and --format; see %s --help", errUsage, c.CommandPath())
			}
			items, err := readItems(data, clarify.Format(format), limit, seed)
			if err != nil {
				return err
			}
			if invitation != "" {
				text, err := os.ReadFile(invitation)
				if err != nil {
					return fmt.Errorf("invitation: %w", err)
				}
				o.Invitation = string(text)
			}
			m, closeModel, err := anyModel(c, r, dir)
			if err != nil {
				return err
			}
			defer closeModel()
			progress := newProgress(c.ErrOrStderr())
			o.Sampling.Seed = seed
			o.Observe = func(done, total int) {
				progress.observe(runner.Event{Stage: "clarify " + format, Done: done, Total: total})
			}
			decided, err := clarify.Run(c.Context(), m, items, o)
			progress.close()
			if err != nil {
				return err
			}
			if decisions != "" {
				if err := writeDecisions(decisions, decided); err != nil {
					return err
				}
			}
			report := clarify.ReportOf(decided, seed)
			if asJSON {
				return printJSON(c.OutOrStdout(), report)
			}
			return printClarify(c.OutOrStdout(), format, report)
		},
	}
	f := c.Flags()
	f.StringVar(&data, "data", "", "the benchmark's file")
	f.StringVar(&format, "format", "", "clariq, abg-coqa, pacific, in3, clamber or jsonl")
	f.StringVar((*string)(&o.Mode), "mode", string(clarify.Invited), "invited, or plain")
	f.StringVar(&invitation, "invitation", "", "file with a text of your own instead of the program's invitation")
	f.IntVar(&limit, "limit", 0, "items at most, drawn by hash (default all)")
	f.Uint64Var(&seed, "seed", 0, "names the draws")
	f.Float64Var(&o.Sampling.Temperature, "temperature", 0, "0 is greedy")
	f.IntVar(&o.Sampling.MaxTokens, "max-tokens", 256, "most tokens of a reply")
	f.IntVar(&o.Concurrency, "concurrency", 0, "items in flight (default 16); changes no result")
	f.StringVar(&decisions, "decisions", "", "file to write every decision and reply to, one a line")
	f.StringVar(&dir, "model", "", "Hugging Face directory, or ORG/NAME that was pulled (default the built-in model); with --url the name of the model there")
	f.StringVar(&r.URL, "url", "", "address of a model server, instead of a local model")
	f.StringVar((*string)(&r.API), "api", "openai", "openai or anthropic")
	f.StringVar(&r.APIKeyEnv, "api-key-env", "", "environment variable that holds the API key")
	f.BoolVar(&asJSON, "json", false, "print all numbers as JSON")
	return c
}

// readItems reads a file; of more items than limit those are taken that a hash puts first.
func readItems(path string, format clarify.Format, limit int, seed uint64) (items []clarify.Item, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	items, err = clarify.Read(format, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return clarify.Sample(items, limit, func(id string) uint64 { return stargate.Seed(seed, "clarify item", id) }), nil
}

// anyModel opens a local model, or one on a server.
func anyModel(c *cobra.Command, r remote.Role, name string) (lm.Generator, func(), error) {
	if r.URL == "" {
		dir, err := modelDir(name)
		if err != nil {
			return nil, nil, err
		}
		m, err := runner.OpenModel(dir, 0)
		if err != nil {
			return nil, nil, err
		}
		return m, func() { m.Close() }, nil
	}
	r.Model = name
	if err := r.Validate(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	settings, err := r.Fleet("clarify", os.Getenv)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	settings.Startup = 5 * time.Second // somebody is waiting
	servers, err := fleet.New(settings)
	if err != nil {
		return nil, nil, err
	}
	client, err := remote.Open(c.Context(), r, remote.Options{Name: "clarify", Transport: servers})
	if err != nil {
		servers.Close()
		return nil, nil, err
	}
	return client, func() { servers.Close() }, nil
}

func writeDecisions(path string, decided []clarify.Decision) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("decisions: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	e := json.NewEncoder(f)
	e.SetEscapeHTML(false)
	for _, d := range decided {
		if err := e.Encode(d); err != nil {
			return fmt.Errorf("decisions: %w", err)
		}
	}
	return nil
}

func printClarify(w io.Writer, format string, r clarify.Report) error {
	interval := ""
	if r.Low != nil {
		interval = fmt.Sprintf(" [%.3f, %.3f]", *r.Low, *r.High)
	}
	fmt.Fprintf(w, "%s: macro-F1 %.3f%s of %d items, %d of which need a question\n", format, r.MacroF1, interval, r.N, r.Needed)
	if r.Refused+r.Nothing > 0 {
		fmt.Fprintf(w, "%d replies were refusals and %d empty; both count as errors\n", r.Refused, r.Nothing)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tmacro-F1\tprecision\trecall\tF1 of asking\tF1 of answering\taccuracy\tover-ask\tunder-ask\task rate\t")
	for _, row := range []struct {
		name string
		s    clarify.Score
	}{{"this model", r.Score}, {"always asks", r.Always}, {"never asks", r.Never}} {
		s := row.s
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%s\t%s\t%s\t\n", row.name, s.MacroF1, s.Precision, s.Recall, s.F1, s.AnswerF1, s.Accuracy, rateText(s.OverAsk), rateText(s.UnderAsk), rateText(s.AskRate))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Kinds) < 2 {
		return nil
	}
	fmt.Fprintln(w, "\nBy kind:")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "kind\titems\tneed a question\task rate\t95 % interval\t")
	for _, k := range r.Kinds {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.3f\t%.3f to %.3f\t\n", strings.TrimSpace(k.Kind), k.Ask.N, k.Needed, k.Ask.Rate, k.Ask.Low, k.Ask.High)
	}
	return t.Flush()
}

func rateText(r *clarify.Rate) string {
	if r == nil {
		return "–"
	}
	return fmt.Sprintf("%.3f", r.Rate)
}
