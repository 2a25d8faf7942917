package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate"
	"stargate/dataset"
	"stargate/eval"
)

// small is the whole algorithm in seconds; nothing is learned.
func small(t *testing.T) *Experiment {
	t.Helper()
	e, err := LoadExperiment("nano")
	if err != nil {
		t.Fatal(err)
	}
	size := dataset.Size{Tasks: 2, Personas: 2}
	e.Name = "small"
	e.Data = dataset.Sizes{A: size, B: size, Test: size}
	e.Algorithm.Iterations, e.Algorithm.Samples, e.Algorithm.Redraws, e.Algorithm.MaxTurns = 2, 2, 1, 2
	e.Evaluation.WinPairs = 1
	return &e
}

// An iteration read back from the ledger is the one that was run, also while the run has not
// come to its end, and needs no model.
func TestReadIteration(t *testing.T) {
	for name, change := range map[string]func(*Experiment){
		"base model as roleplayer": func(*Experiment) {},
		"two roleplayers": func(e *Experiment) {
			warm := 0.5
			e.Roles.Roleplayer = []Player{{Name: "rule", Rule: &Rule{Silent: 0.2}}, {Name: "warm", Temperature: &warm}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, dir := small(t), filepath.Join(t.TempDir(), "run")
			change(e)
			e.Algorithm.Concurrency = 1 // no other pair is under way when it is stopped
			ctx, stop := context.WithCancel(t.Context())
			_, err := Run(ctx, Options{Resolved: e, Out: dir, Workers: 1, Observe: func(v Event) {
				if v.Stage == "iteration 2: simulate" && v.Done == 1 {
					stop()
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped in iteration 2: %v", err)
			}
			half, err := ReadIteration(t.Context(), dir, 0)
			if err != nil || half.Iteration.N != 1 {
				t.Fatalf("the last finished iteration: %+v, %v", half, err)
			}
			if _, err := ReadIteration(t.Context(), dir, 2); !errors.Is(err, ErrNotReached) {
				t.Errorf("an iteration that is not finished: %v", err)
			}

			out, err := Run(t.Context(), Options{Resolved: e, Out: dir, Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(dir, modelsDir)); err != nil { // nothing opens a model
				t.Fatal(err)
			}
			for n := 1; n <= 2; n++ {
				r, err := ReadIteration(t.Context(), dir, n)
				if err != nil {
					t.Fatal(err)
				}
				it, want := r.Iteration, out.Result.Training[n-1]
				examples, err := stargate.Examples(r.Prompts, it.Selected)
				if err != nil {
					t.Fatal(err)
				}
				if it.N != n || it.Split != want.Split || len(examples) != want.Examples || eval.Margin(it.Candidates) != want.Margin || len(it.Log.Steps) != len(want.Loss) {
					t.Errorf("iteration %d: %d examples, margin %v, %d steps; the run had %+v", n, len(examples), eval.Margin(it.Candidates), len(it.Log.Steps), want)
				}
			}
			if last, err := ReadIteration(t.Context(), dir, 0); err != nil || last.Iteration.N != 2 {
				t.Errorf("the last iteration: %v", err)
			}
			if _, err := ReadIteration(t.Context(), dir, 3); !errors.Is(err, ErrNotReached) || !strings.Contains(err.Error(), "1 to 2") {
				t.Errorf("iteration 3: %v", err)
			}
		})
	}
}

// A run that shares its calls with others is read from where they are.
func TestReadIterationOfSharedRun(t *testing.T) {
	e, dir, share := small(t), filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "shared")
	e.Algorithm.Iterations = 1
	if _, err := Run(t.Context(), Options{Resolved: e, Out: dir, Share: share, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if r, err := ReadIteration(t.Context(), dir, 0); err != nil || len(r.Iteration.Selected) == 0 || len(r.Iteration.Log.Steps) == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := os.RemoveAll(filepath.Join(dir, modelsDir)); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadIteration(t.Context(), dir, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a ledger: %v", err)
	}
}
