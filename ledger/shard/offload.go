package shard

import (
	"bytes"
	"container/list"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"stargate/ledger"
)

// Threshold is the number of calls above which a run should keep bodies only in shards.
const Threshold = 10_000_000

// Offload moves the bodies of settled calls from l into shard n of a stage: it publishes the
// shard, then lets the ledger point there. Keys are those of a [ledger.Recorder] over the
// work on whole pairs. Killed in between, it can be repeated. Calls that were settled by an
// error stay in the ledger. The entry is empty if no call has a body.
func Offload(ctx context.Context, s *Store, l *ledger.Ledger, stage string, n int, keys []ledger.Key) (Entry, error) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b ledger.Key) int { return bytes.Compare(a[:], b[:]) })
	keys = slices.Compact(keys)
	rows := make([]Call, 0, len(keys))
	moving := make([]ledger.Key, 0, len(keys))
	calls, err := l.Several(ctx, keys)
	if err != nil {
		return Entry{}, err
	}
	for i, k := range keys {
		if i >= len(calls) || calls[i].Key != k {
			return Entry{}, fmt.Errorf("shards %s: stage %s, shard %d: call %s is not settled: finish the pairs of the shard first", s.shown, stage, n, k)
		}
		if calls[i].Err == nil {
			rows, moving = append(rows, rowOfCall(calls[i])), append(moving, k)
		}
	}
	if len(rows) == 0 {
		return Entry{}, nil
	}
	e, err := Publish(ctx, s, stage, n, rows)
	if err != nil {
		return Entry{}, err
	}
	moved := ledger.Shard{Name: e.Name, Calls: e.Rows}
	if _, err := hex.Decode(moved.Digest[:], []byte(e.SHA256)); err != nil {
		return Entry{}, fmt.Errorf("shards %s: %s: its digest: %w", s.shown, e.Name, err)
	}
	return e, l.MoveBodies(ctx, moved, moving)
}

// Shelf reads bodies back for a ledger ([ledger.Reader.ReadBodies]). It keeps the shards it
// used last in memory, since replays go through the pairs in order.
type Shelf struct {
	store *Store
	keep  int

	mu     sync.Mutex
	shards map[string]*list.Element
	recent *list.List // of *shelved, the last used in front
}

type shelved struct {
	name string
	once sync.Once
	rows []Call
	err  error
}

// NewShelf is a shelf that holds keep shards, at least one.
func NewShelf(s *Store, keep int) *Shelf {
	return &Shelf{store: s, keep: max(keep, 1), shards: make(map[string]*list.Element), recent: list.New()}
}

// Body is the call of key in the shard.
func (h *Shelf) Body(ctx context.Context, s ledger.Shard, key ledger.Key) (ledger.Call, error) {
	b := h.shard(s.Name)
	b.once.Do(func() { b.rows, b.err = h.load(ctx, s) })
	for b.err != nil {
		h.forget(b)
		if ctx.Err() != nil || !errors.Is(b.err, context.Canceled) && !errors.Is(b.err, context.DeadlineExceeded) {
			return ledger.Call{}, b.err
		}
		b = h.shard(s.Name) // the one who was reading it was told to stop
		b.once.Do(func() { b.rows, b.err = h.load(ctx, s) })
	}
	i, ok := slices.BinarySearchFunc(b.rows, key, func(r Call, k ledger.Key) int { return bytes.Compare(r.Key[:], k[:]) })
	if !ok {
		return ledger.Call{}, fmt.Errorf("shards %s: %s: %w: it does not have call %s", h.store.shown, s.Name, ErrDamaged, key)
	}
	return b.rows[i].call()
}

// shard is the place of a shard on the shelf; the one that was not used for longest goes.
func (h *Shelf) shard(name string) *shelved {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e, ok := h.shards[name]; ok {
		h.recent.MoveToFront(e)
		return e.Value.(*shelved)
	}
	b := &shelved{name: name}
	h.shards[name] = h.recent.PushFront(b)
	for h.recent.Len() > h.keep {
		delete(h.shards, h.recent.Remove(h.recent.Back()).(*shelved).name)
	}
	return b
}

// forget takes a shard that could not be read off the shelf, so that the next one who wants
// it tries again.
func (h *Shelf) forget(b *shelved) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e, ok := h.shards[b.name]; ok && e.Value == b {
		h.recent.Remove(e)
		delete(h.shards, b.name)
	}
}

func (h *Shelf) load(ctx context.Context, s ledger.Shard) ([]Call, error) {
	data, err := h.store.load(ctx, Entry{Name: s.Name, SHA256: hex.EncodeToString(s.Digest[:])})
	if err != nil {
		return nil, err
	}
	rows := make([]Call, 0, s.Calls)
	for row, err := range decode[Call](data) {
		if err != nil {
			return nil, fmt.Errorf("shards %s: %s: %w", h.store.shown, s.Name, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}
