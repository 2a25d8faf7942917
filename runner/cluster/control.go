package cluster

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"stargate/runner"
)

// Errors callers branch on.
var (
	// ErrNoRun: the server knows no run of this name.
	ErrNoRun = errors.New("there is no such run")
	// ErrRunning: the run is under way.
	ErrRunning = errors.New("the run is under way")
	// ErrOver: the run has ended.
	ErrOver = errors.New("the run is over")
)

// Control begins runs and tells them what to do.
type Control struct {
	client client.Client
	data   converter.DataConverter
}

// NewControl makes a control. data is the client's converter, nil if payloads are not
// encrypted.
func NewControl(c client.Client, data converter.DataConverter) *Control {
	if data == nil {
		var none client.Options
		Encrypt(&none, new(Codec))
		data = none.DataConverter
	}
	return &Control{c, data}
}

// Start begins a run, or goes on with one that ended before its report: all that is in its
// ledger is kept. It fails with [ErrRunning].
func (c *Control) Start(ctx context.Context, p Plan) error {
	if err := p.Validate(); err != nil {
		return err
	}
	return c.start(ctx, RunInput{Plan: p})
}

func (c *Control) start(ctx context.Context, in RunInput) error {
	_, err := c.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       WorkflowID(in.Plan.Run),
		TaskQueue:                                in.Plan.Queues.Flow(),
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "STaR-GATE run " + in.Plan.Run,
		Memo:                                     map[string]any{memoRun: in.Plan.Run, memoStage: "queued"},
		TypedSearchAttributes:                    in.Plan.searchable("queued"),
	}, workflowRun, in)
	if _, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); ok {
		return fmt.Errorf("%s: %w", in.Plan.Run, ErrRunning)
	}
	if told := unknownAttributes(err); told != nil {
		return fmt.Errorf("%s: %w", in.Plan.Run, told)
	}
	return c.explain(in.Plan.Run, err)
}

// Wait returns a run's result when it is there.
func (c *Control) Wait(ctx context.Context, run string) (out runner.Reported, err error) {
	err = c.client.GetWorkflow(ctx, WorkflowID(run), "").Get(ctx, &out)
	if failure, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		text := failure.Message()
		if text == encodedFailure {
			text = "why is encrypted; " + runsKeys
		}
		return out, fmt.Errorf("run %s failed (%s): %s", run, failure.Type(), text)
	}
	if _, ok := errors.AsType[*temporal.CanceledError](err); ok {
		return out, fmt.Errorf("run %s: %w: it was cancelled; stargate resume %s goes on with it", run, ErrOver, run)
	}
	return out, c.explain(run, err)
}

// Pause keeps a run from beginning anything new. What is under way is finished.
func (c *Control) Pause(ctx context.Context, run string) error {
	if _, err := c.input(ctx, run); errors.Is(err, ErrCodec) { // nor could the run read what it is told
		return err
	}
	return c.explain(run, c.client.SignalWorkflow(ctx, WorkflowID(run), "", signalPause, true))
}

// Cancel ends a run. Its workers end what they do, processes that train included; nothing
// finished is lost.
func (c *Control) Cancel(ctx context.Context, run string) error {
	s, err := c.describe(ctx, run)
	if err != nil {
		return err
	}
	if s.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return fmt.Errorf("%s: %w", run, ErrOver)
	}
	return c.explain(run, c.client.CancelWorkflow(ctx, WorkflowID(run), ""))
}

// Resume lets a paused run go on, and begins one again that was cancelled or failed. It
// fails with [ErrOver] if the run has its report, and with [ErrRunning] if it is under way
// and not paused.
func (c *Control) Resume(ctx context.Context, run string) error {
	d, err := c.describe(ctx, run)
	if err != nil {
		return err
	}
	if d.Status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		return fmt.Errorf("%s: %w", run, ErrOver)
	}
	// How it began, and how far it was, is the input of its last execution. Who cannot read it
	// cannot tell the run anything either.
	in, err := c.input(ctx, run)
	if err != nil {
		return err
	}
	if d.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		if p, err := c.progress(ctx, run); err == nil && !p.Paused { // without a worker to ask, it is told
			return fmt.Errorf("%s: %w", run, ErrRunning)
		}
		return c.explain(run, c.client.SignalWorkflow(ctx, WorkflowID(run), "", signalPause, false))
	}
	in.Paused = false
	return c.start(ctx, in)
}

// input is what the last execution of a run was given.
func (c *Control) input(ctx context.Context, run string) (in RunInput, err error) {
	history := c.client.GetWorkflowHistory(ctx, WorkflowID(run), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !history.HasNext() {
		return in, fmt.Errorf("run %s: its history is gone; begin it again with stargate run --cluster, which finds everything in the ledger", run)
	}
	first, err := history.Next()
	if err != nil {
		return in, c.explain(run, err)
	}
	if err := c.data.FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in); err != nil {
		return in, fmt.Errorf("run %s: %w", run, err)
	}
	return in, nil
}

func (c *Control) progress(ctx context.Context, run string) (p RunProgress, err error) {
	v, err := c.client.QueryWorkflow(ctx, WorkflowID(run), "", queryProgress)
	if err == nil {
		err = v.Get(&p)
	}
	return p, c.explain(run, err)
}

// explain says in our words what the server means.
func (c *Control) explain(run string, err error) error {
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return fmt.Errorf("%s: %w", run, ErrNoRun)
	}
	if unavailable(err) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if told := refusal(err); told != nil {
		return fmt.Errorf("%s: %w", run, told)
	}
	return err
}

// encodedFailure is what the SDK says of a failure that it could not decrypt.
const encodedFailure = "Encoded failure"

// runsKeys is what to do about a run that cannot be read.
const runsKeys = "give the keys of the run's workers with --payload-keys"
