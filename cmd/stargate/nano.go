package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"stargate/nano"
	"stargate/runner"
)

func nanoCommand() *cobra.Command {
	c := &cobra.Command{Use: "nano", Short: "Make and measure models of a closed world"}
	c.AddCommand(pretrainCommand(), measureCommand())
	return c
}

func pretrainCommand() *cobra.Command {
	var o nano.PretrainOptions
	var world string
	c := &cobra.Command{
		Use:   "pretrain --out DIR",
		Short: "Pre-train tokenizer and base model of a world",
		Long: `Pre-train a tokenizer and a base model on text generated from a world, in which the model
learns to play every role: to answer from a persona, to respond with what it was told, and
to ask about anything. The result is a Hugging Face directory for stargate run --model.`,
		Example: "  stargate nano pretrain --out model\n  stargate nano pretrain --world mine.yaml --out model",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Out == "" {
				return fmt.Errorf("%w: --out is missing: the directory to make", errUsage)
			}
			var err error
			if o.World, err = runner.LoadWorld(world); err != nil {
				return err
			}
			o.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			return nano.Pretrain(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&world, "world", "", "world file (default the built-in world)")
	f.StringVar(&o.Out, "out", "", "directory of the model")
	f.Uint64Var(&o.Seed, "seed", 0, "names weights and corpus (0 = 1)")
	f.IntVar(&o.Steps, "steps", 0, "optimiser steps (0 = those of the built-in model)")
	f.IntVar(&o.Workers, "workers", 0, "processors to use (default all); changes no result")
	return c
}

func measureCommand() *cobra.Command {
	var dir, world string
	var asJSON bool
	var o nano.MeasureOptions
	c := &cobra.Command{
		Use:     "measure",
		Short:   "What a base model can do before any self-play",
		Example: "  stargate nano measure\n  stargate nano measure --world mine.yaml --model model --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := runner.LoadWorld(world)
			if err != nil {
				return err
			}
			set, err := runner.LoadPrompts("nano", "")
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
			a, err := nano.Measure(c.Context(), m, w, set, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), a)
			}
			return a.Print(c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&world, "world", "", "world file (default the built-in world)")
	c.Flags().StringVar(&dir, "model", "", "Hugging Face directory, or ORG/NAME that was pulled (default the built-in model)")
	c.Flags().Uint64Var(&o.Seed, "seed", 0, "names the split and all draws")
	c.Flags().BoolVar(&asJSON, "json", false, "print numbers as JSON")
	return c
}
