package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
	"stargate/plan"
	"stargate/runner"
)

func auditCommand() *cobra.Command {
	var r remote.Role
	var o remote.AuditOptions
	var timeout time.Duration
	var reference string
	var asJSON bool
	c := &cobra.Command{
		Use:   "audit URL",
		Short: "Check whether a model server's scores can be trusted",
		Long: `Ask a model server what it is and what it can do, and score eight pairs of a chat and an answer
in several ways that have to agree: alone, again, in one request, at once in another order, in a
second way where the server has one, and against what the server said while it drew a text. The
scored tokens have to be the answer's, all of them and nothing else.

A run whose scorer is behind HTTP begins with this audit. The exit code is 0 only if every check
passed; a server that cannot score (llama.cpp, Ollama, chat APIs) fails with the reason.`,
		Example: "  stargate audit http://127.0.0.1:8000\n  stargate audit https://gpu1.example/v1 --model mistral-7b --api-key-env VLLM_KEY --json\n  stargate audit http://gpu1:30000 --server sglang --tokenizer DIR --reference DIR",
		Args:    exactly(1, "the address of a server"),
		RunE: func(c *cobra.Command, args []string) error {
			r.URL, r.Timeout = args[0], remote.Duration(timeout)
			if err := r.Validate(); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			if _, err := r.Header(os.Getenv); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			if reference != "" {
				dir, err := modelDir(reference)
				if err != nil {
					return err
				}
				m, err := runner.OpenModel(dir, 0)
				if err != nil {
					return err
				}
				defer m.Close()
				o.Reference = m
			}
			settings, err := r.Fleet(plan.Scorer, os.Getenv)
			if err != nil {
				return err
			}
			settings.Startup, settings.Tries = 2*time.Second, 3 // somebody is waiting
			servers, err := fleet.New(settings)
			if err != nil {
				return err
			}
			defer servers.Close()
			client, err := remote.Open(c.Context(), r, remote.Options{Name: plan.Scorer, Transport: servers})
			if err != nil {
				return err
			}
			found, err := client.Audit(c.Context(), o)
			if err != nil && !errors.Is(err, remote.ErrAudit) && !errors.Is(err, lm.ErrCannotScore) {
				return err
			}
			if asJSON {
				return errors.Join(printJSON(c.OutOrStdout(), found), err)
			}
			return errors.Join(printAudit(c.OutOrStdout(), found), err)
		},
	}
	f := c.Flags()
	f.StringVar(&r.Model, "model", "", "the model's name (default the only one served)")
	f.StringVar((*string)(&r.API), "api", "openai", "openai or anthropic")
	f.StringVar((*string)(&r.Server), "server", "auto", "auto, vllm, sglang, tgi, trl, openai, stargate, llama.cpp or ollama")
	f.StringVar(&r.APIKeyEnv, "api-key-env", "", "environment variable that holds the API key")
	f.StringVar(&r.Tokenizer, "tokenizer", "", "Hugging Face directory with the model's tokenizer and chat template")
	f.StringVar(&r.Prefix, "prefix", "", "what stands before /chat/completions (default /v1)")
	f.StringVar(&reference, "reference", "", "directory with the same weights, to be scored by the embedded engine and compared")
	f.Float64Var(&o.Tolerance, "tolerance", 0, "how far two scores may differ, in nats per token (default none for stargate serve, 0.02 for others)")
	f.Float64Var(&o.ReferenceTolerance, "reference-tolerance", 0, "the same for --reference (default 0.05)")
	f.DurationVar(&timeout, "timeout", time.Minute, "longest time for one request")
	f.BoolVar(&asJSON, "json", false, "print what was found as JSON")
	return c
}

func printAudit(w io.Writer, a remote.Audit) error {
	f := a.Facts
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	line("server", strings.TrimSpace(string(f.Server)+" "+f.Version))
	line("model", f.Model)
	line("revision", f.Revision)
	if f.MaxLength > 0 {
		line("context", fmt.Sprint(f.MaxLength, " tokens"))
	}
	line("tokens by", f.Encoder)
	line("scores by", strings.Join(f.Scoring, ", "))
	for _, why := range f.Unusable {
		line("not by", why)
	}
	for _, note := range f.Notes {
		line("note", note)
	}
	if len(a.Pairs) > 0 {
		fmt.Fprint(t, "\npair\tprompt\tanswer\tscore\n")
		for _, p := range a.Pairs {
			fmt.Fprintf(t, "%s\t%d\t%d\t%.4f\n", p.Name, p.Prompt, p.Target, p.Sum)
		}
	}
	if len(a.Checks) > 0 {
		fmt.Fprint(t, "\ncheck\tresult\tlargest difference\tallowed\t\n")
		for _, c := range a.Checks {
			largest, allowed := "", ""
			if c.Compared > 0 {
				largest, allowed = fmt.Sprintf("%.4g", c.Largest), fmt.Sprintf("%.4g", c.Allowed)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Name, c.Result, largest, allowed, c.What)
		}
	}
	return t.Flush()
}
