package ledger

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

// store is the place a ledger is kept in: a file, or a schema of a Postgres database. The
// statements that read and write a ledger are shared; this is where the two differ.
type store interface {
	fmt.Stringer // names the place in errors: its path, or its address without password

	// pool opens connections that read; lookups is how many fetch single rows at a time.
	pool() (*sql.DB, error)
	lookups() int
	// recognise fails unless the place is empty or a ledger, and returns its schema version
	// (0 = empty).
	recognise(ctx context.Context, db *sql.DB) (version int64, err error)
	// migrations is the embedded folder and its dialect.
	migrations() (folder string, dialect goose.Dialect)

	// patiently does an operation, again and again while the store is away and may come
	// back. What it is given must be safe to repeat. The operation's context limits one
	// attempt.
	patiently(ctx context.Context, operation func(context.Context) error) error

	// begin and end are the statements around a transaction that writes; the second lists
	// are for one that waits for the disk.
	begin(toDisk bool) []string
	end(toDisk bool) []string

	// snapshot begins a transaction that sees one state throughout.
	snapshot() string

	// transaction is the query for the name of the open transaction, or "" where a commit
	// cannot leave one in doubt; committed tells what became of a named one.
	transaction() string
	committed(ctx context.Context, x executor, name string) (bool, error)

	// bytes is how much room tables and their indexes take: for each, or under "" in all
	// where it is not known for each.
	bytes(ctx context.Context, db *sql.DB) (map[string]int64, error)

	// encode makes any bytes fit a text column, decode is its inverse.
	encode(text string) string
	decode(stored string) string
}

//go:embed migrations/*/*.sql
var migrationFiles embed.FS

// place is the store that a path or URL means.
func place(path string) (store, error) {
	if strings.HasPrefix(path, "postgres://") || strings.HasPrefix(path, "postgresql://") {
		return parsePostgres(path)
	}
	return file(path), nil
}

// steps are the embedded migrations for db and the version they lead to.
func steps(s store, db *sql.DB) (*goose.Provider, int64, error) {
	folder, dialect := s.migrations()
	files, err := fs.Sub(migrationFiles, folder)
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: embedded migrations: %w", err)
	}
	var newest int64
	for _, m := range p.ListSources() {
		newest = max(newest, m.Version)
	}
	return p, newest, nil
}

// applied is the schema version that goose noted.
func applied(ctx context.Context, s store, db *sql.DB) (version int64, err error) {
	const query = "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied"
	if err := db.QueryRowContext(ctx, query).Scan(&version); err != nil {
		return 0, explain(s, "open", err)
	}
	return version, nil
}

func newerSchema(s store, have, know int64) error {
	return fmt.Errorf("ledger %s: open: %w (its schema is %d, this program knows %d: use the newer program; nothing was changed)", s, ErrNewerSchema, have, know)
}

// migrate brings the database to the newest schema; an interrupted migration leaves the
// version before it.
func migrate(ctx context.Context, s store, db *sql.DB) error {
	have, err := s.recognise(ctx, db)
	if err != nil {
		return err
	}
	p, newest, err := steps(s, db)
	switch {
	case err != nil:
		return err
	case have > newest:
		return newerSchema(s, have, newest)
	case have == newest:
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return explain(s, fmt.Sprintf("bring the schema from %d to %d", have, newest), err)
	}
	return nil
}

// identify writes id into a new ledger and compares it with that of an old one.
func identify(ctx context.Context, s store, db *sql.DB, id Identity) error {
	if _, err := db.ExecContext(ctx, "INSERT INTO run (id, name, digest) VALUES (1, $1, $2) ON CONFLICT DO NOTHING", id.Name, id.Digest); err != nil {
		return explain(s, "write the run's identity", err)
	}
	held, err := readIdentity(ctx, s, db)
	if err != nil {
		return err
	}
	if held.Digest != id.Digest {
		return fmt.Errorf("ledger %s: open: %w (it holds run %q with settings %.12s, this is %q with %.12s: choose another place, or go back to its settings)",
			s, ErrOtherRun, held.Name, held.Digest, id.Name, id.Digest)
	}
	return nil
}

func readIdentity(ctx context.Context, s store, db *sql.DB) (id Identity, err error) {
	err = db.QueryRowContext(ctx, "SELECT name, digest FROM run").Scan(&id.Name, &id.Digest)
	if isNone(err) {
		return id, fmt.Errorf("ledger %s: open: it names no run yet: start the run first", s)
	}
	if err != nil {
		return id, explain(s, "read the run's identity", err)
	}
	return id, nil
}
