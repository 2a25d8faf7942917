package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"stargate/runner"
)

// Part is an open run of which a worker does a part. [runner.Part] is one. Every method first
// reads what the ledger holds, and calls models only for what is missing.
type Part interface {
	// Converse does lines 3 to 5 of iteration n for the pairs from..to-1 of its split.
	Converse(ctx context.Context, n int, asks runner.Policy, from, to int, progress func(pairs int)) (runner.Tally, error)
	// Train makes the policy of iteration n from what asked's conversations came to.
	Train(ctx context.Context, n int, asked runner.Policy, chosen runner.Tally, progress func(note string)) (runner.Policy, error)
	// Evaluate makes the calls of the evaluation for the pairs from..to-1 of the test split.
	Evaluate(ctx context.Context, policies []runner.Policy, from, to int, progress func(pairs int)) (runner.Tally, error)
	// Report makes the report.
	Report(ctx context.Context, progress func(note string)) (runner.Reported, error)
	// Usable is nil while the part can work. Else the next activity opens the run anew.
	Usable() error
	Close() error
}

var _ Part = (*runner.Part)(nil)

// Beat is what a heartbeat tells: how far an activity is.
type Beat struct {
	Pairs int    `json:"pairs,omitempty"`
	Of    int    `json:"of,omitempty"`
	Note  string `json:"note,omitempty"`
}

// beatEvery is how often a worker tells that it is alive. The SDK holds heartbeats back for
// some seconds in any case (see [Worker]).
const beatEvery = 5 * time.Second

// activities are what a worker does.
type activities struct{ runs *runs }

// Shard is one shard of a stage.
func (a *activities) Shard(ctx context.Context, s Shard) (t runner.Tally, err error) {
	err = a.do(ctx, s.Run, s.Identity, func(ctx context.Context, p Part, tell func(Beat)) (err error) {
		progress := func(pairs int) { tell(Beat{Pairs: pairs, Of: s.To - s.From}) }
		switch s.Kind {
		case Converse:
			t, err = p.Converse(ctx, s.Iteration, s.Policies[0], s.From, s.To, progress)
		case Evaluate:
			t, err = p.Evaluate(ctx, s.Policies, s.From, s.To, progress)
		default:
			err = fmt.Errorf("a shard of kind %q: this worker is older than the run; update it", s.Kind)
		}
		return err
	})
	return t, err
}

// Train is line 6.
func (a *activities) Train(ctx context.Context, s Step) (out runner.Policy, err error) {
	err = a.do(ctx, s.Run, s.Identity, func(ctx context.Context, p Part, tell func(Beat)) (err error) {
		out, err = p.Train(ctx, s.Iteration, s.Policy, s.Chosen, func(note string) { tell(Beat{Note: note}) })
		return err
	})
	return out, err
}

// Report is the last step.
func (a *activities) Report(ctx context.Context, s Step) (out runner.Reported, err error) {
	err = a.do(ctx, s.Run, s.Identity, func(ctx context.Context, p Part, tell func(Beat)) (err error) {
		out, err = p.Report(ctx, func(note string) { tell(Beat{Note: note}) })
		return err
	})
	return out, err
}

// do opens the run and works under heartbeats. The work ends, with all processes that it
// started, when the workflow is cancelled, when heartbeats stay unanswered, and when the worker stops.
func (a *activities) do(ctx context.Context, run, identity string, work func(context.Context, Part, func(Beat)) error) error {
	ctx, end := context.WithCancelCause(ctx)
	var now atomic.Pointer[Beat]
	now.Store(&Beat{Note: "opening the run"})
	activity.RecordHeartbeat(ctx, *now.Load())
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-activity.GetWorkerStopChannel(ctx):
				end(errStopping)
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx, *now.Load())
			}
		}
	}()
	defer func() { end(nil); <-beating }()
	r, err := a.runs.take(ctx, run, identity)
	if err == nil {
		err = work(ctx, r.part, func(b Beat) { now.Store(&b) })
		if r.part.Usable() != nil {
			a.runs.spoil(r)
		}
		a.runs.leave(r)
	}
	return outcome(ctx, err)
}
