package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"stargate/ledger"
	"stargate/runner"
)

// run goes through a run and its continuations until it is over.
func run(t *testing.T, w *workers, in RunInput) (out runner.Reported, executions int, err error) {
	t.Helper()
	for executions = 1; ; executions++ {
		e := environment(t, w)
		e.ExecuteWorkflow(Run, in)
		if !e.IsWorkflowCompleted() {
			t.Fatal("the workflow did not end")
		}
		err = e.GetWorkflowError()
		next, ok := errors.AsType[*workflow.ContinueAsNewError](err)
		if !ok {
			if err == nil {
				err = e.GetWorkflowResult(&out)
			}
			return out, executions, err
		}
		in = RunInput{}
		if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &in); err != nil {
			t.Fatal(err)
		}
	}
}

// A run does every pair of every stage once, trains between the iterations on what its shards
// told, and continues as new after each fine-tune but the last.
func TestRun(t *testing.T) {
	w := new(workers)
	out, executions, err := run(t, w, RunInput{Plan: testPlan()})
	if err != nil {
		t.Fatal(err)
	}
	if out.Digest != "of the report" {
		t.Errorf("the run ended with %+v", out)
	}
	if executions != 2 {
		t.Errorf("%d executions for 2 iterations, want 2", executions)
	}
	if got, want := strings.Join(w.steps, "; "), "train 1 after m0, 30 pairs; train 2 after m1, 30 pairs; report"; got != want {
		t.Errorf("steps: %s\nwant: %s", got, want)
	}
	covered := map[string][]int{}
	for _, s := range w.shards {
		stage := fmt.Sprint(s.Kind, s.Iteration, len(s.Policies), " by ", s.Policies[len(s.Policies)-1].Name)
		for i := s.From; i < s.To; i++ {
			covered[stage] = append(covered[stage], i)
		}
	}
	for stage, pairs := range map[string]int{"converse1 1 by m0": 30, "converse2 1 by m1": 30, "evaluate0 3 by m2": 10} {
		got := covered[stage]
		slices.Sort(got)
		if len(got) != pairs || got[0] != 0 || got[pairs-1] != pairs-1 || len(slices.Compact(got)) != pairs {
			t.Errorf("stage %q did the pairs %v, want 0 to %d once each", stage, got, pairs-1)
		}
	}
	if w.most > testPlan().Layout.Window {
		t.Errorf("%d shards at a time, want %d at most", w.most, testPlan().Layout.Window)
	}
}

// stageResult runs one stage.
func stageResult(t *testing.T, w *workers, in StageInput) (runner.Tally, error) {
	t.Helper()
	e := environment(t, w)
	e.ExecuteWorkflow(Stage, in)
	if err := e.GetWorkflowError(); err != nil {
		return runner.Tally{}, err
	}
	var out runner.Tally
	return out, e.GetWorkflowResult(&out)
}

func converse(p Plan) StageInput {
	return StageInput{Plan: p, Kind: Converse, Iteration: 1, Policies: []runner.Policy{{Name: "m0", Digest: p.Queues.Base}}, To: p.A, Window: p.Layout.Window}
}

// What a stage comes to does not depend on how it is cut, nor on failures that pass.
func TestStageIsTheSameHoweverItIsCut(t *testing.T) {
	p := testPlan()
	p.A = 101
	for _, layout := range []Layout{{1, 1000, 500, 4}, {7, 3, 500, 1}, {100, 2, 1, 2}, {4, 3, 5, 2}, {3, 10, 2, 3}} {
		p.Layout = layout
		failed := map[int]bool{}
		w := &workers{}
		w.shard = func(_ context.Context, s Shard) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if s.From%2 == 1 && !failed[s.From] {
				failed[s.From] = true
				return errors.New("a server was away")
			}
			return nil
		}
		got, err := stageResult(t, w, converse(p))
		if err != nil || got != tally(0, 101) {
			t.Errorf("layout %+v: %+v, %v; want %+v", layout, got, err, tally(0, 101))
		}
	}
}

// Failures are tried again for hours, and those that would be repeated are not.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name     string
		fail     func(attempt int) error
		attempts int
		kind     string // of the failure; "" = none
	}{
		{"passes", func(n int) error {
			if n < 12 {
				return outcome(context.Background(), errors.New("no server"))
			}
			return nil
		}, 12, ""},
		{"final", func(int) error {
			return outcome(context.Background(), fmt.Errorf("pair x: %w", ledger.ErrConflict))
		}, 1, "ledger-conflict"},
		{"for good", func(int) error { return outcome(context.Background(), errors.New("no server")) }, int(retries.MaximumAttempts), "failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := testPlan()
			p.A = 1
			attempts := 0
			w := &workers{shard: func(context.Context, Shard) error { attempts++; return c.fail(attempts) }}
			_, err := stageResult(t, w, converse(p))
			failure, _ := errors.AsType[*temporal.ApplicationError](err)
			if got := kindOf(failure); got != c.kind || attempts != c.attempts {
				t.Errorf("%d attempts, failure %q (%v); want %d, %q", attempts, got, err, c.attempts, c.kind)
			}
		})
	}
}

