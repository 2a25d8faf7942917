package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
)

// Status is how far a run is.
type Status struct {
	Run     string    `json:"run"`
	State   string    `json:"state"` // running, paused, completed, failed, canceled, terminated, timed-out
	Started time.Time `json:"started"`
	Closed  time.Time `json:"closed,omitzero"`
	Reason  string    `json:"reason,omitempty"` // of a failure
	Stages  []Row     `json:"stages"`           // in their order, the last one under way
	Notes   []string  `json:"notes,omitempty"`
}

// Row is one stage or step.
type Row struct {
	Name    string        `json:"name"`
	Done    int           `json:"done"`             // pairs; of a step 0 or 1
	Total   int           `json:"total"`            // pairs; of a step 1
	Shards  int           `json:"shards,omitempty"` // under way, or waiting for a worker
	Seconds float64       `json:"seconds,omitempty"`
	ETA     time.Duration `json:"-"`
	ETASecs float64       `json:"eta_seconds,omitempty"` // 0 = not known
	Doing   []string      `json:"doing,omitempty"`       // what workers tell
	Failing []string      `json:"failing,omitempty"`     // activities that are being tried again, with their last failure

	waiting map[string]bool // queues whose activities no worker has taken
}

// description is a workflow as the server sees it.
type description struct {
	Status  enumspb.WorkflowExecutionStatus
	start   time.Time
	close   time.Time
	pending []*workflowpb.PendingActivityInfo
	queue   string // of the workflow
	pinned  bool   // to a build of a deployment
	stuck   string // why workers do not get on with the workflow itself; "" = they do
}

func (c *Control) describe(ctx context.Context, run string) (description, error) {
	return c.describeWorkflow(ctx, run, WorkflowID(run))
}

func (c *Control) describeWorkflow(ctx context.Context, run, id string) (description, error) {
	d, err := c.client.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return description{}, c.explain(run, err)
	}
	i := d.GetWorkflowExecutionInfo()
	out := description{Status: i.GetStatus(), start: i.GetStartTime().AsTime(), pending: d.GetPendingActivities(), queue: d.GetExecutionConfig().GetTaskQueue().GetName()}
	if first := i.GetFirstRunId(); first != "" && first != i.GetExecution().GetRunId() { // it continued as new
		if d, err := c.client.DescribeWorkflowExecution(ctx, id, first); err == nil { // else it is long ago
			out.start = d.GetWorkflowExecutionInfo().GetStartTime().AsTime()
		}
	}
	if i.GetCloseTime() != nil {
		out.close = i.GetCloseTime().AsTime()
	}
	out.pinned = i.GetVersioningInfo().GetDeploymentVersion() != nil
	if n := d.GetPendingWorkflowTask().GetAttempt(); n > 1 {
		why, err := c.whyStuck(ctx, id, i.GetExecution().GetRunId())
		if err != nil {
			why = err.Error()
		}
		out.stuck = fmt.Sprintf("the workflow does not get on, attempt %d: %s", n, why)
	}
	return out, nil
}

// How long a worker may take to say how far a run is, and where it seems that none will.
const (
	queryTime = 10 * time.Second
	stuckTime = time.Second
)

