package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrQueueFull: more calls wait for a place than Options.Queue allows.
var ErrQueueFull = errors.New("too many calls wait")

// ErrClosed: the fleet was closed.
var ErrClosed = errors.New("the fleet is closed")

// ticket is a call in the queue.
type ticket struct {
	number uint64 // calls are served in this order; a retry keeps its place
	load   int
	prefix []uint64
	only   *endpoint // nil: any
	failed *endpoint // the last attempt's: avoided
	place  chan place

	overtaken int // calls behind it that were served before
}

// place is what a ticket gets.
type place struct {
	at  *endpoint
	err error
}

// acquire waits for a place. Who gets one calls release.
func (f *Fleet) acquire(ctx context.Context, t *ticket) (*endpoint, error) {
	f.mu.Lock()
	switch {
	case f.closed:
		f.mu.Unlock()
		return nil, ErrClosed
	case len(f.queue) >= f.o.Queue && t.failed == nil:
		n := len(f.queue)
		f.mu.Unlock()
		return nil, fmt.Errorf("%w: %d; lower the run's concurrency or raise the queue", ErrQueueFull, n)
	}
	i, _ := slices.BinarySearchFunc(f.queue, t.number, func(t *ticket, n uint64) int { return cmp.Compare(t.number, n) })
	f.queue = slices.Insert(f.queue, i, t)
	f.dispatch()
	f.mu.Unlock()
	select {
	case p := <-t.place:
		return p.at, p.err
	default:
	}
	select {
	case p := <-t.place:
		return p.at, p.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.queue, t); i >= 0 {
		f.queue = slices.Delete(f.queue, i, i+1)
	} else if p := <-t.place; p.at != nil { // the place came at the same moment
		p.at.leave(t.load)
		f.dispatch()
	}
	return nil, ctx.Err()
}

// dispatch gives free places to calls. The mutex is held.
func (f *Fleet) dispatch() {
	now := time.Now()
	for {
		i, e, wait := f.next(now)
		if e == nil {
			if wait >= 0 {
				f.timer.Reset(wait)
			}
			return
		}
		t := f.queue[i]
		e.enter(t, now)
		f.prefixes.note(t.prefix, e)
		t.place <- place{at: e}
		for _, passed := range f.queue[:i] {
			passed.overtaken++
		}
		if i == 0 {
			f.queue[0] = nil
			f.queue = f.queue[1:]
		} else {
			f.queue = slices.Delete(f.queue, i, i+1)
		}
	}
}

// A call whose prefix is at an endpoint without a place lets others overtake: the first
// lookAhead of the queue, and each call at most patience times. No place stays empty for it.
const (
	lookAhead = 32
	patience  = 64
)

// next is the call to serve now and the endpoint that takes it, or how long until there may
// be one; below 0: not a question of time.
func (f *Fleet) next(now time.Time) (index int, at *endpoint, wait time.Duration) {
	wait = -1
	looked := 0
	for i, t := range f.queue {
		e, w, likes := f.choose(t, now)
		if e == nil && w >= 0 && (wait < 0 || w < wait) {
			wait = w
		}
		if e != nil && (likes || t.overtaken >= patience) {
			return i, e, -1
		}
		if at == nil && e != nil {
			index, at = i, e
		}
		if t.only != nil {
			continue
		}
		if looked++; e == nil || looked == lookAhead { // without a place for it there is none for those behind it, or it would wait for ever
			break
		}
	}
	return index, at, wait
}

// wake is what the timer does: a pause or a rate limit's wait is over.
func (f *Fleet) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dispatch()
}

// failWaiting ends the wait of the calls that want this endpoint; nil: of all.
func (f *Fleet) failWaiting(err error, only *endpoint) {
	f.queue = slices.DeleteFunc(f.queue, func(t *ticket) bool {
		if only != nil && t.only != only {
			return false
		}
		t.place <- place{err: err}
		return true
	})
}

// choose is the endpoint that takes t now, or how long until one may; below 0: not a
// question of time. It says whether t likes it: whether no other one is better for its prefix.
func (f *Fleet) choose(t *ticket, now time.Time) (best *endpoint, wait time.Duration, likes bool) {
	wait = -1
	preferred := f.prefixes.owner(t.prefix)
	if preferred != nil && (preferred.down || preferred == t.failed) {
		preferred = nil
	}
	preferredOpen := false
	for _, e := range f.endpoints {
		if e.down || (t.only != nil && t.only != e) || e.inFlight >= e.concurrency.places() ||
			(e.o.Tokens > 0 && e.inFlight > 0 && e.load+t.load > e.o.Tokens) {
			continue
		}
		if w := e.wait(t.load, now); w > 0 {
			if wait < 0 || w < wait {
				wait = w
			}
			continue
		}
		preferredOpen = preferredOpen || e == preferred
		if best == nil || f.better(e, best, t) {
			best = e
		}
	}
	if best == nil || preferred == nil {
		return best, wait, true
	}
	clearlyBusier := preferred.busyness() > 1.5*best.busyness()+4*float64(t.load)/preferred.concurrency.limit
	if preferredOpen && !clearlyBusier {
		return preferred, wait, true
	}
	return best, wait, best == preferred || clearlyBusier
}

// better says whether e suits t better than other: not the one that just failed, then fewer
// tokens in flight for its size.
func (f *Fleet) better(e, other *endpoint, t *ticket) bool {
	if (e == t.failed) != (other == t.failed) {
		return other == t.failed
	}
	return e.busyness() < other.busyness()
}
