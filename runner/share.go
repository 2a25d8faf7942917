package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stargate/ledger"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/telemetry"
)

// Shared is a run that several machines do: what each of them needs to open it. It is a
// document of the run's ledger, which all of them see, so that nothing else has to be handed
// around but the run's name.
type Shared struct {
	Manifest Manifest      `json:"manifest"`
	Budget   remote.Limits `json:"budget,omitzero"`
	A        int           `json:"a"` // pairs of the splits
	B        int           `json:"b"`
	Test     int           `json:"test"`
}

// sharedDocument is where a ledger keeps a [Shared].
const sharedDocument = "run shared by workers"

// ErrNotShared: a worker is asked about a run that was not begun for several machines.
var ErrNotShared = errors.New("the ledger holds no run for workers")

// Share begins a run, or goes on with one, that workers on several machines do: it resolves
// the experiment, makes the run directory and the ledger, and checks what can be checked
// before the first hour of work. o must name a ledger on Postgres.
func Share(ctx context.Context, o Options) (dir string, _ *Shared, err error) {
	s, err := open(ctx, o)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := s.evaluation(); err != nil {
		return "", nil, err
	}
	if s.storage.Ledger == "" {
		return "", nil, errors.New("workers on several machines share a ledger on Postgres: give --ledger postgres://USER@HOST/DATABASE")
	}
	if err := s.golds(ctx); err != nil {
		return "", nil, err
	}
	in := s.input()
	if err := in.Validate(); err != nil {
		return "", nil, err
	}
	shared := &Shared{Manifest: s.manifest, Budget: o.limits(s.experiment), A: len(in.A.Pairs), B: len(in.B.Pairs), Test: len(s.data.Test.Pairs)}
	var before Shared
	found, err := s.ledger.Get(ctx, sharedDocument, &before)
	switch {
	case err != nil:
		return "", nil, err
	case found: // a run that goes on is what it was
		return s.dir, &before, nil
	}
	return s.dir, shared, s.ledger.Put(ctx, sharedDocument, shared)
}

// JoinOptions say how a worker opens runs.
type JoinOptions struct {
	Ledger  string // postgres://USER@HOST/DATABASE of all runs
	Store   string // of all runs; "": models are found in Work, which all workers see
	Work    string // directory for the files of runs
	Workers int    // processors of the embedded engine; 0 = all
	Source  Source // where this machine has what the run reads, if not where the one that began it has
	Observe func(Event)

	Scripted  *Scripted            // as in [Options]
	Telemetry *telemetry.Telemetry // may be nil; changes no result

	// Duties are what this process does: it opens the models that these ask, and need not reach
	// others. None are all.
	Duties []Duty
}

// Join opens a run of this name that was begun with [Share]. It fails with [ErrOtherRun] if
// what this machine would do is another run than the one with this identity: other data,
// prompts, models, or another version of the program.
func Join(ctx context.Context, o JoinOptions, run, identity string) (*Part, error) {
	address, err := ledger.InSchema(o.Ledger, run)
	if err != nil {
		return nil, err
	}
	shared, err := readShared(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", run, err)
	}
	m := shared.Manifest
	m.Experiment.Storage.BodiesAbove = m.Storage.BodiesAbove // where things are is this machine's; when they move is the run's
	options := Options{Resolved: &m.Experiment, Out: filepath.Join(o.Work, run), Seed: m.Seed, Workers: o.Workers, Ledger: o.Ledger, Store: o.Store,
		Budget: shared.Budget, Version: m.Version, Source: o.Source.over(m.Source), Observe: o.Observe, Scripted: o.Scripted, Telemetry: o.Telemetry,
		joined: true, reach: reachOf(o.Duties, m)}
	s, err := open(ctx, options)
	if err != nil {
		return nil, err
	}
	if s.manifest.Identity != identity {
		err := fmt.Errorf("%w: run %s; %s on this machine", ErrOtherRun, run, difference(&m, &s.manifest))
		return nil, errors.Join(err, s.close())
	}
	if err := s.golds(ctx); err != nil { // which are in the ledger
		return nil, errors.Join(err, s.close())
	}
	return newPart(s, options)
}

func readShared(ctx context.Context, address string) (*Shared, error) {
	r, err := ledger.OpenReader(address)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w; begin it with stargate run --cluster", ErrNotShared, err)
	case err != nil:
		return nil, err
	}
	defer r.Close() // only read
	shared := new(Shared)
	found, err := r.Get(ctx, sharedDocument, shared)
	if err == nil && !found {
		err = fmt.Errorf("%w; begin it with stargate run --cluster", ErrNotShared)
	}
	return shared, err
}

// over puts s over t, field by field.
func (s Source) over(t Source) Source {
	for _, f := range []struct{ from, to *string }{
		{&s.ModelDir, &t.ModelDir}, {&s.WorldFile, &t.WorldFile}, {&s.PromptsDir, &t.PromptsDir}, {&s.Data, &t.Data},
		{&s.Tasks, &t.Tasks}, {&s.Personas, &t.Personas}, {&s.Names, &t.Names}, {&s.Gold, &t.Gold},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	return t
}

// BaseDigest is the digest of an experiment's base model, by which workers that reach it are
// found.
func BaseDigest(ctx context.Context, experiment string, source Source) (_ string, err error) {
	e, err := LoadExperiment(experiment)
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp("", "stargate-base-")
	if err != nil {
		return "", err
	}
	s := &session{dir: work, experiment: e, budget: remote.NewBudget(remote.Limits{}), clock: startClock(), models: &models{engine: local.NewEngine(1), digests: map[string]string{}}}
	defer func() { err = errors.Join(err, s.close(), os.RemoveAll(work)) }()
	if err := s.cast.base(ctx, s, source.ModelDir); err != nil {
		return "", err
	}
	return s.cast.questioner.digest, nil
}
