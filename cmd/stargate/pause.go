package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"stargate/runner/cluster"
)

func pauseCommand() *cobra.Command {
	var t cluster.Connection
	c := &cobra.Command{
		Use:   "pause RUN",
		Short: "Keep a run on a cluster from beginning anything new",
		Long: `Keep a run from beginning anything new. Fine-tunes that are under way and shards that were handed
out (run --cluster --window) are finished; stargate resume goes on.`,
		Example: "  stargate pause paper",
		Args:    exactly(1, "the name of a run"),
	}
	c.RunE = oneRun(&t, func(c *cobra.Command, control *cluster.Control, run string) error {
		if err := control.Pause(c.Context(), run); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "run %s is paused; what is under way is finished first\n", run)
		return err
	})
	temporalFlags(c, &t)
	return c
}
