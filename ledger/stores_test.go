package ledger

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"stargate/ledger/pgtest"
)

// EachStore runs a test for ledgers in files and for ledgers in Postgres. Fresh names a
// place where there is none yet.
func EachStore(t *testing.T, test func(t *testing.T, fresh func() string)) {
	t.Helper()
	t.Run("file", func(t *testing.T) {
		test(t, func() string { return filepath.Join(t.TempDir(), "ledger.db") })
	})
	t.Run("postgres", func(t *testing.T) { test(t, pgtest.Shared(t).Fresh) })
}

// Exec runs a statement in a ledger behind its back.
func Exec(t *testing.T, path, statement string) {
	t.Helper()
	s, err := place(path)
	if err != nil {
		t.Fatal(err)
	}
	if isPostgres(s) {
		if err := pgtest.Exec(path, statement); err != nil {
			t.Fatal(err)
		}
		return
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(errors.Join(err, db.Close()))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
