// Package embedded is the trainer that needs nothing else: lm/local's engine on this machine's
// processors. Its checkpoints end bit-equal with a fine-tune that was never stopped.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/trainer"
)

// Trainer fine-tunes with the embedded engine.
type Trainer struct {
	// Base opens the model a job starts from; nil opens the directory Job.Base. It is closed
	// after the job.
	Base func(job trainer.Job) (*local.Model, error)
	// Every is the least time between two checkpoints; 0 means after every step.
	Every time.Duration
	// Options say how the model runs when Base is nil.
	Options local.Options
}

var _ trainer.Trainer = (*Trainer)(nil)

const (
	madeDir       = "model"       // where the model is until it is published
	checkpointDir = "checkpoints" // of lm/local
)

// Train implements [trainer.Trainer]. A LoRA job's result is the whole model, merged, with the
// adapter in PEFT's format in its folder "adapter".
func (t *Trainer) Train(ctx context.Context, job trainer.Job) (_ trainer.Result, err error) {
	if job.Set.Weighted() {
		return trainer.Result{}, fmt.Errorf("tune %s: %w", job.Name, trainer.ErrWeighted)
	}
	w, err := trainer.OpenWork(job, "embedded")
	if err != nil {
		return trainer.Result{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if r, ok, err := w.Published(); ok || err != nil {
		return r, err
	}
	m, err := t.open(job)
	if err != nil {
		return trainer.Result{}, err
	}
	defer m.Close()
	each := func(s lm.TuneStep, steps int) {
		job.Notify(trainer.Progress{Step: s.Step, Steps: steps, Loss: s.Loss, LearningRate: s.LearningRate, GradNorm: s.GradNorm})
	}
	tuned, log, err := m.TuneSet(ctx, job.Name, job.Set, job.Hyper, local.Checkpoints{Dir: w.Path(checkpointDir), Every: t.Every}, each)
	if err != nil {
		return trainer.Result{Log: log}, err
	}
	defer tuned.Close()
	if err := os.RemoveAll(w.Path(madeDir)); err != nil {
		return trainer.Result{}, err
	}
	if err := tuned.Save(w.Path(madeDir)); err != nil {
		return trainer.Result{}, fmt.Errorf("tune %s: %w", job.Name, err)
	}
	return w.Publish(w.Path(madeDir), trainer.Result{Log: log})
}

func (t *Trainer) open(job trainer.Job) (*local.Model, error) {
	if t.Base != nil {
		return t.Base(job)
	}
	return local.OpenDir(job.Base, t.Options)
}
