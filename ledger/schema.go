package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks the file as a ledger (see the first migration).
const applicationID = 0x53544c47

// dsn is the data source name of the file at path, with pragmas that every connection runs.
func dsn(path string, pragmas ...string) string {
	var q url.Values = make(url.Values)
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + q.Encode()
}

// recognise fails unless the database is empty or a ledger, and returns its schema version
// (0 = empty).
func recognise(ctx context.Context, db *sql.DB, path string) (version int64, err error) {
	var id int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, explain(path, "open", err)
	}
	// A kill during the very first open may leave goose's own table and nothing else.
	var goosed, others int
	const tables = `SELECT count(*) FILTER (WHERE name = 'goose_db_version'), count(*) FILTER (WHERE name <> 'goose_db_version')
		FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`
	if err := db.QueryRowContext(ctx, tables).Scan(&goosed, &others); err != nil {
		return 0, explain(path, "open", err)
	}
	if id != applicationID && (id != 0 || others > 0) {
		return 0, fmt.Errorf("ledger %s: open: %w (it is another program's SQLite file: choose another path)", path, ErrCorrupt)
	}
	if goosed == 0 {
		return 0, nil
	}
	const applied = "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied"
	if err := db.QueryRowContext(ctx, applied).Scan(&version); err != nil {
		return 0, explain(path, "open", err)
	}
	return version, nil
}

// migrations returns the embedded migrations and the version they lead to.
func migrations(db *sql.DB) (*goose.Provider, int64, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: embedded migrations: %w", err)
	}
	var newest int64
	for _, s := range p.ListSources() {
		newest = max(newest, s.Version)
	}
	return p, newest, nil
}

func newerSchema(path string, have, know int64) error {
	return fmt.Errorf("ledger %s: open: %w (its schema is %d, this program knows %d: use the newer program; the file is untouched)",
		path, ErrNewerSchema, have, know)
}

// migrate brings the database to the newest schema; an interrupted migration leaves the
// version before it.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	have, err := recognise(ctx, db, path)
	if err != nil {
		return err
	}
	p, newest, err := migrations(db)
	if err != nil {
		return err
	}
	if have > newest {
		return newerSchema(path, have, newest)
	}
	if have == newest {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return explain(path, fmt.Sprintf("bring the schema from %d to %d", have, newest), err)
	}
	return nil
}

// checkPages walks every page and index. It cannot see a changed byte inside a value.
func checkPages(ctx context.Context, db *sql.DB, path string) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return explain(path, "check", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("ledger %s: check: %w (%s): move it and its -wal file away and run again; its calls are then made anew",
			path, ErrCorrupt, strings.ReplaceAll(verdict, "\n", " "))
	}
	return nil
}

// claim writes id into a new ledger and compares it with that of an old one.
func claim(ctx context.Context, db *sql.DB, path string, id Identity) error {
	if _, err := db.ExecContext(ctx, "INSERT INTO run (id, name, digest) VALUES (1, ?, ?) ON CONFLICT DO NOTHING", id.Name, id.Digest); err != nil {
		return explain(path, "write the run's identity", err)
	}
	held, err := readIdentity(ctx, db, path)
	if err != nil {
		return err
	}
	if held.Digest != id.Digest {
		return fmt.Errorf("ledger %s: open: %w (it holds run %q with settings %.12s, this is %q with %.12s: choose another folder, or go back to its settings)",
			path, ErrOtherRun, held.Name, held.Digest, id.Name, id.Digest)
	}
	return nil
}

func readIdentity(ctx context.Context, db *sql.DB, path string) (id Identity, err error) {
	err = db.QueryRowContext(ctx, "SELECT name, digest FROM run").Scan(&id.Name, &id.Digest)
	if errors.Is(err, sql.ErrNoRows) {
		return id, fmt.Errorf("ledger %s: open: it names no run yet: start the run first", path)
	}
	if err != nil {
		return id, explain(path, "read the run's identity", err)
	}
	return id, nil
}
