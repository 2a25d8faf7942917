package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.temporal.io/sdk/client"
)

// registerTime is how long the server may take to hear of a new build's workers.
const registerTime = time.Minute

// MakeCurrent has new runs begin with a build of a versioned deployment, whose workers have
// just begun to poll. Runs that are under way stay with the build that began them, as long as
// it has workers.
func MakeCurrent(ctx context.Context, c client.Client, deployment, build string) error {
	_, err := backoff.Retry(ctx, func() (client.WorkerDeploymentSetCurrentVersionResponse, error) {
		return c.WorkerDeploymentClient().GetHandle(deployment).SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build, IgnoreMissingTaskQueues: true})
	}, backoff.WithMaxElapsedTime(registerTime))
	if err != nil {
		return fmt.Errorf("make build %s of deployment %s current: %w", build, deployment, err)
	}
	return nil
}
