package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// file is an SQLite file at this path.
type file string

// applicationID marks the file as a ledger (see the first migration).
const applicationID = 0x53544c47

func (f file) String() string { return string(f) }

func (f file) migrations() (string, goose.Dialect) { return "migrations/sqlite", goose.DialectSQLite3 }

// A file does not go away, and what takes microseconds needs no end: a query that can be
// cancelled costs a goroutine.
func (f file) patiently(_ context.Context, operation func(context.Context) error) error {
	return operation(context.Background())
}

func (f file) snapshot() string { return "BEGIN" }

func (f file) transaction() string { return "" }

func (f file) committed(context.Context, executor, string) (bool, error) { return false, nil }

func (f file) encode(text string) string   { return text }
func (f file) decode(stored string) string { return stored }

func (f file) begin(toDisk bool) []string {
	if toDisk {
		return []string{"PRAGMA synchronous = FULL", "BEGIN IMMEDIATE"}
	}
	return []string{"BEGIN IMMEDIATE"}
}

func (f file) end(toDisk bool) []string {
	if toDisk {
		return []string{"COMMIT", "PRAGMA synchronous = NORMAL"}
	}
	return []string{"COMMIT"}
}

// dsn is the data source name of the file at path, with pragmas that every connection runs.
func dsn(path string, pragmas ...string) string {
	q := make(url.Values)
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + q.Encode()
}

func (f file) pool() (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(string(f), "busy_timeout(10000)", "query_only(1)"))
	if err != nil {
		return nil, explain(f, "open", err)
	}
	return db, nil
}

func (f file) lookups() int { return 2 + runtime.GOMAXPROCS(0) }

// openFile opens the file for writing and reading.
func openFile(f file, id Identity) (_ *Ledger, err error) {
	if err := f.checkFolder(); err != nil {
		return nil, err
	}
	lk, err := acquire(f)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lk.release())
		}
	}()
	db, err := f.openWriter(id)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	reader, err := newReader(f)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, reader.Close())
		}
	}()
	sole := &alone{reader: reader}
	if err := sole.known.load(reader); err != nil {
		return nil, err
	}
	w, err := startWriter(f, db, new(intoFile))
	if err != nil {
		return nil, err
	}
	return &Ledger{Reader: reader, writer: w, turns: sole, release: lk.release}, nil
}

// checkFolder says plainly what SQLite would only call "unable to open".
func (f file) checkFolder() error {
	dir := filepath.Dir(string(f))
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("ledger %s: open: %w (its folder is not there: make it first): %w", f, ErrReadOnly, err)
	case !info.IsDir():
		return fmt.Errorf("ledger %s: open: %w (%s is not a folder)", f, ErrReadOnly, dir)
	}
	return nil
}

// openWriter opens the one connection that writes. The caller holds the lock.
func (f file) openWriter(id Identity) (*sql.DB, error) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", dsn(string(f),
		"busy_timeout(10000)",      // a reader that recovers the file after a kill
		"synchronous(NORMAL)",      // survives kill -9; see the package comment
		"cache_size(-65536)",       // 64 MiB: the key index of a million calls
		"wal_autocheckpoint(4000)", // 16 MiB of log between the fsyncs of a checkpoint
		"foreign_keys(OFF)",        // the writer interns sources itself
	))
	if err != nil {
		return nil, explain(f, "open", err)
	}
	db.SetMaxOpenConns(1)
	prepare := func() error {
		if _, err := f.recognise(ctx, db); err != nil { // before anything is written
			return err
		}
		if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
			return explain(f, "open", err)
		}
		if err := f.checkPages(ctx, db); err != nil {
			return err
		}
		if err := migrate(ctx, f, db); err != nil {
			return err
		}
		return identify(ctx, f, db, id)
	}
	if err := prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (f file) recognise(ctx context.Context, db *sql.DB) (version int64, err error) {
	var id int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, explain(f, "open", err)
	}
	// A kill during the very first open may leave goose's own table and nothing else.
	var goosed, others int
	const tables = `SELECT count(*) FILTER (WHERE name = 'goose_db_version'), count(*) FILTER (WHERE name <> 'goose_db_version')
		FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`
	if err := db.QueryRowContext(ctx, tables).Scan(&goosed, &others); err != nil {
		return 0, explain(f, "open", err)
	}
	if id != applicationID && (id != 0 || others > 0) {
		return 0, fmt.Errorf("ledger %s: open: %w (it is another program's SQLite file: choose another path)", f, ErrCorrupt)
	}
	if goosed == 0 {
		return 0, nil
	}
	return applied(ctx, f, db)
}

// checkPages walks every page and index. It cannot see a changed byte inside a value.
func (f file) checkPages(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return explain(f, "check", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("ledger %s: check: %w (%s): move it and its -wal file away and run again; its calls are then made anew",
			f, ErrCorrupt, strings.ReplaceAll(verdict, "\n", " "))
	}
	return nil
}

// bytes counts what waits in the write-ahead log too.
func (f file) bytes(context.Context, *sql.DB) (map[string]int64, error) {
	var sum int64
	for _, name := range []string{string(f), string(f) + "-wal"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("ledger %s: stat: %w", f, err)
		}
		sum += info.Size()
	}
	return map[string]int64{"": sum}, nil
}
