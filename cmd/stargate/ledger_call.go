package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"stargate/ledger"
)

func ledgerCallCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "call LEDGER KEY",
		Short: "Show one model call, and the traces in which it was made",
		Long: `Show what a model answered, or how it scored, to the call with this key (64 hexadecimal
digits). A trace's span has the key of its call as the attribute stargate.ledger.key.

In the other direction, a call that was traced as it was made (OTEL_EXPORTER_OTLP_ENDPOINT was
set, and the sampler took it) names its traces and spans here, attempts that failed included.`,
		Example: "  stargate ledger call runs/nano 3b1f…",
		Args:    exactly(2, "a ledger and the key of a call"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			key, err := ledger.ParseKey(args[1])
			if err != nil {
				return err
			}
			r, err := ledger.OpenReader(ledgerPlace(args[0]))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			call, found, err := r.Call(c.Context(), key)
			if err != nil {
				return err
			}
			spans, err := r.Spans(c.Context(), key)
			if err != nil {
				return err
			}
			if !found && len(spans) == 0 {
				return fmt.Errorf("ledger %s has no call with key %s", args[0], key)
			}
			shown := showCall(call, found, key, spans)
			if asJSON {
				return printJSON(c.OutOrStdout(), shown)
			}
			return shown.print(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// shownCall is a call for people and programs.
type shownCall struct {
	Key       string   `json:"key"`
	State     string   `json:"state"` // settled; failed for good; owed: no attempt succeeded yet
	Role      string   `json:"role,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	Model     string   `json:"model,omitempty"` // digest of the weights
	TokensIn  int      `json:"tokens_in"`
	TokensOut int      `json:"tokens_out"`
	Finish    string   `json:"finish,omitempty"`
	Text      *string  `json:"text,omitempty"`    // of a generation
	LogProb   *float64 `json:"logprob,omitempty"` // of a score, in nats, summed over the target's tokens
	Error     string   `json:"error,omitempty"`
	Traces    []string `json:"traces"` // TRACE-SPAN in hexadecimal
}

func showCall(c ledger.Call, found bool, key ledger.Key, spans []ledger.Span) shownCall {
	out := shownCall{Key: key.String(), State: "owed", Traces: []string{}}
	for _, s := range spans {
		out.Traces = append(out.Traces, s.String())
	}
	if !found {
		return out
	}
	out.State, out.Role, out.Kind, out.Model = "settled", c.Role, string(c.Kind), c.Model
	switch {
	case c.Err != nil:
		out.State, out.Error = "failed for good", c.Err.Error()
	case c.Kind == ledger.Score:
		out.LogProb = &c.LogProb.Sum
		out.TokensIn, out.TokensOut = c.LogProb.Usage.PromptTokens, c.LogProb.Usage.CompletionTokens
	default:
		out.Text, out.Finish = &c.Completion.Text, string(c.Completion.Finish)
		out.TokensIn, out.TokensOut = c.Completion.Usage.PromptTokens, c.Completion.Usage.CompletionTokens
	}
	return out
}

func (s shownCall) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	line("key", s.Key)
	line("state", s.State)
	line("role", s.Role)
	line("kind", s.Kind)
	line("model", s.Model)
	if s.Text != nil || s.LogProb != nil {
		line("tokens", fmt.Sprintf("%d in, %d out", s.TokensIn, s.TokensOut))
	}
	line("finish", s.Finish)
	if s.LogProb != nil {
		line("log-prob", fmt.Sprintf("%.4f nats", *s.LogProb))
	}
	line("error", s.Error)
	for _, trace := range s.Traces {
		line("trace-span", trace)
	}
	if err := t.Flush(); err != nil || s.Text == nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", *s.Text)
	return err
}
