package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// Identity says which run a ledger belongs to.
type Identity struct {
	Name   string // shown in errors
	Digest string // of everything that determines the run's results; compared at Open
}

// Ledger is an open ledger: a writer, and a reader too. All methods may be called
// concurrently.
type Ledger struct {
	*Reader
	writer  *writer
	turns   turns
	release func() error // of what keeps other processes out

	calls flights[Key, row]
	steps flights[string, json.RawMessage]
	tally tally
	watch Watcher // may be nil

	closeOnce sync.Once
	closeErr  error
}

// Open opens the ledger at path, or creates it, for the run named by id.
//
// A path is that of a file in an existing folder. Open then fails with [ErrInUse],
// [ErrCorrupt], [ErrNewerSchema], [ErrOtherRun], [ErrReadOnly] or [ErrDiskFull], and the
// file is as it was. It reads the whole file once, to find damage before anything is built
// on it.
//
// A path that begins with postgres:// or postgresql:// is a schema of a Postgres database:
// postgres://user@host/database?search_path=SCHEMA, with the parameters of libpq. The
// schema is made if it is not there; any number of processes may have it open. Two
// parameters are the ledger's own, both durations: stargate_lease (30s) is how long a process
// may be silent before others take over its work, stargate_patience (15m) how long to wait
// for a server that is away. Open itself waits a quarter of a minute for it, then fails with
// [ErrAway]. Connections are sessions: a pooler that shares them by transaction will not do.
func Open(path string, id Identity) (*Ledger, error) {
	s, err := place(path)
	if err != nil {
		return nil, err
	}
	if id.Digest == "" {
		return nil, fmt.Errorf("ledger %s: open: the identity has no digest", s)
	}
	if p, ok := s.(*postgres); ok {
		return openPostgres(p, id)
	}
	return openFile(s.(file), id)
}

// Usable is nil while the ledger accepts work. After the first write that failed for good, such
// as on a full disk, it is that failure: the ledger has to be opened anew.
func (l *Ledger) Usable() error { return l.writer.usable() }

// Close waits for what is being written, then closes the ledger. Requests after it fail with
// [ErrClosed].
func (l *Ledger) Close() error {
	l.closeOnce.Do(func() {
		l.writer.stop()
		l.closeErr = errors.Join(l.turns.close(), l.Reader.Close(), l.writer.close(), l.release())
	})
	return l.closeErr
}
