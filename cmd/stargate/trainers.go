package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"stargate/trainer/command"
)

func trainersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trainers",
		Short: "List the training programs that there are templates for",
		Long: `List the templates for training programs that an experiment can name, with how each learns
which tokens to train on. A template is a directory: copy one to make your own of it, and name
its path where a built-in one is named.`,
		Example: "  stargate trainers\n  stargate trainers copy axolotl my-axolotl",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, name := range command.Templates() {
				t, err := command.OpenTemplate(name)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%s\n  %s\n  Mask: %s\n", name, t.About, t.Mask); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.AddCommand(&cobra.Command{
		Use: "copy NAME DIR", Short: "Copy a template's files", Args: exactly(2, "a template's name and a new directory"),
		RunE: func(_ *cobra.Command, args []string) error { return command.CopyTemplate(args[0], args[1]) },
	})
	return c
}
