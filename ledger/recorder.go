package ledger

import (
	"bytes"
	"context"
	"slices"
	"sync"
)

// Recorder notes which calls a piece of work used: made, replayed or shared with others.
type Recorder struct {
	outer *Recorder // of the work that this is a part of
	mu    sync.Mutex
	keys  map[Key]struct{}
}

type recorderKey struct{}

// Recording returns a context under which the calls of every ledger are noted.
func Recording(ctx context.Context) (context.Context, *Recorder) {
	r := &Recorder{keys: make(map[Key]struct{})}
	r.outer, _ = ctx.Value(recorderKey{}).(*Recorder)
	return context.WithValue(ctx, recorderKey{}, r), r
}

// Keys are the keys of the calls noted so far, in order, each once.
func (r *Recorder) Keys() []Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]Key, 0, len(r.keys))
	for k := range r.keys {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	return keys
}

func note(ctx context.Context, key Key) {
	r, _ := ctx.Value(recorderKey{}).(*Recorder)
	for ; r != nil; r = r.outer {
		r.mu.Lock()
		r.keys[key] = struct{}{}
		r.mu.Unlock()
	}
}
