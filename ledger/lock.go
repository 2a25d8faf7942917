package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// lock is held by the one process that has a ledger open. It is SQLite's own exclusive lock
// on an empty file beside the ledger: it works wherever SQLite does, and the system drops
// it when the process dies, however it dies. The file stays; only the lock counts.
type lock struct {
	db   *sql.DB
	conn *sql.Conn
}

func acquire(f file) (*lock, error) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", dsn(string(f)+"-lock", "busy_timeout(0)"))
	if err != nil {
		return nil, explain(f, "lock", err)
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		if _, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err == nil {
			return &lock{db: db, conn: conn}, nil
		}
		err = errors.Join(err, conn.Close())
	}
	return nil, explain(f, "lock", errors.Join(err, db.Close()))
}

func (l *lock) release() error {
	if err := errors.Join(l.conn.Close(), l.db.Close()); err != nil {
		return fmt.Errorf("ledger lock: %w", err)
	}
	return nil
}
