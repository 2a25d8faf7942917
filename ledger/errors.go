package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"stargate/lm"
)

// Errors callers branch on. Each comes wrapped with the ledger's place and what to do next.
var (
	// ErrCorrupt: the file is damaged, or the place holds something else than a ledger.
	ErrCorrupt = errors.New("damaged, or not a ledger")
	// ErrNewerSchema: a newer version of the program wrote this ledger.
	ErrNewerSchema = errors.New("written by a newer version of this program")
	// ErrOlderSchema: a reader met a ledger that an older version wrote.
	ErrOlderSchema = errors.New("written by an older version of this program")
	// ErrOtherRun: the ledger belongs to a run with other settings.
	ErrOtherRun = errors.New("belongs to another run")
	// ErrInUse: another process, or another Ledger of this one, has it open.
	ErrInUse = errors.New("in use by another process")
	// ErrReadOnly: the folder, the file or the schema cannot be written.
	ErrReadOnly = errors.New("cannot be written")
	// ErrDiskFull: no space is left. Everything acknowledged before is kept.
	ErrDiskFull = errors.New("no space left on the disk")
	// ErrMoved: the body of a call is in a shard, and nobody told the ledger how to read it.
	ErrMoved = errors.New("its body was moved to a shard")
	// ErrAway: the database server did not come back in the time it was given.
	ErrAway = errors.New("the server is away")
	// ErrNoDatabase: the server has no database of this name.
	ErrNoDatabase = errors.New("there is no such database")
	// ErrDenied: the server does not let this user in.
	ErrDenied = errors.New("the server refuses this user or password")
	// ErrClosed: the ledger was closed.
	ErrClosed = errors.New("the ledger is closed")
	// ErrConflict: a document or shard exists under this name with another content.
	ErrConflict = errors.New("something else is stored there")
)

// explain turns an error of a store or the system into one that names the place, the kind
// (one of the sentinels above, where there is one) and the next step.
func explain(place fmt.Stringer, doing string, err error) error {
	kind, advice := diagnose(err)
	if kind == nil {
		return fmt.Errorf("ledger %s: %s: %w", place, doing, err)
	}
	return fmt.Errorf("ledger %s: %s: %w (%s): %w", place, doing, kind, advice, err)
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
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return diagnosePostgres(pg.Code)
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

// diagnosePostgres reads an SQLSTATE (Postgres' manual, appendix A).
func diagnosePostgres(code string) (kind error, advice string) {
	switch code {
	case "53100": // disk_full
		return ErrDiskFull, "free some space on the server and run again: all finished calls are kept"
	case "3D000": // invalid_catalog_name
		return ErrNoDatabase, "make it, for example with createdb, or correct the address; the schema in it is made by itself"
	case "28P01", "28000": // invalid_password, invalid_authorization_specification
		return ErrDenied, "give the user in the address, and the password in PGPASSWORD or ~/.pgpass"
	case "25006", "42501": // read_only_sql_transaction, insufficient_privilege
		return ErrReadOnly, "use a server that is no standby, and a user who may create and write tables in this schema"
	case "55P03": // lock_not_available
		return ErrInUse, "another session holds a lock on this schema: pg_stat_activity and pg_locks tell which"
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return ErrCorrupt, "the server found damage in its files: see its log"
	}
	return nil, ""
}

// isNone tells that a query found no row.
func isNone(err error) bool { return errors.Is(err, sql.ErrNoRows) }

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
