package cluster

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"stargate"
	"stargate/runner"
)

// RunInput is a run, or what is left of it.
type RunInput struct {
	Plan   Plan       `json:"plan"`
	Done   []Finished `json:"done,omitempty"` // in the loop's order
	Paused bool       `json:"paused,omitempty"`
}

// Finished is the outcome of one step of the loop.
type Finished struct {
	Name   string        `json:"name"`
	Tally  runner.Tally  `json:"tally,omitzero"`
	Policy runner.Policy `json:"policy,omitzero"`
}

// Run is a run. After every fine-tune it continues as new with the outcomes so far; the loop
// is then gone through from its beginning, as an embedded run goes through its ledger.
func Run(ctx workflow.Context, in RunInput) (runner.Reported, error) {
	f := &flow{ctx: ctx, plan: in.Plan, before: in.Done, done: in.Done[:len(in.Done):len(in.Done)], gate: openGate(ctx, in.Paused)}
	if err := workflow.SetQueryHandler(ctx, queryProgress, func() (RunProgress, error) { return f.progress(), nil }); err != nil {
		return runner.Reported{}, err
	}
	r, err := f.all()
	return r, ended(err)
}

// all is the run: the loop, the evaluation and the report.
func (f *flow) all() (runner.Reported, error) {
	if _, err := stargate.Loop(f, f.plan.Iterations); err != nil {
		return runner.Reported{}, err
	}
	if err := f.evaluate(); err != nil {
		return runner.Reported{}, fmt.Errorf("evaluation: %w", err)
	}
	return f.report()
}

// ended is how a run that did not come to its report ends: what is to be continued or was
// cancelled does so, and a failure has the type of its cause.
func ended(err error) error {
	if anew, ok := errors.AsType[*workflow.ContinueAsNewError](err); ok {
		return anew
	}
	if c, ok := errors.AsType[*temporal.CanceledError](err); ok {
		return c
	}
	if cause, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return temporal.NewApplicationErrorWithOptions(err.Error(), cause.Type(), temporal.ApplicationErrorOptions{NonRetryable: true, Cause: err})
	}
	return err
}

// flow is the port of a run that is done by workers. Policies are references.
type flow struct {
	ctx      workflow.Context
	plan     Plan
	gate     *gate
	before   []Finished // outcomes of earlier executions that the loop has not come to yet
	done     []Finished // all outcomes
	policies []runner.Policy
	now      string // what is under way
	stage    string // the workflow that does it, or ""
}

var _ stargate.Port[runner.Policy, chosen] = (*flow)(nil)

// chosen is what an iteration chose: who asked, and what the shards came to.
type chosen struct {
	by    runner.Policy
	tally runner.Tally
}

// Base implements [stargate.Port].
func (f *flow) Base() runner.Policy {
	base := runner.Policy{Name: "m0", Digest: f.plan.Queues.Base}
	f.policies = append(f.policies, base)
	return base
}

// Map implements [stargate.Port]: lines 3 to 5 as a stage.
func (f *flow) Map(n int, policy runner.Policy) (chosen, error) {
	t, err := f.stageOf(StageInput{Kind: Converse, Iteration: n, Policies: []runner.Policy{policy}, To: f.plan.pairs(n)}, fmt.Sprintf("iteration-%d", n))
	return chosen{policy, t}, err
}

// Do implements [stargate.Port]: the fine-tune as one activity.
func (f *flow) Do(n int, c chosen) (runner.Policy, error) {
	name := fmt.Sprintf("iteration %d: tune", n)
	if r, ok := f.earlier(name); ok {
		f.policies = append(f.policies, r.Policy)
		return r.Policy, nil
	}
	var p runner.Policy
	if err := f.step(name, RoleTrain, activityTrain, Step{Iteration: n, Policy: c.by, Chosen: c.tally}, &p); err != nil {
		return p, err
	}
	f.policies = append(f.policies, p)
	f.finish(Finished{Name: name, Policy: p})
	if n == f.plan.Iterations {
		return p, nil
	}
	return p, workflow.NewContinueAsNewError(f.ctx, Run, RunInput{Plan: f.plan, Done: f.done, Paused: f.gate.last()})
}

// evaluate has all calls of the evaluation made, pair by pair.
func (f *flow) evaluate() error {
	_, err := f.stageOf(StageInput{Kind: Evaluate, Policies: f.policies, To: f.plan.Test}, "evaluation")
	return err
}

// report makes the result from what the ledger holds.
func (f *flow) report() (r runner.Reported, err error) {
	return r, f.step("report", RoleReport, activityReport, Step{Iteration: f.plan.Iterations}, &r)
}

// earlier is the outcome of a step that an earlier execution finished. The loop comes to
// them in their order.
func (f *flow) earlier(name string) (r Finished, ok bool) {
	if len(f.before) == 0 {
		return r, false
	}
	r, f.before = f.before[0], f.before[1:]
	if r.Name != name {
		panic(fmt.Sprintf("continued with the outcome of %q where the loop is at %q", r.Name, name))
	}
	return r, true
}

func (f *flow) stageOf(in StageInput, id string) (runner.Tally, error) {
	in.Plan, in.Window = f.plan, f.plan.Layout.Window
	if r, ok := f.earlier(in.name()); ok {
		return r.Tally, nil
	}
	if err := f.gate.pass(f.ctx); err != nil {
		return runner.Tally{}, err
	}
	in.Paused = f.gate.paused
	id = workflow.GetInfo(f.ctx).WorkflowExecution.ID + "/" + id
	f.begin(in.name(), id)
	t, err := runStage(f.ctx, f.gate, in, id)
	if err == nil {
		f.finish(Finished{Name: in.name(), Tally: t})
	}
	return t, err
}

func (f *flow) step(name string, role Role, activity string, s Step, into any) error {
	if err := f.gate.pass(f.ctx); err != nil {
		return err
	}
	f.begin(name, "")
	s.Run, s.Identity = f.plan.Run, f.plan.Identity
	ctx := workflow.WithActivityOptions(f.ctx, workflow.ActivityOptions{
		TaskQueue:           f.plan.Queues.Of(role),
		StartToCloseTimeout: stepTimeout,
		HeartbeatTimeout:    stepHeartbeat * f.plan.patience(),
		WaitForCancellation: true,
		RetryPolicy:         retries,
		Summary:             name,
	})
	return workflow.ExecuteActivity(ctx, activity, s).Get(ctx, into)
}

func (f *flow) begin(name, stage string) {
	f.now, f.stage = name, stage
	f.show()
}

func (f *flow) finish(r Finished) {
	f.done = append(f.done, r)
	f.now, f.stage = "", ""
}
