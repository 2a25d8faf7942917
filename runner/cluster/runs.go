package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Opener opens a run by its name for a worker. It fails if what it opens is not the run with
// this identity. ctx ends with the worker.
type Opener func(ctx context.Context, run, identity string) (Part, error)

// mostIdle is how many runs a worker keeps open that it has nothing to do for.
const mostIdle = 1

// runs are the runs that a worker has open: one for all its activities, so that models are
// in memory once.
type runs struct {
	ctx  context.Context
	open Opener

	mu   sync.Mutex
	all  map[string]*opened
	idle []*opened // longest idle first

	background sync.WaitGroup // of openings and closings
	failed     error          // of what was closed to make room
}

type opened struct {
	key   string
	ready chan struct{} // closed when part or err is there
	part  Part
	err   error
	users int

	spoiled bool // nobody takes it any more
}

func newRuns(ctx context.Context, open Opener) *runs {
	return &runs{ctx: ctx, open: open, all: map[string]*opened{}}
}

// take opens a run, or joins those who have it. Leave it when done.
func (r *runs) take(ctx context.Context, run, identity string) (*opened, error) {
	key := run + "/" + identity
	r.mu.Lock()
	o, there := r.all[key]
	if !there {
		o = &opened{key: key, ready: make(chan struct{})}
		r.all[key] = o
		r.background.Go(func() {
			defer close(o.ready)
			o.part, o.err = r.open(r.ctx, run, identity)
		})
	}
	o.users++
	r.unidle(o)
	r.mu.Unlock()
	select {
	case <-o.ready:
	case <-ctx.Done():
		r.leave(o)
		return nil, ctx.Err()
	}
	if o.err != nil {
		r.leave(o)
		return nil, fmt.Errorf("run %s: %w", run, o.err)
	}
	return o, nil
}

func (r *runs) unidle(o *opened) {
	for i, other := range r.idle {
		if other == o {
			r.idle = append(r.idle[:i], r.idle[i+1:]...)
			return
		}
	}
}

// spoil has the next activity open the run anew: a ledger that met a full disk takes nothing
// any more. The old one is closed when nobody uses it.
func (r *runs) spoil(o *opened) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.spoiled = true
	if r.all[o.key] == o {
		delete(r.all, o.key)
	}
}

// leave gives a run back. It stays open until others have been idle for less.
func (r *runs) leave(o *opened) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.users--; o.users > 0 {
		return
	}
	select {
	case <-o.ready:
	default: // still opening, for nobody: kept
		r.idle = append(r.idle, o)
		return
	}
	if o.err != nil { // the next activity tries again
		delete(r.all, o.key)
		return
	}
	if o.spoiled {
		r.background.Go(func() {
			if err := o.close(); err != nil { // that it was to be expected does not mean that nobody may know
				slog.Warn("a run that could not go on was closed", "run", o.key, "error", err)
			}
		})
		return
	}
	r.idle = append(r.idle, o)
	for len(r.idle) > mostIdle {
		old := r.idle[0]
		r.idle = r.idle[1:]
		delete(r.all, old.key)
		r.background.Go(func() {
			err := old.close()
			r.mu.Lock()
			defer r.mu.Unlock()
			r.failed = errors.Join(r.failed, err)
		})
	}
}

// close waits for the opening, if that is not over.
func (o *opened) close() error {
	<-o.ready
	if o.part == nil {
		return nil
	}
	return o.part.Close()
}

// close closes all runs, and tells what failed of those that were closed before. No activity
// may be under way.
func (r *runs) close() error {
	r.background.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []error{r.failed}
	for _, o := range r.all {
		all = append(all, o.close())
	}
	return errors.Join(all...)
}
