package command

import (
	"context"
	"time"
)

// launcher starts attempts and looks after them. One attempt is alive at a time.
type launcher interface {
	// start begins an attempt and returns its id.
	start(ctx context.Context, a *attempt) (id string, err error)
	// find looks for an attempt that another process began, or was about to begin: its id, or
	// "" if it was never started.
	find(ctx context.Context, a *attempt) (id string, err error)
	// state tells how an attempt is.
	state(ctx context.Context, a *attempt) (state, error)
	// stop ends an attempt with all that it started, and returns when nothing of it is left. It
	// may take the grace twice.
	stop(ctx context.Context, a *attempt, grace time.Duration) error
	// scheduler are lines for the head of run.sh, for a job of this name that logs there.
	scheduler(name, log string) []string
	// poll is the time between two looks.
	poll() time.Duration
}

// state is how an attempt is.
type state struct {
	phase  phase
	detail string // in the launcher's words: "PENDING (Resources)", "signal: killed"
}

type phase int

const (
	waiting phase = iota // it has not begun
	running
	ended // see attempt.exit for the status
)

// sleep waits, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
