package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stargate/runner/cluster"
)

func statusCommand() *cobra.Command {
	var t cluster.Connection
	var asJSON bool
	c := &cobra.Command{
		Use:   "status RUN",
		Short: "Say how far a run on a cluster is",
		Long: `Say how far a run is that was begun with stargate run --cluster: pairs of every stage, what
workers are doing, what is being tried again and why, and when the stage under way will end if
it goes on as it did.`,
		Example: "  stargate status paper\n  stargate status runs/paper --json",
		Args:    exactly(1, "the name of a run"),
	}
	c.RunE = oneRun(&t, func(c *cobra.Command, control *cluster.Control, run string) error {
		s, err := control.Status(c.Context(), run, time.Now())
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), s)
		}
		return printStatus(c.OutOrStdout(), s)
	})
	temporalFlags(c, &t)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printStatus(w io.Writer, s *cluster.Status) error {
	fmt.Fprintf(w, "%s: %s, since %s\n", s.Run, s.State, s.Started.Local().Format(time.DateTime))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range s.Stages {
		unit := "pairs"
		if r.Total == 1 {
			unit = ""
		}
		fmt.Fprintf(t, "  %s\t%d of %d %s", r.Name, r.Done, r.Total, unit)
		if r.Shards > 0 {
			fmt.Fprintf(t, "\t%d under way or waiting for a worker", r.Shards)
		}
		if r.ETA > 0 {
			fmt.Fprintf(t, "\tabout %s left", r.ETA.Round(time.Second))
		}
		fmt.Fprintln(t)
		for _, d := range r.Doing {
			fmt.Fprintf(t, "    %s\n", d)
		}
		for _, f := range r.Failing {
			fmt.Fprintf(t, "    again: %s\n", f)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if s.Reason != "" {
		fmt.Fprintln(w, s.Reason)
	}
	for _, n := range s.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	return nil
}
