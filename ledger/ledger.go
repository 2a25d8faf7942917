package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Identity says which run a ledger belongs to.
type Identity struct {
	Name   string // shown in errors
	Digest string // of everything that determines the run's results; compared at Open
}

// Ledger is an open ledger: the one writer of its file, and a reader too. All methods may
// be called concurrently.
type Ledger struct {
	*Reader
	writer *writer
	lock   *lock

	calls flights[Key, row]
	steps flights[string, json.RawMessage]

	known prefixes // of keys that may have a row
	tally tally

	closeOnce sync.Once
	closeErr  error
}

// Open opens the ledger at path, or creates it in an existing folder, for the run named by
// id. It fails with [ErrInUse], [ErrCorrupt], [ErrNewerSchema], [ErrOtherRun], [ErrReadOnly]
// or [ErrDiskFull]; then the file is as it was. It reads the whole file once, to find damage
// before anything is built on it.
func Open(path string, id Identity) (_ *Ledger, err error) {
	if id.Digest == "" {
		return nil, fmt.Errorf("ledger %s: open: the identity has no digest", path)
	}
	if err := checkFolder(path); err != nil {
		return nil, err
	}
	lk, err := acquire(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lk.release())
		}
	}()
	db, err := openWriter(path, id)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	reader, err := newReader(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, reader.Close())
		}
	}()
	l := &Ledger{Reader: reader, lock: lk}
	if err = l.known.load(reader); err != nil {
		return nil, err
	}
	if l.writer, err = startWriter(path, db); err != nil {
		return nil, err
	}
	return l, nil
}

// checkFolder says plainly what SQLite would only call "unable to open".
func checkFolder(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("ledger %s: open: %w (its folder is not there: make it first): %w", path, ErrReadOnly, err)
	case !info.IsDir():
		return fmt.Errorf("ledger %s: open: %w (%s is not a folder)", path, ErrReadOnly, dir)
	}
	return nil
}

// openWriter opens the one connection that writes. The caller holds the lock.
func openWriter(path string, id Identity) (*sql.DB, error) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", dsn(path,
		"busy_timeout(10000)",      // a reader that recovers the file after a kill
		"synchronous(NORMAL)",      // survives kill -9; see the package comment
		"cache_size(-65536)",       // 64 MiB: the key index of a million calls
		"wal_autocheckpoint(4000)", // 16 MiB of log between the fsyncs of a checkpoint
		"foreign_keys(OFF)",        // the writer interns sources itself
	))
	if err != nil {
		return nil, explain(path, "open", err)
	}
	db.SetMaxOpenConns(1)
	prepare := func() error {
		if _, err := recognise(ctx, db, path); err != nil { // before anything is written
			return err
		}
		if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
			return explain(path, "open", err)
		}
		if err := checkPages(ctx, db, path); err != nil {
			return err
		}
		if err := migrate(ctx, db, path); err != nil {
			return err
		}
		return claim(ctx, db, path, id)
	}
	if err := prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close waits for what is being written, then closes the file. Requests after it fail with
// [ErrClosed].
func (l *Ledger) Close() error {
	l.closeOnce.Do(func() {
		l.writer.stop()
		l.closeErr = errors.Join(l.Reader.Close(), l.writer.close(), l.lock.release())
	})
	return l.closeErr
}

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
		return explain(r.path, "read the keys", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var raw sql.RawBytes
		if err := rows.Scan(&raw); err != nil {
			return explain(r.path, "read the keys", err)
		}
		if len(raw) != len(Key{}) {
			return fmt.Errorf("ledger %s: read the keys: %w (a key has %d bytes)", r.path, ErrCorrupt, len(raw))
		}
		p.m[Key(raw).prefix()] = struct{}{}
	}
	if err := rows.Err(); err != nil {
		return explain(r.path, "read the keys", err)
	}
	return nil
}
