package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// WorkerOptions say what a worker does.
type WorkerOptions struct {
	Roles       []Role
	Queues      Queues   // the pool, and the base model that this worker reaches
	Checkpoints []string // policies it has, by [Checkpoint], for runs that ask for it
	Open        Opener
	Shards      int           // shards at a time; 0 = 2
	Steps       int           // fine-tunes at a time; 0 = 1
	Stop        time.Duration // for activities to end when the worker stops; 0 = 20 s

	// Deployment and Build, both or neither, make it a worker of a versioned deployment: a run
	// stays with the build that began it until it ends.
	Deployment string
	Build      string
}

// Worker does activities and workflows of some roles, each with a poller of its own queue.
type Worker struct {
	runs *runs
	all  []worker.Worker
	lost chan error // a poller that cannot go on
}

// How long the SDK may hold heartbeats back, and how long it tries to send one before it ends
// the activity; an activity that is cancelled learns it from the answer. For shards a good deal
// less than a plan's patience, so that who was cut off stops before another one begins; but a
// machine that is only busy answers late (with 14 processes waiting for each processor, after
// more than 5 s), and must not lose its work for that. A fine-tune should survive a server that
// restarts.
const (
	shardThrottle = 10 * time.Second
	stepThrottle  = time.Minute
)

// deadlockTime is how long a workflow may not yield before the SDK takes it for stuck: it does no
// work of its own, so that only a machine that is too busy is meant. The SDK's second was not
// enough for one with 14 processes waiting for each processor (docs/scale.md).
const deadlockTime = 15 * time.Second

// NewWorker makes a worker. ctx ends the runs it has open; end it after Stop.
func NewWorker(ctx context.Context, c client.Client, o WorkerOptions) (*Worker, error) {
	if (o.Deployment == "") != (o.Build == "") {
		return nil, errors.New("worker: a deployment needs a build ID, and a build ID a deployment")
	}
	if o.Shards == 0 {
		o.Shards = 2
	}
	if o.Steps == 0 {
		o.Steps = 1
	}
	if o.Stop == 0 {
		o.Stop = 20 * time.Second
	}
	w := &Worker{runs: newRuns(ctx, o.Open), lost: make(chan error, 1)}
	for _, r := range o.Roles {
		queues := []string{o.Queues.Of(r)}
		if r == RoleConverse {
			for _, c := range o.Checkpoints {
				queues = append(queues, queues[0]+"@"+c)
			}
		}
		for _, q := range queues {
			w.all = append(w.all, w.poller(c, r, q, o))
		}
	}
	if len(w.all) == 0 {
		return nil, errors.New("worker: give at least one role")
	}
	return w, nil
}

func (w *Worker) poller(c client.Client, r Role, queue string, o WorkerOptions) worker.Worker {
	pollers := worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{})
	options := worker.Options{
		DisableWorkflowWorker:              r != RoleFlow,
		LocalActivityWorkerOnly:            r == RoleFlow,
		MaxConcurrentActivityExecutionSize: o.Shards,
		MaxHeartbeatThrottleInterval:       shardThrottle,
		ActivityTaskPollerBehavior:         pollers,
		WorkflowTaskPollerBehavior:         pollers,
		WorkerStopTimeout:                  o.Stop,
		DeadlockDetectionTimeout:           deadlockTime,
		OnFatalError: func(err error) {
			select {
			case w.lost <- fmt.Errorf("queue %s: %w", queue, err):
			default: // the first says it
			}
		},
	}
	if r == RoleTrain || r == RoleReport {
		options.MaxConcurrentActivityExecutionSize, options.MaxHeartbeatThrottleInterval = o.Steps, stepThrottle
	}
	if o.Deployment != "" {
		options.DeploymentOptions = worker.DeploymentOptions{
			UseVersioning:             true,
			Version:                   worker.WorkerDeploymentVersion{DeploymentName: o.Deployment, BuildID: o.Build},
			DefaultVersioningBehavior: workflow.VersioningBehaviorPinned,
		}
	}
	p := worker.New(c, queue, options)
	if r == RoleFlow {
		Register(p)
		return p
	}
	a := &activities{w.runs}
	switch r {
	case RoleConverse, RoleEvaluate:
		p.RegisterActivityWithOptions(a.Shard, activity.RegisterOptions{Name: activityShard})
	case RoleTrain:
		p.RegisterActivityWithOptions(a.Train, activity.RegisterOptions{Name: activityTrain})
	case RoleReport:
		p.RegisterActivityWithOptions(a.Report, activity.RegisterOptions{Name: activityReport})
	}
	return p
}

// Register registers the workflows.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(Run, workflow.RegisterOptions{Name: workflowRun})
	r.RegisterWorkflowWithOptions(Stage, workflow.RegisterOptions{Name: workflowStage})
}

// Run polls until ctx is done or a poller fails for good. Then activities under way are
// told to end, and have some seconds to do so; another worker goes on with them.
func (w *Worker) Run(ctx context.Context) error {
	started := 0
	var err error
	for _, p := range w.all {
		if err = p.Start(); err != nil {
			if told := refusal(err); told != nil {
				err = told
			}
			err = fmt.Errorf("worker: %w", err)
			break
		}
		started++
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-w.lost:
		}
	}
	stopped := make(chan struct{})
	for _, p := range slices.Backward(w.all[:started]) {
		go func() { p.Stop(); stopped <- struct{}{} }()
	}
	for range started {
		<-stopped
	}
	return errors.Join(err, w.runs.close())
}
