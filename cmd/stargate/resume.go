package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"stargate/runner/cluster"
)

func resumeCommand() *cobra.Command {
	var t cluster.Connection
	c := &cobra.Command{
		Use:     "resume RUN",
		Short:   "Go on with a run on a cluster that was paused, cancelled or failed",
		Long:    `Go on with a run that was paused, or that ended before its report: cancelled, failed or terminated. What its ledger holds is not done again.`,
		Example: "  stargate resume paper",
		Args:    exactly(1, "the name of a run"),
	}
	c.RunE = oneRun(&t, func(c *cobra.Command, control *cluster.Control, run string) error {
		if err := control.Resume(c.Context(), run); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "run %s goes on\n", run)
		return err
	})
	temporalFlags(c, &t)
	return c
}
