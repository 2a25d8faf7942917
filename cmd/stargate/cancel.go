package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"stargate/runner/cluster"
)

func cancelCommand() *cobra.Command {
	var t cluster.Connection
	c := &cobra.Command{
		Use:     "cancel RUN",
		Short:   "End a run on a cluster",
		Long:    `End a run: its workers stop what they do, programs that train included. Nothing finished is lost, and stargate resume goes on with it.`,
		Example: "  stargate cancel paper",
		Args:    exactly(1, "the name of a run"),
	}
	c.RunE = oneRun(&t, func(c *cobra.Command, control *cluster.Control, run string) error {
		if err := control.Cancel(c.Context(), run); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "run %s is being cancelled\n", run)
		return err
	})
	temporalFlags(c, &t)
	return c
}
