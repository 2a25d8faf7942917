package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"stargate"
	"stargate/lm"
	"stargate/prompt"
	"stargate/runner"
)

func chatCommand() *cobra.Command {
	var name, user, task string
	var turns int
	var seed uint64
	c := &cobra.Command{
		Use:     "chat [RUN]",
		Short:   "Talk to a model of a run: it asks, you answer, it responds",
		Long:    "Talk to a model of a run. It asks a few questions about your task, then responds. Without a\nrun directory the untaught built-in model asks.",
		Example: "  stargate chat runs/nano\n  stargate chat runs/nano --model m1 --turns 2",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			e, err := runner.LoadExperiment("nano")
			if err != nil {
				return err
			}
			dir, prompts := "", ""
			if len(args) == 1 {
				m, err := runner.ReadManifest(args[0])
				if err != nil {
					return err
				}
				e, prompts = m.Experiment, m.Source.PromptsDir
				if dir, err = modelOf(args[0], name, m.Source.ModelDir); err != nil {
					return err
				}
			}
			set, err := runner.LoadPrompts(e.Prompts, prompts)
			if err != nil {
				return err
			}
			m, err := runner.OpenModel(dir, 0)
			if err != nil {
				return err
			}
			defer m.Close()
			cfg := e.Algorithm
			cfg.Seed = seed
			return converse(c, m, set, cfg, user, task, turns)
		},
	}
	c.Flags().StringVar(&name, "model", "", "model of the run: m0, m1, … (default the last)")
	c.Flags().StringVar(&user, "name", "", "your name (asked for if missing)")
	c.Flags().StringVar(&task, "task", "", "your task (asked for if missing)")
	c.Flags().IntVar(&turns, "turns", 3, "questions before the response")
	c.Flags().Uint64Var(&seed, "seed", 0, "names the draws")
	return c
}

// modelOf is the directory of a run's model, "" for the built-in m0.
func modelOf(run, name, base string) (string, error) {
	if name == "m0" {
		return base, nil
	}
	found, err := filepath.Glob(filepath.Join(run, "models", "m*"))
	if err != nil {
		return "", err
	}
	if name == "" {
		if len(found) == 0 {
			return "", fmt.Errorf("%s has no trained model yet; choose --model m0", run)
		}
		return found[len(found)-1], nil
	}
	dir := filepath.Join(run, "models", name)
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("%s has no model %q: %w", run, name, err)
	}
	return dir, nil
}

// converse is one conversation on standard input and output.
func converse(c *cobra.Command, m lm.Generator, prompts *prompt.Set, cfg stargate.Config, user, task string, turns int) error {
	in, out := bufio.NewReader(c.InOrStdin()), c.OutOrStdout()
	read := func(label string) (string, error) {
		for {
			fmt.Fprint(out, label)
			line, err := in.ReadString('\n')
			if text := strings.TrimSpace(line); text != "" {
				return text, nil
			}
			if errors.Is(err, io.EOF) {
				return "", fmt.Errorf("%w: the input ended before the conversation", errUsage)
			}
			if err != nil {
				return "", err
			}
		}
	}
	var err error
	if user == "" {
		if user, err = read("Your name: "); err != nil {
			return err
		}
	}
	if task == "" {
		if task, err = read("Your task: "); err != nil {
			return err
		}
	}
	q := stargate.NewQuestioner(m, prompts, cfg)
	t := stargate.Task{ID: "chat", Text: task}
	var so []stargate.Turn
	for k := range turns {
		question, err := q.Ask(c.Context(), user, t, so, stargate.Seed(cfg.Seed, "chat", k))
		if err != nil {
			return err
		}
		fmt.Fprintln(out, question.Text)
		answer, err := read("> ")
		if err != nil {
			return err
		}
		so = append(so, stargate.Turn{Question: question.Text, Answer: answer})
	}
	response, err := q.Respond(c.Context(), user, t, so)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "\n"+response.Text)
	return err
}
