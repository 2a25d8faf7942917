package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"stargate"
	"stargate/runner"
)

// printPair prints what the ledger of a run holds of a pair of an iteration.
func printPair(c *cobra.Command, run, key string, iteration int, asJSON bool) error {
	recorded, err := runner.ReadIteration(c.Context(), run, iteration)
	if err != nil {
		return err
	}
	it := recorded.Iteration
	w := c.OutOrStdout()
	if key == "list" {
		for _, of := range it.Candidates {
			if _, err := fmt.Fprintln(w, of.Pair.Key()); err != nil {
				return err
			}
		}
		return nil
	}
	i := slices.IndexFunc(it.Candidates, func(of stargate.Candidates) bool { return of.Pair.Key() == key })
	if i < 0 {
		return fmt.Errorf("%w: iteration %d of %s has no pair %s; --pair list prints its %d keys", errUsage, it.N, run, key, len(it.Candidates))
	}
	if asJSON {
		return printJSON(w, it.Candidates[i])
	}
	return printCandidates(w, it.N, it.Candidates[i])
}

// printCandidates prints the conversations of a pair, those that were chosen first, then by
// score; the dropped last.
func printCandidates(w io.Writer, n int, of stargate.Candidates) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, iteration %d\ntask     %s\npersona  %s: %s\ngold     %s\n", of.Pair.Key(), n, of.Pair.Task.Text, of.Pair.Persona.Name, of.Pair.Persona.Text, of.Pair.Gold)
	order := slices.Clone(of.Best)
	var rest []int
	for i := range of.Scored {
		if !slices.Contains(order, i) {
			rest = append(rest, i)
		}
	}
	slices.SortStableFunc(rest, func(a, b int) int {
		if of.Scored[a].LogProb > of.Scored[b].LogProb {
			return -1
		}
		return 1
	})
	for _, i := range append(order, rest...) {
		chosen := ""
		if slices.Contains(of.Best, i) {
			chosen = ", selected"
		}
		fmt.Fprintf(&b, "\n#%d  %.2f nats%s\n", of.Scored[i].Sample+1, of.Scored[i].LogProb, chosen)
		turnsText(&b, of.Scored[i].Turns)
	}
	for _, s := range of.Dropped {
		fmt.Fprintf(&b, "\n#%d  dropped: %s\n", s.Sample+1, s.Outcome)
		turnsText(&b, s.Turns)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func turnsText(b *strings.Builder, turns []stargate.Turn) {
	for _, t := range turns {
		fmt.Fprintf(b, "  Q  %s\n  A  %s\n", t.Question, t.Answer)
	}
}