// Status asks the server and the run itself. Where no worker of the run's workflows answers,
// the rows are missing and a note says so.
func (c *Control) Status(ctx context.Context, run string, now time.Time) (*Status, error) {
	d, err := c.describe(ctx, run)
	if err != nil {
		return nil, err
	}
	s := &Status{Run: run, State: state(d.Status), Started: d.start, Closed: d.close, Stages: []Row{}}
	if s.State == "failed" {
		if _, err := c.Wait(ctx, run); err != nil {
			s.Reason = err.Error()
		}
	}
	if d.stuck != "" {
		s.Notes = append(s.Notes, d.stuck)
	}
	nobody := c.nobody(ctx, d)
	patience := queryTime
	if d.stuck != "" || nobody != "" { // an answer would be a surprise
		patience = stuckTime
	}
	within, stop := context.WithTimeout(ctx, patience)
	defer stop()
	p, err := c.progress(within, run)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch {
		case errors.Is(err, ErrCodec):
			s.Notes = append(s.Notes, fmt.Sprintf("the stages are encrypted: %v; %s", err, runsKeys))
		case d.stuck != "":
		case nobody != "":
			s.Notes = append(s.Notes, "the stages are not known: "+nobody)
		default:
			s.Notes = append(s.Notes, fmt.Sprintf("no worker with the role %q answers, so that the stages are not known: %v", RoleFlow, err))
		}
		return s, nil
	}
	if s.State == "running" && p.Paused {
		s.State = "paused"
	}
	for _, f := range p.Done {
		r := Row{Name: f.Name, Done: 1, Total: 1}
		if f.Policy.Name == "" {
			r.Done, r.Total = f.Tally.Pairs, f.Tally.Pairs
		}
		s.Stages = append(s.Stages, r)
	}
	if p.Now == "" || d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return s, nil
	}
	row := Row{Name: p.Now, Total: 1}
	if p.Stage == "" {
		row.add(d, c, now)
	} else if err := c.stage(within, run, p.Stage, &row, now); err != nil {
		s.Notes = append(s.Notes, err.Error())
	}
	s.Stages = append(s.Stages, row)
	for _, q := range slices.Sorted(maps.Keys(row.waiting)) {
		if note := c.deserted(ctx, q); note != "" {
			s.Notes = append(s.Notes, note)
		}
	}
	return s, nil
}

// stage adds up a stage and its children.
func (c *Control) stage(ctx context.Context, run, id string, row *Row, now time.Time) error {
	d, err := c.describeWorkflow(ctx, run, id)
	if err != nil {
		return err
	}
	v, err := c.client.QueryWorkflow(ctx, id, "", queryProgress)
	var p StageProgress
	if err == nil {
		err = v.Get(&p)
	}
	if err != nil {
		if d.stuck != "" {
			return fmt.Errorf("%s: %s", id, d.stuck)
		}
		return c.explain(run, err)
	}
	top := row.Seconds == 0
	if top {
		row.Total = p.Total
		row.Seconds = now.Sub(d.start).Seconds()
	}
	row.Done += p.Finished.Pairs
	row.add(d, c, now)
	for _, child := range p.Children {
		if err := c.stage(ctx, run, child, row, now); err != nil && !errors.Is(err, ErrNoRun) { // one that is only just beginning
			return err
		}
	}
	if top && row.Done > 0 && row.Done < row.Total {
		row.ETASecs = row.Seconds / float64(row.Done) * float64(row.Total-row.Done)
		row.ETA = time.Duration(row.ETASecs * float64(time.Second))
	}
	return nil
}

// mostTold bounds what a row repeats of single activities.
const mostTold = 8

// add counts what is under way in a workflow.
func (r *Row) add(d description, c *Control, now time.Time) {
	for _, a := range d.pending {
		r.Shards++
		if q := a.GetActivityOptions().GetTaskQueue().GetName(); q != "" && a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED {
			if r.waiting == nil {
				r.waiting = map[string]bool{}
			}
			r.waiting[q] = true
		}
		var b Beat
		if a.GetHeartbeatDetails() != nil && c.data.FromPayloads(a.GetHeartbeatDetails(), &b) == nil {
			r.Done += b.Pairs
			if b.Note != "" && len(r.Doing) < mostTold {
				r.Doing = append(r.Doing, b.Note)
			}
		}
		if f := a.GetLastFailure(); f != nil && a.GetAttempt() > 1 && len(r.Failing) < mostTold {
			r.Failing = append(r.Failing, fmt.Sprintf("attempt %d: %s", a.GetAttempt(), said(c.data, f)))
		}
	}
	if r.Seconds == 0 {
		r.Seconds = now.Sub(d.start).Seconds()
	}
}

func state(s enumspb.WorkflowExecutionStatus) string {
	switch s {
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "timed-out"
	case enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		return "running"
	}
	return strings.ToLower(s.String())
}
