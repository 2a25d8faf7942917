package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"stargate"
	"stargate/lm/remote"
	"stargate/runner"
)

// closing counts how often a part was closed.
type closing struct {
	part
	closed *atomic.Int64
}

func (c closing) Close() error { c.closed.Add(1); return nil }

// A worker opens a run once for all its activities, tries again after a failure, and closes
// what it has not used for longest.
func TestRuns(t *testing.T) {
	var opened, closed atomic.Int64
	fail := true
	r := newRuns(t.Context(), func(_ context.Context, run, identity string) (Part, error) {
		opened.Add(1)
		if fail {
			return nil, errors.New("the database is away")
		}
		return closing{part{workers: new(workers)}, &closed}, nil
	})
	if _, err := r.take(t.Context(), "a", "1"); err == nil {
		t.Fatal("opened although it could not be")
	}
	fail = false
	for range 3 {
		o, err := r.take(t.Context(), "a", "1")
		if err != nil {
			t.Fatal(err)
		}
		defer r.leave(o)
	}
	if opened.Load() != 2 {
		t.Errorf("opened %d times, want once more than failed", opened.Load())
	}
	for i := range 4 {
		o, err := r.take(t.Context(), fmt.Sprint("b", i), "1")
		if err != nil {
			t.Fatal(err)
		}
		r.leave(o)
	}
	r.mu.Lock()
	if len(r.idle) != mostIdle || len(r.all) != mostIdle+1 {
		t.Errorf("%d idle runs of %d", len(r.idle), len(r.all))
	}
	r.mu.Unlock()
}

// A run whose ledger takes nothing any more is opened anew by the next activity, and closed when
// the last one has left it.
func TestSpoiledRuns(t *testing.T) {
	var times, closed atomic.Int64
	r := newRuns(t.Context(), func(context.Context, string, string) (Part, error) {
		times.Add(1)
		return closing{part{workers: new(workers)}, &closed}, nil
	})
	take := func() *opened {
		o, err := r.take(t.Context(), "a", "1")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	a, b := take(), take()
	r.spoil(a)
	r.leave(a)
	c := take()
	if c == a || times.Load() != 2 || closed.Load() != 0 {
		t.Errorf("%d opened, %d closed, with one user left", times.Load(), closed.Load())
	}
	r.leave(b)
	r.background.Wait()
	if closed.Load() != 1 {
		t.Errorf("%d closed, want the spoiled one", closed.Load())
	}
	r.leave(c)
	if d := take(); d != c {
		t.Error("a run that is well was opened again")
	}
}

// What an activity tells: final failures are final, others are tried again, and one that was
// interrupted is owed.
func TestOutcome(t *testing.T) {
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errStopping)
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(temporal.NewCanceledError())
	for _, c := range []struct {
		name  string
		ctx   context.Context
		err   error
		kind  string // "" = none, "cancelled"
		final bool
	}{
		{"nothing", t.Context(), nil, "", false},
		{"a server is away", t.Context(), errors.New("connection refused"), "failed", false},
		{"budget", t.Context(), fmt.Errorf("pair t/u, question 1: %w", remote.ErrBudget), "budget", true},
		{"nothing selected", t.Context(), stargate.ErrNothingSelected, "nothing-selected", true},
		{"a worker with other data", t.Context(), runner.ErrOtherRun, "failed", false},
		{"the worker stops", stopped, stopped.Err(), "interrupted", false},
		{"cancelled", cancelled, cancelled.Err(), "cancelled", false},
	} {
		got := outcome(c.ctx, c.err)
		kind, isFinal := "", false
		if a, ok := errors.AsType[*temporal.ApplicationError](got); ok {
			kind, isFinal = a.Type(), a.NonRetryable()
		} else if _, ok := errors.AsType[*temporal.CanceledError](got); ok {
			kind = "cancelled"
		} else if got != nil {
			kind = got.Error()
		}
		if kind != c.kind || isFinal != c.final {
			t.Errorf("%s: %q, final %v; want %q, %v", c.name, kind, isFinal, c.kind, c.final)
		}
	}
}

// An activity gives its part what it was given, and closes nothing that others use.
func TestActivities(t *testing.T) {
	p := part{workers: new(workers)}
	a := &activities{newRuns(t.Context(), func(context.Context, string, string) (Part, error) { return p, nil })}
	var s testsuite.WorkflowTestSuite
	s.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	e := s.NewTestActivityEnvironment()
	e.RegisterActivityWithOptions(a.Shard, activity.RegisterOptions{Name: activityShard})
	v, err := e.ExecuteActivity(activityShard, Shard{Run: "r", Kind: Converse, Iteration: 1, Policies: []runner.Policy{{Name: "m0"}}, From: 3, To: 9})
	var got runner.Tally
	if err == nil {
		err = v.Get(&got)
	}
	if err != nil || got != tally(3, 9) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := e.ExecuteActivity(activityShard, Shard{Run: "r", Kind: "something new"}); err == nil {
		t.Error("a kind of a newer version was done")
	}
}
