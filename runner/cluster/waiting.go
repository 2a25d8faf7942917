package cluster

import (
	"context"
	"fmt"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
)

// Why a run stands still. All of it is for people, so that what cannot be found out is left out.

// whyStuck is the last failure of a workflow task that is in the history.
func (c *Control) whyStuck(ctx context.Context, id, run string) (string, error) {
	why := "its workers do not answer in time"
	history := c.client.GetWorkflowHistory(ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return "", err
		}
		if a := event.GetWorkflowTaskFailedEventAttributes(); a != nil {
			why = said(c.data, a.GetFailure())
		}
	}
	return why, nil
}

// nobody says why no worker takes the run's workflow, as far as the server knows who asks for
// work; "" if one may.
func (c *Control) nobody(ctx context.Context, d description) string {
	q, err := c.client.DescribeTaskQueue(ctx, d.queue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return ""
	}
	versioned := ""
	for _, p := range q.GetPollers() {
		o := p.GetDeploymentOptions()
		if o.GetWorkerVersioningMode() != enumspb.WORKER_VERSIONING_MODE_VERSIONED {
			return ""
		}
		versioned = o.GetDeploymentName() + " is of build " + o.GetBuildId()
	}
	switch {
	case versioned == "":
		return fmt.Sprintf("no worker takes work from the queue %s: start %s", d.queue, command(d.queue))
	case !d.pinned && q.GetVersioningInfo().GetCurrentDeploymentVersion() == nil:
		return fmt.Sprintf("a worker of deployment %s, but no build is current: start it with --current, or see temporal worker deployment set-current-version", versioned)
	}
	return ""
}

// deserted says that nobody takes activities from a queue, and what worker would; "" if
// somebody does. Servers remember who asked for some minutes.
func (c *Control) deserted(ctx context.Context, queue string) string {
	q, err := c.client.DescribeTaskQueue(ctx, queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil || len(q.GetPollers()) > 0 {
		return ""
	}
	return fmt.Sprintf("no worker takes work from the queue %s: start %s, with the experiment and model of the run", queue, command(queue))
}

// command is what starts a worker that takes from a queue.
func command(queue string) string {
	at, checkpoint, pinned := strings.Cut(queue, "@")
	parts := strings.Split(at, "/") // a pool may have slashes in its name; a role has none, nor a digest
	last := len(parts) - 1
	if parts[last] != string(RoleFlow) {
		last--
	}
	if last < 1 {
		return "stargate worker"
	}
	flags := " --roles " + parts[last]
	if pool := strings.Join(parts[:last], "/"); pool != DefaultPool {
		flags = " --pool " + pool + flags
	}
	if pinned {
		flags += " --checkpoint " + checkpoint
	}
	return "stargate worker" + flags
}
