package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// turns decides whose turn it is to do a piece of work: nobody's if it is settled, else
// that of one caller in all processes that have the ledger open. Within this process a key
// is asked for by one caller at a time (see flights).
type turns interface {
	// call returns the settled row of key and the role it is stored under; or it returns
	// found == false when the caller has to make the call. The claim then ends with the
	// write of what came of it, or with drop.
	call(ctx context.Context, key Key) (r row, role string, found bool, err error)
	// step is the same for work whose result look finds.
	step(ctx context.Context, key Key, look func() (found bool, err error)) (found bool, err error)
	// settled tells that this process has settled key.
	settled(key Key)
	close() error
}

// alone is for a file, which one process has open: whatever is not settled is its own to do.
type alone struct {
	reader *Reader
	known  prefixes // of keys that may have a row
}

func (a *alone) call(_ context.Context, key Key) (r row, role string, found bool, err error) {
	if !a.known.has(key) {
		return row{}, "", false, nil
	}
	r, role, err = a.reader.lookup(key)
	if isNone(err) {
		return row{}, "", false, nil
	}
	if err != nil {
		return row{}, "", false, explain(a.reader.store, "look up call "+key.String(), err)
	}
	return r, role, true, nil
}

func (a *alone) step(_ context.Context, _ Key, look func() (bool, error)) (bool, error) {
	return look()
}

func (a *alone) settled(key Key) { a.known.add(key) }
func (a *alone) close() error    { return nil }

// prefixes remembers the first 8 bytes of every key with a row, so that a new call costs no
// query. Two keys with one prefix would cost a query, not an error.
type prefixes struct {
	mu sync.RWMutex
	m  map[uint64]struct{}
}

func (p *prefixes) has(k Key) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, ok := p.m[k.prefix()]
	return ok
}

func (p *prefixes) add(k Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.m[k.prefix()] = struct{}{}
}

func (p *prefixes) load(r *Reader) (err error) {
	p.m = make(map[uint64]struct{})
	rows, err := r.db.Query("SELECT key FROM call")
	if err != nil {
		return explain(r.store, "read the keys", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var raw sql.RawBytes
		if err := rows.Scan(&raw); err != nil {
			return explain(r.store, "read the keys", err)
		}
		if len(raw) != len(Key{}) {
			return fmt.Errorf("ledger %s: read the keys: %w (a key has %d bytes)", r.store, ErrCorrupt, len(raw))
		}
		p.m[Key(raw).prefix()] = struct{}{}
	}
	if err := rows.Err(); err != nil {
		return explain(r.store, "read the keys", err)
	}
	return nil
}
