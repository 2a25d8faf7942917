package ledger

import (
	"context"
	"errors"
	"sync"
)

// errPanicked is what waiting callers see when the one that did the work panicked.
var errPanicked = errors.New("the caller doing this work panicked")

// flights makes concurrent requests for one key share one execution.
type flights[K comparable, V any] struct {
	mu sync.Mutex
	m  map[K]*flight[V]
}

type flight[V any] struct {
	done      chan struct{} // closed when the rest may be read
	value     V
	err       error
	abandoned bool // the leader was cancelled: its error is not the work's
}

// do runs work, or waits for the caller that already runs it; led says which. A follower
// whose leader was cancelled takes over.
func (f *flights[K, V]) do(ctx context.Context, key K, work func() (V, error)) (value V, led bool, err error) {
	for {
		f.mu.Lock()
		if f.m == nil {
			f.m = make(map[K]*flight[V])
		}
		leader, flying := f.m[key]
		if !flying {
			leader = &flight[V]{done: make(chan struct{}), err: errPanicked}
			f.m[key] = leader
		}
		f.mu.Unlock()
		if !flying {
			f.lead(ctx, key, leader, work)
			return leader.value, true, leader.err
		}
		select {
		case <-leader.done:
		case <-ctx.Done():
			return value, false, ctx.Err()
		}
		if !leader.abandoned {
			return leader.value, false, leader.err
		}
	}
}

func (f *flights[K, V]) lead(ctx context.Context, key K, leader *flight[V], work func() (V, error)) {
	defer func() { // also when work panics
		leader.abandoned = leader.err != nil && ctx.Err() != nil
		f.mu.Lock()
		delete(f.m, key)
		f.mu.Unlock()
		close(leader.done)
	}()
	leader.value, leader.err = work()
}
