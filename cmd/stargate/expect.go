package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"stargate/plan"
	"stargate/runner"
)

// expect says what a run on servers is likely to take, before its first call, and fails where
// its limits cannot even pay for the beginning. Nobody is asked anything, and nothing waits.
func expect(ctx context.Context, w io.Writer, o runner.Options) error {
	x, err := runner.Expect(ctx, o)
	if x == nil || err != nil {
		return err
	}
	if err := x.Err(); err != nil {
		return err
	}
	fmt.Fprintln(w, "What this run is likely to take (stargate plan --pilot N measures instead of assuming):")
	if err := plan.Text(w, x.Forecast); err != nil {
		return err
	}
	if len(x.Spent) > 0 {
		fmt.Fprintln(w, "Made by earlier sessions, and not asked again:")
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, role := range slices.Sorted(maps.Keys(x.Spent)) {
			s := x.Spent[role]
			fmt.Fprintf(t, "%s\t%d calls\t%d tokens in\t%d out\t\n", role, s.Calls, s.TokensIn, s.TokensOut)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if warning := x.Warning(); warning != "" {
		_, err = fmt.Fprintln(w, "Warning:", warning)
	}
	return err
}
