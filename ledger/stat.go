package ledger

import (
	"context"
	"database/sql"
	"time"
)

// Stat is what a ledger holds and how much room it takes.
type Stat struct {
	Place    string      `json:"place"` // path, or address without password
	Run      string      `json:"run"`
	Identity string      `json:"identity"` // digest of the run's settings
	Schema   int64       `json:"schema"`
	Tables   []TableStat `json:"tables"`
	Bytes    int64       `json:"bytes"` // indexes included
	Moved    int64       `json:"moved"` // calls whose bodies are in shards
	Roles    []Totals    `json:"roles"`
	Workers  []Worker    `json:"workers,omitempty"` // Postgres: who has it open
}

// TableStat is the size of one table.
type TableStat struct {
	Name  string `json:"name"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes,omitempty"` // with its indexes; 0 in a file, where only the sum is known
}

// Worker is a process that has the ledger open, or had and was killed.
type Worker struct {
	ID      int64     `json:"id"`
	Host    string    `json:"host"`
	PID     int64     `json:"pid"`
	Opened  time.Time `json:"opened"`
	Expires time.Time `json:"expires"` // end of its lease, unless it renews it
	Alive   bool      `json:"alive"`
	Claims  int64     `json:"claims"` // calls and steps it is at
}

// Stat counts. It reads every table once.
func (r *Reader) Stat(ctx context.Context) (Stat, error) {
	id, err := r.Identity(ctx)
	if err != nil {
		return Stat{}, err
	}
	s := Stat{Place: r.store.String(), Run: id.Name, Identity: id.Digest}
	if s.Schema, err = applied(ctx, r.store, r.db); err != nil {
		return Stat{}, err
	}
	sizes, err := r.store.bytes(ctx, r.db)
	if err != nil {
		return Stat{}, err
	}
	for _, n := range sizes {
		s.Bytes += n
	}
	for _, table := range []string{"call", "also", "failure", "step", "document", "shard", "source"} {
		t := TableStat{Name: table, Bytes: sizes[table]}
		if t.Rows, err = r.count(ctx, "SELECT count(*) FROM "+table); err != nil {
			return Stat{}, err
		}
		s.Tables = append(s.Tables, t)
	}
	if s.Moved, err = r.count(ctx, "SELECT count(*) FROM call WHERE shard IS NOT NULL"); err != nil {
		return Stat{}, err
	}
	if s.Roles, err = r.Totals(ctx); err != nil {
		return Stat{}, err
	}
	if isPostgres(r.store) {
		s.Workers, err = r.workers(ctx)
	}
	return s, err
}

func (r *Reader) count(ctx context.Context, query string) (n int64, err error) {
	err = r.eachRow(ctx, "count", func() (*sql.Rows, error) { return r.db.QueryContext(ctx, query) }, func(rows *sql.Rows) error {
		return rows.Scan(&n)
	})
	return n, err
}

func (r *Reader) workers(ctx context.Context) (list []Worker, err error) {
	err = r.eachRow(ctx, "list workers", func() (*sql.Rows, error) {
		list = nil
		return r.db.QueryContext(ctx, `SELECT id, host, pid, opened, expires, `+living+`, (SELECT count(*) FROM claim WHERE worker = worker.id) FROM worker ORDER BY id`)
	}, func(rows *sql.Rows) error {
		var w Worker
		err := rows.Scan(&w.ID, &w.Host, &w.PID, &w.Opened, &w.Expires, &w.Alive, &w.Claims)
		list = append(list, w)
		return err
	})
	return list, err
}
