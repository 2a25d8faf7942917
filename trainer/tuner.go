package trainer

import (
	"context"
	"fmt"
	"path/filepath"

	"stargate/lm"
	"stargate/lm/trainset"
)

// Tuner is an [lm.Tuner] whose work a [Trainer] does.
type Tuner struct {
	Trainer Trainer
	Base    string           // see Job
	Encoder trainset.Encoder // of the base model
	Context int              // most tokens of an example
	Models  string           // the model named m is Models/m, and its work directory Models/m.training
	Observe func(Progress)   // may be nil

	// Open makes a finished model ready to speak: it opens the directory, or has a server load
	// it under a name of its own.
	Open func(ctx context.Context, r Result) (lm.Generator, error)
}

var _ lm.Tuner = (*Tuner)(nil)

// Tune implements [lm.Tuner].
func (t *Tuner) Tune(ctx context.Context, name string, examples []lm.Example, h lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	r, err := t.Train(ctx, name, examples, h)
	if err != nil {
		return nil, lm.TuneLog{}, err
	}
	g, err := t.Open(ctx, r)
	if err != nil {
		return nil, r.Log, fmt.Errorf("tune %s: open %s: %w", name, r.Dir, err)
	}
	return g, r.Log, nil
}

// Train is Tune without opening what it made.
func (t *Tuner) Train(ctx context.Context, name string, examples []lm.Example, h lm.Hyper) (Result, error) {
	set, err := trainset.New(t.Encoder, examples, t.Context, h.HeldOut, h.Seed)
	if err != nil {
		return Result{}, fmt.Errorf("tune %s: %w", name, err)
	}
	r, err := t.Trainer.Train(ctx, Job{Name: name, Base: t.Base, Set: set, Hyper: h, Dir: filepath.Join(t.Models, name), Observe: t.Observe})
	if err != nil {
		return r, fmt.Errorf("tune %s: %w", name, err)
	}
	return r, nil
}
