package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"stargate/ledger"
	"stargate/runner"
)

func ledgerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Look into the record of a run's model calls, or copy it between a file and Postgres",
		Long: `A run's ledger holds every finished model call, so that nothing is ever paid for twice.

LEDGER is a run's directory, wherever the run keeps its ledger, the path of a ledger file, or
the address of a schema in a Postgres database: postgres://USER@HOST/DATABASE?search_path=SCHEMA. The password comes from
PGPASSWORD or ~/.pgpass, as for psql.`,
	}
	c.AddCommand(ledgerStatCommand(), ledgerCallCommand(), ledgerCopyCommand())
	return c
}

// ledgerPlace is where a run's directory says, or what was named.
func ledgerPlace(name string) string {
	if strings.Contains(name, "://") {
		return name
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if m, err := runner.ReadManifest(name); err == nil {
			return m.LedgerAt(name)
		}
		return filepath.Join(name, "ledger.db") // of something else than a run, such as a data directory
	}
	return name
}

func ledgerStatCommand() *cobra.Command {
	var asJSON, contents bool
	c := &cobra.Command{
		Use:     "stat LEDGER",
		Short:   "Tell what a ledger holds, how large it is and who is at work on it",
		Example: "  stargate ledger stat runs/nano\n  stargate ledger stat --json 'postgres://ann@db/stargate?search_path=nano'",
		Args:    exactly(1, "one ledger"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			r, err := ledger.OpenReader(ledgerPlace(args[0]))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			out := struct {
				ledger.Stat
				Contents []ledger.Part `json:"contents,omitempty"`
			}{}
			if out.Stat, err = r.Stat(c.Context()); err != nil {
				return err
			}
			if contents {
				if out.Contents, err = r.Contents(c.Context()); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), out)
			}
			if err := printStat(c.OutOrStdout(), out.Stat); err != nil || !contents {
				return err
			}
			return printContents(c.OutOrStdout(), out.Contents)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&contents, "digest", false, "also read everything and print its digests, which are the same for the same run in every store")
	return c
}

func printStat(w io.Writer, s ledger.Stat) error {
	fmt.Fprintf(w, "%s\nrun %s, settings %.12s, schema %d, %s\n\n", s.Place, s.Run, s.Identity, s.Schema, humanize.Bytes(uint64(s.Bytes)))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TABLE\tROWS\tSIZE")
	for _, table := range s.Tables {
		size := ""
		if table.Bytes > 0 {
			size = humanize.Bytes(uint64(table.Bytes))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", table.Name, humanize.Comma(table.Rows), size)
	}
	if s.Moved > 0 {
		fmt.Fprintf(t, "\t%s calls have their bodies in shards\n", humanize.Comma(s.Moved))
	}
	fmt.Fprintln(t, "\nROLE\tCALLS\tTOKENS IN\tTOKENS OUT\tFAILED FOR GOOD\tOWED")
	sum := func(m map[string]int64) (n int64) {
		for _, v := range m {
			n += v
		}
		return n
	}
	for _, r := range s.Roles {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\n", r.Role, humanize.Comma(r.Made), humanize.Comma(r.TokensIn), humanize.Comma(r.TokensOut), sum(r.Errors), sum(r.Owed))
	}
	if len(s.Workers) > 0 {
		fmt.Fprintln(t, "\nWORKER\tHOST\tPROCESS\tSINCE\tAT WORK ON\tSTATE")
		for _, w := range s.Workers {
			state := "alive"
			if !w.Alive {
				state = "dead since " + w.Expires.Format(time.DateTime)
			}
			fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%d\t%s\n", w.ID, w.Host, w.PID, w.Opened.Format(time.DateTime), w.Claims, state)
		}
	}
	return t.Flush()
}

func printContents(w io.Writer, parts []ledger.Part) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nPART\tROWS\tSHA-256")
	for _, p := range parts {
		fmt.Fprintf(t, "%s\t%s\t%s\n", p.Name, humanize.Comma(p.Rows), p.Digest)
	}
	return t.Flush()
}

func ledgerCopyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy a ledger, between a file and Postgres for example",
		Long: `Copy everything a ledger holds to another place, then compare counts and digests of the two.

FROM may be in use; the copy is of the moment it began. TO has to be empty, or to hold an
earlier copy: a copy that was stopped goes on where it was when the command is repeated.`,
		Example: "  stargate ledger copy runs/nano 'postgres://ann@db/stargate?search_path=nano'\n  stargate ledger copy 'postgres://ann@db/stargate?search_path=nano' nano.db",
		Args:    exactly(2, "two ledgers, FROM and TO"),
		RunE: func(c *cobra.Command, args []string) error {
			parts, err := copyLedger(c.Context(), c.ErrOrStderr(), ledgerPlace(args[0]), ledgerPlace(args[1]))
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), parts)
			}
			return printContents(c.OutOrStdout(), parts)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the parts as JSON")
	return c
}

func copyLedger(ctx context.Context, progress io.Writer, from, to string) (_ []ledger.Part, err error) {
	r, err := ledger.OpenReader(from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	id, err := r.Identity(ctx)
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(to, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	told := time.Now()
	return ledger.Copy(ctx, r, l, func(c ledger.Copied) {
		switch {
		case c.Part == "verify":
			fmt.Fprintln(progress, "comparing the two")
		case time.Since(told) > time.Second:
			told = time.Now()
			fmt.Fprintf(progress, "%s: %s rows\n", c.Part, humanize.Comma(c.Rows))
		}
	})
}
