package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stargate/report"
	"stargate/runner"
	"stargate/runner/cluster"
)

// onCluster are the flags of stargate run that have workers do it.
type onCluster struct {
	use    bool
	detach bool
	plan   cluster.Plan
	at     cluster.Connection
}

func (n *onCluster) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&n.use, "cluster", false, "let workers do it (stargate worker), through a Temporal server; needs --ledger")
	f.BoolVar(&n.detach, "detach", false, "with --cluster: begin the run and do not wait for it")
	f.StringVar(&n.plan.Queues.Pool, "pool", cluster.DefaultPool, "with --cluster: pool of workers")
	f.IntVar(&n.plan.Layout.Shard, "shard", 0, "with --cluster: pairs in a shard (default 1 to 100, so that there are 48 shards or more); changes no result")
	f.IntVar(&n.plan.Layout.Window, "window", 0, "with --cluster: shards handed out at a time: as many as all workers together do, at least; a pause waits for them (default 256)")
	f.DurationVar(&n.plan.Patience, "patience", 0, "with --cluster: how long a worker may be silent before others do its pairs; four times as long for fine-tunes (default 45s)")
	f.BoolVar(&n.plan.Checkpoint, "pin-checkpoints", false, "with --cluster: conversations only on workers that have the asking policy (stargate worker --checkpoint; stargate status says which is waited for)")
	f.BoolVar(&n.plan.Attributes, "search-attributes", false, "with --cluster: set the search attributes StargateRun (Keyword), StargateStage (Keyword) and StargatePairs (Int), and register them if that is allowed here; else an operator does, with temporal operator search-attribute create")
	temporalFlags(c, &n.at)
}

// run begins the run, or finds it under way, and waits for its report.
func (n *onCluster) run(c *cobra.Command, o runner.Options, asJSON bool) error {
	ctx := c.Context()
	o.Version = buildVersion()
	temporal, err := n.at.Dial(ctx) // before the first call that costs anything
	if err != nil {
		return err
	}
	defer temporal.Close()
	if err := expect(ctx, c.ErrOrStderr(), o); err != nil {
		return err
	}
	dir, shared, err := runner.Share(ctx, o)
	if err != nil {
		return err
	}
	p := n.plan
	p.Run, p.Identity, p.Iterations = runName(dir), shared.Manifest.Identity, shared.Manifest.Experiment.Algorithm.Iterations
	p.A, p.B, p.Test, p.Queues.Base = shared.A, shared.B, shared.Test, shared.Manifest.Model
	layout := cluster.DefaultLayout(min(p.A, p.Test))
	p.Layout = cluster.Layout{Shard: cmp.Or(p.Layout.Shard, layout.Shard), Window: cmp.Or(p.Layout.Window, layout.Window), Group: layout.Group, Children: layout.Children}
	control := cluster.NewControl(temporal, n.at.Data())
	start := control.Start
	if p.Attributes {
		registered, err := n.at.RegisterAttributes(ctx, temporal)
		if err != nil {
			return err
		}
		if registered {
			start = control.StartRegistered
		}
	}
	switch err := start(ctx, p); {
	case errors.Is(err, cluster.ErrRunning): // repeated: watch it
	case err != nil:
		return err
	}
	if n.detach {
		_, err := fmt.Fprintf(c.OutOrStdout(), "run %s is begun; see stargate status %s\n", p.Run, p.Run)
		return err
	}
	out, err := follow(c, control, p.Run)
	if err != nil {
		return err
	}
	if err := runner.FetchReport(ctx, o.Store, dir, out); err != nil {
		return err
	}
	if o.Store == "" {
		_, err := fmt.Fprintf(c.OutOrStdout(), "finished; the report is in %s of the worker that made it\n", out.Place)
		return err
	}
	d, err := report.Load(dir)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c.OutOrStdout(), d.Result)
	}
	if err := report.Text(c.OutOrStdout(), d.Result); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "\nOpen %s/%s to see every conversation.\n", dir, report.PageFile)
	return err
}

// askEvery is how often a run is asked how far it is.
const askEvery = 2 * time.Second

// follow shows how far a run is until it is over. Interrupting it does not touch the run.
func follow(c *cobra.Command, control *cluster.Control, run string) (runner.Reported, error) {
	ctx := c.Context()
	bars := newProgress(c.ErrOrStderr())
	asking, stop := context.WithCancel(ctx)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		tick := time.NewTicker(askEvery)
		defer tick.Stop()
		for {
			select {
			case <-asking.Done():
				return
			case <-tick.C:
			}
			s, err := control.Status(asking, run, time.Now())
			if err != nil || len(s.Stages) == 0 { // the result is waited for elsewhere
				continue
			}
			last := s.Stages[len(s.Stages)-1]
			bars.observe(runner.Event{Stage: last.Name, Done: last.Done, Total: last.Total})
		}
	}()
	out, err := control.Wait(ctx, run)
	stop()
	<-asked
	bars.close()
	if ctx.Err() != nil {
		fmt.Fprintf(c.ErrOrStderr(), "the run goes on without this command: stargate status %s; stargate cancel %s ends it\n", run, run)
	}
	return out, err
}
