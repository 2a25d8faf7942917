package cluster

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"stargate/runner"
)

// StageInput is one stage, or what is left of it.
type StageInput struct {
	Plan      Plan            `json:"plan"`
	Kind      Kind            `json:"kind"`
	Iteration int             `json:"iteration,omitempty"`
	Policies  []runner.Policy `json:"policies"`
	From      int             `json:"from"` // pairs
	To        int             `json:"to"`
	Window    int             `json:"window"`
	Paused    bool            `json:"paused,omitempty"`
	Done      runner.Tally    `json:"done"` // of the pairs before From, since the stage began
}

// name is what people see.
func (in StageInput) name() string {
	if in.Kind == Evaluate {
		return "evaluation"
	}
	return fmt.Sprintf("iteration %d: conversations", in.Iteration)
}

// Stage does something for all pairs From..To-1. A stage of more shards than one workflow
// should have makes children, a window of them at a time, and continues as new when its
// history has become long.
func Stage(ctx workflow.Context, in StageInput) (runner.Tally, error) {
	s := &stage{in: in, gate: openGate(ctx, in.Paused), finished: in.Done}
	err := workflow.SetQueryHandler(ctx, queryProgress, func() (StageProgress, error) { return s.progress(), nil })
	if err != nil {
		return runner.Tally{}, err
	}
	unit := in.Plan.Layout.Shard
	do, window := s.shard, in.Window
	if large := unit * in.Plan.Layout.Group; in.To-in.From > large {
		unit, do, window = large, s.child, in.Plan.Layout.Children
	}
	return s.all(ctx, unit, window, do)
}

type stage struct {
	in       StageInput
	gate     *gate
	finished runner.Tally // of all that is finished, in whatever order
	shown    int          // twentieths of the pairs in the memo
}

// all does the range in parts of unit pairs, at most window of them at a time. The first
// failure ends the others.
func (s *stage) all(ctx workflow.Context, unit, window int, do func(workflow.Context, int, int) (runner.Tally, error)) (runner.Tally, error) {
	s.show(ctx)
	all, end := workflow.WithCancel(ctx)
	defer end()
	var failed error
	running, room := workflow.NewWaitGroup(all), workflow.NewSemaphore(all, int64(window))
	from := s.in.From
	for ; from < s.in.To && failed == nil; from += unit {
		if from > s.in.From && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			break
		}
		if err := room.Acquire(all, 1); err != nil {
			failed = first(failed, err)
			break
		}
		if err := s.gate.pass(all); err != nil || failed != nil {
			failed = first(failed, err)
			room.Release(1)
			break
		}
		running.Add(1)
		at, to := from, min(from+unit, s.in.To)
		workflow.Go(all, func(ctx workflow.Context) {
			defer running.Done()
			defer room.Release(1)
			t, err := do(ctx, at, to)
			if err != nil {
				failed = first(failed, err)
				end()
				return
			}
			s.finished = s.finished.Plus(t)
			s.show(ctx)
		})
	}
	// Also after a cancellation everything that was started is waited for: it may be a worker
	// that puts its things in order.
	settled, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	running.Wait(settled)
	switch {
	case ctx.Err() != nil:
		return s.finished, ctx.Err()
	case failed != nil:
		return s.finished, failed
	case from < s.in.To:
		rest := s.in
		rest.From, rest.Done, rest.Paused = from, s.finished, s.gate.last()
		return runner.Tally{}, workflow.NewContinueAsNewError(ctx, Stage, rest)
	}
	return s.finished, nil
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// shard has a worker do some pairs.
func (s *stage) shard(ctx workflow.Context, from, to int) (t runner.Tally, err error) {
	role, queue := RoleConverse, ""
	if s.in.Kind == Evaluate {
		role = RoleEvaluate
	}
	queue = s.in.Plan.Queues.Of(role)
	if s.in.Plan.Checkpoint && s.in.Kind == Converse {
		queue = s.in.Plan.Queues.At(role, s.in.Policies[0])
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: shardTimeout,
		HeartbeatTimeout:    s.in.Plan.patience(),
		WaitForCancellation: true,
		RetryPolicy:         retries,
		Summary:             fmt.Sprintf("pairs %d to %d", from+1, to),
	})
	err = workflow.ExecuteActivity(ctx, activityShard, Shard{
		Run: s.in.Plan.Run, Identity: s.in.Plan.Identity, Kind: s.in.Kind, Iteration: s.in.Iteration, Policies: s.in.Policies, From: from, To: to,
	}).Get(ctx, &t)
	return t, err
}

// child does many shards in a workflow of their own.
func (s *stage) child(ctx workflow.Context, from, to int) (runner.Tally, error) {
	in := s.in
	in.From, in.To, in.Done, in.Paused = from, to, runner.Tally{}, s.gate.paused
	in.Window = max(1, s.in.Window/s.in.Plan.Layout.Children)
	return runStage(ctx, s.gate, in, fmt.Sprintf("%s/%d-%d", workflow.GetInfo(ctx).WorkflowExecution.ID, from, to))
}

// runStage does a stage as a child workflow.
func runStage(ctx workflow.Context, g *gate, in StageInput, id string) (t runner.Tally, err error) {
	g.children[id] = true
	defer delete(g.children, id)
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            id,
		TaskQueue:             in.Plan.Queues.Flow(),
		WaitForCancellation:   true,
		StaticSummary:         fmt.Sprintf("%s, pairs %d to %d", in.name(), in.From+1, in.To),
		Memo:                  map[string]any{memoRun: in.Plan.Run, memoStage: in.name()},
		TypedSearchAttributes: in.Plan.searchable(in.name()),
	})
	err = workflow.ExecuteChildWorkflow(ctx, Stage, in).Get(ctx, &t)
	return t, err
}

// Timeouts. A worker tells every few seconds that it lives (see [Worker]); the time a shard
// may take in all only guards against one that lives and gets nowhere.
const (
	shardTimeout   = 24 * time.Hour
	shardHeartbeat = 45 * time.Second
	stepTimeout    = 14 * 24 * time.Hour
	stepHeartbeat  = 4 // times as long
)

// retries is for what may be better the next time: a server that is away, a worker that was
// killed. Failures that would only be repeated are final ([final]). After the last attempt the run
// fails; resuming it begins anew, with all that is in the ledger.
var retries = &temporal.RetryPolicy{
	InitialInterval:    2 * time.Second,
	BackoffCoefficient: 2,
	MaximumInterval:    5 * time.Minute,
	MaximumAttempts:    40,
}
