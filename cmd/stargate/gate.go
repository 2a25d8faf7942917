package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"stargate/eval"
	"stargate/eval/gate"
	"stargate/report"
)

// errGate: a run does not meet a requirement.
var errGate = errors.New("the gate stays closed")

func gateCommand() *cobra.Command {
	var requirements []string
	var file, against string
	var list, asJSON bool
	c := &cobra.Command{
		Use:   "gate RUN --require EXPRESSION",
		Short: "Tell whether a run meets requirements, for release checks in CI",
		Long: `Hold a finished run against requirements: expressions over what it measured, with numbers,
names, + - * /, < <= > >= == !=, and, or, not, parentheses, abs, min and max. --list prints
every name with its value; "last" stands for the last model.

With --against RUN the names under "against" are this run less that one, pair by pair.

Exit codes: 0 all requirements are met; 1 a requirement names what the run did not measure,
or the run cannot be read; 2 a requirement or the command line is malformed; 3 a requirement
is not met.`,
		Example: `  stargate gate runs/nano --require 'winrate.m2.lower > 0.5'
  stargate gate runs/new --against runs/old --require 'against.win.last.lower > -0.05' --require 'questions.last.wellformed > 0.99'
  stargate gate runs/nano --list`,
		Args: exactly(1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			texts, err := requirementsOf(requirements, file)
			if err != nil {
				return err
			}
			if len(texts) == 0 && !list {
				return fmt.Errorf("%w: there is nothing to require; give --require, or --list to see the names", errUsage)
			}
			var parsed []gate.Requirement
			for _, t := range texts {
				r, err := gate.Parse(t)
				if err != nil {
					return fmt.Errorf("%w: %w", errUsage, err)
				}
				parsed = append(parsed, r)
			}
			values, err := valuesOf(args[0], against)
			if err != nil {
				return err
			}
			if list {
				return printNames(c.OutOrStdout(), values, asJSON)
			}
			return decide(c.OutOrStdout(), parsed, values, asJSON)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&requirements, "require", nil, "a requirement (may be repeated; all must be met)")
	f.StringVar(&file, "file", "", "file of requirements, one a line; # begins a comment")
	f.StringVar(&against, "against", "", "an earlier run to compare with")
	f.BoolVar(&list, "list", false, "print all names and values instead")
	f.BoolVar(&asJSON, "json", false, "print as JSON")
	return c
}

// requirementsOf puts those of the command line and of a file together.
func requirementsOf(flags []string, file string) ([]string, error) {
	if file == "" {
		return flags, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("requirements: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			flags = append(flags, line)
		}
	}
	return flags, nil
}

func valuesOf(dir, against string) (gate.Values, error) {
	d, err := report.Load(dir)
	if err != nil {
		return nil, err
	}
	v := gate.Of(d.Result)
	if against == "" {
		return v, nil
	}
	before, err := recordsOf(against)
	if err != nil {
		return nil, err
	}
	now, err := recordsOf(dir)
	if err != nil {
		return nil, err
	}
	contrast, err := eval.Compare(before, now, eval.CompareOptions{})
	if err != nil {
		return nil, err
	}
	v.Against(contrast, d.Result.Models[len(d.Result.Models)-1])
	return v, nil
}

func printNames(w io.Writer, v gate.Values, asJSON bool) error {
	if asJSON {
		return printJSON(w, v.List())
	}
	for _, u := range v.List() {
		if _, err := fmt.Fprintf(w, "%s = %v\n", u.Name, u.Value); err != nil {
			return err
		}
	}
	return nil
}

// decide prints every requirement with the values it rests on. An undecided one weighs more
// than a missed one: the run may be good, but nobody measured it.
func decide(w io.Writer, requirements []gate.Requirement, v gate.Values, asJSON bool) error {
	var outcomes []gate.Outcome
	missed := 0
	var undecided error
	for _, r := range requirements {
		o, err := r.Check(v)
		switch {
		case errors.Is(err, gate.ErrSyntax):
			return fmt.Errorf("%w: %w", errUsage, err)
		case err != nil && undecided == nil:
			undecided = err
		case err == nil && !o.Met:
			missed++
		}
		outcomes = append(outcomes, o)
	}
	if asJSON {
		if err := printJSON(w, outcomes); err != nil {
			return err
		}
	} else {
		for _, o := range outcomes {
			verdict := "met       "
			switch {
			case o.Undecided != "":
				verdict = "undecided "
			case !o.Met:
				verdict = "NOT MET   "
			}
			fmt.Fprint(w, verdict, o.Requirement)
			for _, u := range o.Used {
				fmt.Fprintf(w, "   [%s = %v]", u.Name, u.Value)
			}
			fmt.Fprintln(w)
		}
	}
	switch {
	case undecided != nil:
		return undecided
	case missed > 0:
		return fmt.Errorf("%w: %d of %d requirements are not met", errGate, missed, len(requirements))
	}
	return nil
}
