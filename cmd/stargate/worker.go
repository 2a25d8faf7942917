package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"stargate/runner"
	"stargate/runner/cluster"
)

func workerCommand() *cobra.Command {
	var (
		t          cluster.Connection
		o          cluster.WorkerOptions
		at         runner.Options // ledger and store
		join       runner.JoinOptions
		roles      []string
		experiment string
		current    bool
		metrics    string
	)
	c := &cobra.Command{
		Use:   "worker",
		Short: "Do parts of runs that were begun with stargate run --cluster",
		Long: `Take parts of runs from a Temporal server and do them: conversations and scores for some
pairs, the calls of evaluations, fine-tunes, reports, or the workflows that put these together.
A worker serves all runs with the base model that it reaches: the one of --experiment and
--model. What it finishes is in the ledger on Postgres, so that it can be killed at any moment.

Roles: flow (workflows; needs nothing but Temporal), converse, evaluate, train, report. Give
GPU hosts converse or train, and leave flow and report to a small machine. Interrupted with
Ctrl-C or SIGTERM, a worker hands back what it has under way.`,
		Example: `  stargate worker --ledger postgres://stargate@db/stargate --store s3://bucket/runs
  stargate worker --roles flow,report --ledger ... --store ...
  stargate worker --roles train --experiment servers.yaml --ledger ... --store ...`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			ctx := c.Context()
			storageOf(&at)
			if at.Ledger == "" {
				return fmt.Errorf("%w: a worker needs --ledger, the Postgres database of its runs", errUsage)
			}
			if o.Roles, err = cluster.ParseRoles(roles); err != nil {
				return fmt.Errorf("%w: --roles: %w", errUsage, err)
			}
			if join.Source.ModelDir, err = modelDir(join.Source.ModelDir); err != nil {
				return err
			}
			if o.Queues.Base, err = runner.BaseDigest(ctx, experiment, join.Source); err != nil {
				return err
			}
			if join.Work, err = filepath.Abs(join.Work); err != nil {
				return err
			}
			join.Ledger, join.Store = at.Ledger, at.Store
			stop, err := watch(c, metrics, &at)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stop()) }()
			join.Telemetry = at.Telemetry
			if current && o.Deployment == "" {
				return fmt.Errorf("%w: --current is of a --deployment", errUsage)
			}
			if o.Deployment != "" && o.Build == "" {
				o.Build = buildVersion()
			}
			for _, r := range o.Roles {
				if r != cluster.RoleFlow {
					join.Duties = append(join.Duties, runner.Duty(r)) // the same words
				}
			}
			o.Open = func(ctx context.Context, run, identity string) (cluster.Part, error) {
				return runner.Join(ctx, join, run, identity)
			}
			temporal, err := t.Dial(ctx)
			if err != nil {
				return err
			}
			defer temporal.Close()
			open, end := context.WithCancel(context.WithoutCancel(ctx)) // runs are closed after the last activity
			defer end()
			w, err := cluster.NewWorker(open, temporal, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "worker for %s, base model %.12s; stop it with Ctrl-C\n", strings.Join(names(o.Roles), ", "), o.Queues.Base)
			work, leave := context.WithCancel(ctx)
			defer leave()
			made := make(chan error, 1)
			go func() {
				var err error
				if current {
					if err = cluster.MakeCurrent(work, temporal, o.Deployment, o.Build); err != nil {
						leave()
					}
				}
				made <- err
			}()
			err = w.Run(work)
			leave()
			if failed := <-made; ctx.Err() == nil {
				err = errors.Join(err, failed)
			}
			if ctx.Err() != nil && err == nil {
				return ctx.Err()
			}
			return err
		},
	}
	f := c.Flags()
	temporalFlags(c, &t)
	storageFlags(c, &at)
	metricsFlag(c, &metrics)
	f.StringSliceVar(&roles, "roles", nil, "what to do, of flow, converse, evaluate, train and report (default all)")
	f.StringVar(&o.Queues.Pool, "pool", cluster.DefaultPool, "first part of the task queues' names: runs of one pool are done by its workers")
	f.StringVar(&experiment, "experiment", "nano", "experiment whose base model this worker reaches")
	f.StringVar(&join.Source.ModelDir, "model", "", "directory of the base model here (default the experiment's, or the built-in one)")
	f.StringVar(&join.Source.Data, "data", "", "the runs' data here, if not in the same place as where they were begun")
	f.StringVar(&join.Source.WorldFile, "world", "", "world file here, likewise")
	f.StringVar(&join.Source.PromptsDir, "prompts", "", "directory of templates here, likewise")
	f.StringVar(&join.Work, "work", "work", "directory for the files of runs; without --store all workers must see the same")
	f.IntVar(&join.Workers, "workers", 0, "processors for the embedded engine (default all); changes no result")
	f.IntVar(&o.Shards, "shards", 2, "shards at a time, for each of the roles converse and evaluate")
	f.IntVar(&o.Steps, "steps", 1, "fine-tunes and reports at a time")
	f.StringSliceVar(&o.Checkpoints, "checkpoint", nil, "policy that this worker has, as NAME-DIGEST (first 12 digits), for runs with --pin-checkpoints; stargate status says which is waited for")
	f.StringVar(&o.Deployment, "deployment", "", "make it a worker of this versioned deployment: runs stay with the build that began them")
	f.BoolVar(&current, "current", false, "have new runs begin with this build of the deployment; else an operator says so (temporal worker deployment set-current-version)")
	f.StringVar(&o.Build, "build", "", "build ID in the deployment (default this program's version)")
	f.DurationVar(&o.Stop, "grace", 0, "time for activities to end when the worker stops (default 20s)")
	return c
}

func names(roles []cluster.Role) (out []string) {
	for _, r := range roles {
		out = append(out, string(r))
	}
	return out
}
