package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"stargate/runner"
)

// workers stand for all workers: their activities do nothing but note what they were given.
type workers struct {
	mu     sync.Mutex
	shards []Shard
	steps  []string
	flight int // shards under way
	most   int

	shard func(context.Context, Shard) error // may be nil
	train func(context.Context, Step) error  // may be nil
}

func (w *workers) Shard(ctx context.Context, s Shard) (runner.Tally, error) {
	w.mu.Lock()
	w.shards = append(w.shards, s)
	w.flight++
	w.most = max(w.most, w.flight)
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.flight--; w.mu.Unlock() }()
	if w.shard != nil {
		if err := w.shard(ctx, s); err != nil {
			return runner.Tally{}, err
		}
	}
	return tally(s.From, s.To), nil
}

// tally is what the pairs from..to-1 come to.
func tally(from, to int) runner.Tally {
	t := runner.Tally{Pairs: to - from, Completed: 10 * (to - from), Selected: to - from}
	for i := from; i < to; i++ {
		t.Digest += uint64(i+1) * 0x9E3779B97F4A7C15
	}
	return t
}

func (w *workers) Train(ctx context.Context, s Step) (runner.Policy, error) {
	w.mu.Lock()
	w.steps = append(w.steps, fmt.Sprintf("train %d after %s, %d pairs", s.Iteration, s.Policy.Name, s.Chosen.Pairs))
	w.mu.Unlock()
	if w.train != nil {
		if err := w.train(ctx, s); err != nil {
			return runner.Policy{}, err
		}
	}
	return runner.Policy{Name: fmt.Sprintf("m%d", s.Iteration), Step: "step", Digest: fmt.Sprintf("digest of m%d", s.Iteration)}, nil
}

func (w *workers) Report(context.Context, Step) (runner.Reported, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, "report")
	return runner.Reported{Place: "here", Digest: "of the report"}, nil
}

// testPlan is a run of 30 pairs a split in shards of 4.
func testPlan() Plan {
	return Plan{Run: "test", Identity: "identity", Iterations: 2, A: 30, B: 30, Test: 10,
		Layout: Layout{Shard: 4, Window: 3, Group: 500, Children: 2}, Queues: Queues{Pool: "stargate", Base: "0123456789abcdef"}}
}

// environment runs workflows with skipped time.
func environment(t *testing.T, w *workers) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var s testsuite.WorkflowTestSuite
	s.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	e := s.NewTestWorkflowEnvironment()
	e.SetTestTimeout(time.Minute)
	Register(e)
	e.RegisterActivityWithOptions(w.Shard, activity.RegisterOptions{Name: activityShard})
	e.RegisterActivityWithOptions(w.Train, activity.RegisterOptions{Name: activityTrain})
	e.RegisterActivityWithOptions(w.Report, activity.RegisterOptions{Name: activityReport})
	return e
}
