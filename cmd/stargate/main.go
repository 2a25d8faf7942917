// Command stargate teaches a language model to ask clarifying questions, and proves that
// it did.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is the release; a build from a checkout adds the commit.
const version = "0.1.0"

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitGate        = 3 // a run does not meet a requirement
	exitInterrupted = 130
)

// errUsage marks errors of the command line itself.
var errUsage = errors.New("usage")

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole program with its surroundings as parameters, for tests.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:   "stargate",
		Short: "Teach a language model to ask clarifying questions, and prove that it did",
		Long: `stargate teaches a language model to ask clarifying questions (STaR-GATE, 2024) and measures
what it learned. A Questioner talks to a Roleplayer who holds a persona the Questioner cannot
see; the conversations that make a gold response most probable under the base model are kept,
the base model is fine-tuned on them, and the whole is repeated.

Without options "stargate run" does all of it on a small built-in model in minutes.`,
		Example:       "  stargate run\n  stargate run --experiment nano+gold-response --seed 7\n  stargate report runs/nano\n  stargate chat runs/nano",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w; see %s --help", errUsage, err, c.CommandPath())
	})
	root.AddCommand(runCommand(), evalCommand(), reportCommand(), chatCommand(), nanoCommand(), generateCommand(), scoreCommand(), modelsCommand(), experimentsCommand(), versionCommand())
	audit := auditCommand()
	audit.AddCommand(auditDataCommand())
	root.AddCommand(serveCommand(), audit, ablateCommand(), exportCommand())
	root.AddCommand(tuneCommand(), ledgerCommand())
	root.AddCommand(compareCommand(), gateCommand(), rateCommand(), clarifyCommand())
	root.AddCommand(dataCommand())
	root.AddCommand(planCommand())
	root.AddCommand(workerCommand(), statusCommand(), pauseCommand(), resumeCommand(), cancelCommand())
	root.AddCommand(trainersCommand())
	err := unknown(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "stopped; everything that was finished is kept. Repeat the same command to go on.")
		return exitInterrupted
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "stargate:", err)
		return exitUsage
	case errors.Is(err, errGate):
		fmt.Fprintln(stderr, "stargate:", err)
		return exitGate
	}
	fmt.Fprintln(stderr, "stargate:", err)
	if full(err) {
		fmt.Fprintln(stderr, "The disk is full: free some space and repeat the same command. Everything that was finished is kept.")
	}
	return exitFailed
}

// full tells a full disk or quota whose error does not say what to do about it.
func full(err error) bool {
	return (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !strings.Contains(err.Error(), "free some space")
}

// unknown fails where a word stands in the place of a group's command. Cobra shows the group's
// help then, as if nothing were wrong.
func unknown(root *cobra.Command, args []string) error {
	c, rest, err := root.Find(args)
	if err != nil || c.Runnable() { // cobra's own errors come later
		return nil
	}
	if i := slices.IndexFunc(rest, func(a string) bool { return !strings.HasPrefix(a, "-") }); i >= 0 {
		return fmt.Errorf("%w: %s has no command %q; see %s --help", errUsage, c.CommandPath(), rest[i], c.CommandPath())
	}
	return nil
}

// exactly is cobra.ExactArgs with an error that says what was wanted.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%w: %s wants %s; see %s --help", errUsage, c.CommandPath(), what, c.CommandPath())
		}
		return nil
	}
}

func buildVersion() string {
	v := version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += "+" + s.Value[:12]
		}
	}
	return v
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "stargate", buildVersion())
			return err
		},
	}
}