func kindOf(e *temporal.ApplicationError) string {
	if e == nil {
		return ""
	}
	return e.Type()
}

// The first final failure ends a stage: nothing is begun after it, and its name reaches the
// run.
func TestAFailureEndsTheRun(t *testing.T) {
	w := &workers{shard: func(_ context.Context, s Shard) error {
		if s.From == 8 {
			return outcome(context.Background(), ledger.ErrConflict)
		}
		return nil
	}}
	_, _, err := run(t, w, RunInput{Plan: testPlan()})
	failure, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok || failure.Type() != "ledger-conflict" {
		t.Fatalf("the run ended with %v", err)
	}
	if len(w.shards) == 8 || len(w.steps) > 0 {
		t.Errorf("%d shards and the steps %v, after a failure of the third shard", len(w.shards), w.steps)
	}
}

// A paused run finishes what is under way, begins nothing, and goes on when it is resumed.
func TestPause(t *testing.T) {
	w := new(workers)
	e := environment(t, w)
	atPause := 0
	w.shard = func(_ context.Context, s Shard) error {
		if s.From == 8 {
			e.SignalWorkflow(signalPause, true)
		}
		return nil
	}
	e.RegisterDelayedCallback(func() {
		w.mu.Lock()
		atPause = len(w.shards)
		w.mu.Unlock()
		v, err := e.QueryWorkflow(queryProgress)
		var p StageProgress
		if err == nil {
			err = v.Get(&p)
		}
		if err != nil || p.Finished.Pairs == 0 || p.Finished.Pairs >= p.Total {
			t.Errorf("paused with %+v, %v", p, err)
		}
	}, 3*time.Hour)
	e.RegisterDelayedCallback(func() {
		if w.mu.Lock(); len(w.shards) != atPause {
			t.Errorf("%d shards were begun while the run was paused", len(w.shards)-atPause)
		}
		w.mu.Unlock()
		e.SignalWorkflow(signalPause, false)
	}, 5*time.Hour)
	e.ExecuteWorkflow(Stage, converse(testPlan()))
	var out runner.Tally
	if err := e.GetWorkflowResult(&out); err != nil || out != tally(0, 30) {
		t.Errorf("%+v, %v", out, err)
	}
	if atPause == 0 || atPause == 8 {
		t.Errorf("%d of 8 shards before the pause", atPause)
	}
}

// A run that is paused while it continues as new stays paused.
func TestPauseOverContinuation(t *testing.T) {
	w := new(workers)
	e := environment(t, w)
	w.train = func(context.Context, Step) error { e.SignalWorkflow(signalPause, true); return nil }
	e.ExecuteWorkflow(Run, RunInput{Plan: testPlan()})
	next, ok := errors.AsType[*workflow.ContinueAsNewError](e.GetWorkflowError())
	var in RunInput
	if !ok || converter.GetDefaultDataConverter().FromPayloads(next.Input, &in) != nil || !in.Paused || len(in.Done) != 2 {
		t.Fatalf("continued with %+v, %v", in, e.GetWorkflowError())
	}
	e, begun := environment(t, w), len(w.shards)
	w.train = nil
	e.RegisterDelayedCallback(func() {
		if len(w.shards) != begun {
			t.Error("the paused run began shards")
		}
		e.SignalWorkflow(signalPause, false)
	}, time.Hour)
	e.ExecuteWorkflow(Run, in)
	if err := e.GetWorkflowError(); err != nil {
		t.Error(err)
	}
}

// A cancelled run starts nothing more. (That it waits for what its workers have under way is
// seen on a server only: the test environment does not.)
func TestCancel(t *testing.T) {
	w := new(workers)
	e := environment(t, w)
	w.shard = func(ctx context.Context, s Shard) error {
		if s.From == 8 {
			e.CancelWorkflow()
		}
		return nil
	}
	e.ExecuteWorkflow(Run, RunInput{Plan: testPlan()})
	if _, ok := errors.AsType[*temporal.CanceledError](e.GetWorkflowError()); !ok {
		t.Errorf("the run ended with %v", e.GetWorkflowError())
	}
	if len(w.steps) > 0 || len(w.shards) == 8 {
		t.Errorf("steps %v and %d shards of a run that was cancelled at its third", w.steps, len(w.shards))
	}
}

// A stage with a long history goes on in a new one and comes to the same.
func TestStageContinuesAsNew(t *testing.T) {
	w, in := new(workers), converse(testPlan())
	in.Plan.Layout.Group, in.Plan.A, in.To = 2, 200, 200
	for executions := 1; ; executions++ {
		e := environment(t, w)
		e.SetContinueAsNewSuggested(false)
		e.RegisterDelayedCallback(func() { e.SetContinueAsNewSuggested(true) }, time.Millisecond)
		e.ExecuteWorkflow(Stage, in)
		next, again := errors.AsType[*workflow.ContinueAsNewError](e.GetWorkflowError())
		if again {
			if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &in); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var out runner.Tally
		if err := e.GetWorkflowResult(&out); err != nil || out != tally(0, 200) {
			t.Errorf("%+v, %v", out, err)
		}
		if executions < 2 {
			t.Errorf("%d executions", executions)
		}
		return
	}
}
