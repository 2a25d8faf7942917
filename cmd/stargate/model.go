package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/runner"
)

func generateCommand() *cobra.Command {
	var dir string
	var s lm.Sampling
	var asJSON bool
	c := &cobra.Command{
		Use:     "generate [TEXT]",
		Short:   "Let a model continue a one-message chat (TEXT or standard input)",
		Example: "  stargate generate 'My name is Ada.'\n  stargate generate --model runs/nano/models/m2 --temperature 0.9 --seed 3 --json < chat.txt",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := argumentOrInput(c, args)
			if err != nil {
				return err
			}
			if dir, err = modelDir(dir); err != nil {
				return err
			}
			m, err := runner.OpenModel(dir, 0)
			if err != nil {
				return err
			}
			defer m.Close()
			out, err := m.Generate(c.Context(), lm.Chat{{Role: lm.User, Content: text}}, s)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), out)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), out.Text)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "model", "", "Hugging Face directory, or ORG/NAME that was pulled (default the built-in model)")
	f.Float64Var(&s.Temperature, "temperature", 0, "0 is greedy")
	f.Float64Var(&s.TopP, "top-p", 0, "nucleus mass; 0 is off")
	f.IntVar(&s.TopK, "top-k", 0, "most probable tokens kept; 0 is off")
	f.IntVar(&s.MaxTokens, "max-tokens", 128, "most tokens to draw")
	f.Uint64Var(&s.Seed, "seed", 0, "names the draw")
	f.BoolVar(&asJSON, "json", false, "print the completion with tokens and usage")
	return c
}

func scoreCommand() *cobra.Command {
	var dir, target string
	var asJSON bool
	c := &cobra.Command{
		Use:     "score [TEXT] --target TEXT",
		Short:   "Log-probability of a given reply to a one-message chat",
		Example: "  stargate score 'My name is Ada.' --target 'Hello Ada.'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := argumentOrInput(c, args)
			if err != nil {
				return err
			}
			if target == "" {
				return fmt.Errorf("%w: --target is missing: the reply to score", errUsage)
			}
			if dir, err = modelDir(dir); err != nil {
				return err
			}
			m, err := runner.OpenModel(dir, 0)
			if err != nil {
				return err
			}
			defer m.Close()
			lp, err := m.LogProb(c.Context(), lm.Chat{{Role: lm.User, Content: text}}, target)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), lp)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%.4f nats, %d tokens, %.4f per token\n", lp.Sum, len(lp.Tokens), lp.Mean())
			return err
		},
	}
	c.Flags().StringVar(&dir, "model", "", "Hugging Face directory, or ORG/NAME that was pulled (default the built-in model)")
	c.Flags().StringVar(&target, "target", "", "the reply to score")
	c.Flags().BoolVar(&asJSON, "json", false, "print the score with its tokens")
	return c
}

var _ lm.Scorer = (*local.Model)(nil)

func argumentOrInput(c *cobra.Command, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	data, err := io.ReadAll(c.InOrStdin())
	if err != nil {
		return "", err
	}
	if text := strings.TrimSpace(string(data)); text != "" {
		return text, nil
	}
	return "", fmt.Errorf("%w: no text: give it as an argument or on standard input", errUsage)
}
