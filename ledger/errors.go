package ledger

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"stargate/lm"
)

// Errors callers branch on. Each comes wrapped with the file's path and what to do next.
var (
	// ErrCorrupt: the file is damaged, or is something else than a ledger.
	ErrCorrupt = errors.New("damaged, or not a ledger")
	// ErrNewerSchema: a newer version of the program wrote this ledger.
	ErrNewerSchema = errors.New("written by a newer version of this program")
	// ErrOlderSchema: a reader met a ledger that an older version wrote.
	ErrOlderSchema = errors.New("written by an older version of this program")
	// ErrOtherRun: the ledger belongs to a run with other settings.
	ErrOtherRun = errors.New("belongs to another run")
	// ErrInUse: another process, or another Ledger of this one, has it open.
	ErrInUse = errors.New("in use by another process")
	// ErrReadOnly: the folder or the file cannot be written.
	ErrReadOnly = errors.New("cannot be written")
	// ErrDiskFull: no space is left. Everything acknowledged before is kept.
	ErrDiskFull = errors.New("no space left on the disk")
	// ErrClosed: the ledger was closed.
	ErrClosed = errors.New("the ledger is closed")
	// ErrConflict: a document exists under this key with another body.
	ErrConflict = errors.New("the key holds another document")
)

// explain turns an error of SQLite or the system into one that names the file, the kind
// (one of the sentinels above, where there is one) and the next step.
func explain(path, doing string, err error) error {
	kind, advice := diagnose(err)
	if kind == nil {
		return fmt.Errorf("ledger %s: %s: %w", path, doing, err)
	}
	return fmt.Errorf("ledger %s: %s: %w (%s): %w", path, doing, kind, advice, err)
}

func diagnose(err error) (kind error, advice string) {
	const (
		corrupt  = "move it and its -wal file away and run again: its calls are then made anew; sqlite3's .recover may save what is readable"
		full     = "free some space and run again: all finished calls are kept"
		readOnly = "give write permission to the folder, or choose another one"
		inUse    = "wait for the other process or stop it"
	)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return ErrDiskFull, full
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return nil, ""
	}
	// SHMSIZE is how a full disk shows when the shared-memory file must grow.
	if se.Code() == sqlite3.SQLITE_IOERR_SHMSIZE {
		return ErrDiskFull, full
	}
	switch se.Code() & 0xff { // the low byte is the primary code
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrCorrupt, corrupt
	case sqlite3.SQLITE_FULL:
		return ErrDiskFull, full
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return ErrReadOnly, readOnly
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return ErrInUse, inUse
	}
	return nil, ""
}

// Outcomes of calls that are final: asking the same model the same again gives the same
// error, so they are settled like results. A refusal is final too: a caller that wants
// another answer asks with another seed, which is another call.
var finalErrors = []struct {
	outcome string
	err     error
}{
	{"context-length", lm.ErrContextLength},
	{"refused", lm.ErrRefused},
	{"empty-target", lm.ErrEmptyTarget},
}

// finalOutcome names a final error, or "" if the call stays owed.
func finalOutcome(err error) string {
	for _, f := range finalErrors {
		if errors.Is(err, f.err) {
			return f.outcome
		}
	}
	return ""
}

// failureKind names an error that leaves its call owed. A model that cannot score is owed
// because that may change with a server's settings.
func failureKind(err error) string {
	switch {
	case errors.Is(err, lm.ErrCannotScore):
		return "cannot-score"
	case errors.Is(err, lm.ErrNonFinite):
		return "non-finite"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	default:
		return "error"
	}
}

// replayedError is a final error read back from its row.
type replayedError struct {
	message string
	kind    error
}

func (e *replayedError) Error() string { return e.message }
func (e *replayedError) Unwrap() error { return e.kind }
