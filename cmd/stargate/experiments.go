package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"stargate/experiment"
)

func experimentsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "experiments", Short: "List the experiments and ablations that come with the program", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, part := range []struct {
				title string
				names []string
			}{{"Experiments", experiment.Names()}, {"Ablations, laid over an experiment with '+'", experiment.Ablations()}} {
				fmt.Fprintln(c.OutOrStdout(), part.title+":")
				for _, n := range part.names {
					h, err := experiment.Describe(n)
					if err != nil {
						return err
					}
					fmt.Fprintf(c.OutOrStdout(), "  %-24s %s\n", n, h.About)
				}
			}
			return nil
		},
	}
}
