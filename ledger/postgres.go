package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	defaultLease    = 30 * time.Second
	defaultPatience = 15 * time.Minute
	openPatience    = 15 * time.Second // a wrong address should not take long to notice

	// attemptLimit ends an attempt whose connection is dead and does not say so.
	attemptLimit = 30 * time.Second
)

// postgres is a schema of a Postgres database. A run has a schema of its own as it would
// have a file of its own (docs/design/0010-ledger-on-postgres.md).
type postgres struct {
	shown    string // the address without its password
	schema   string // "" = the server's choice
	config   *pgx.ConnConfig
	lease    time.Duration
	patience time.Duration
	attempt  time.Duration
}

// InSchema is the address of a run's ledger in the database at address: with the run's name
// as the schema, unless the address names one.
func InSchema(address, run string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errAddress
	}
	q := u.Query()
	if !q.Has("search_path") {
		q.Set("search_path", run)
		u.RawQuery = q.Encode()
	}
	_, err = parsePostgres(u.String())
	return u.String(), err
}

// errAddress does not quote the address as url.Error does: it may hold a password.
var errAddress = errors.New("ledger: the address of the Postgres database is not a URL: want postgres://user@host/database?search_path=SCHEMA")

func parsePostgres(address string) (*postgres, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errAddress
	}
	p := &postgres{lease: defaultLease, patience: defaultPatience, attempt: attemptLimit}
	q := u.Query()
	for name, into := range map[string]*time.Duration{"stargate_lease": &p.lease, "stargate_patience": &p.patience} {
		if v := q.Get(name); v != "" {
			if *into, err = time.ParseDuration(v); err != nil || *into <= 0 {
				return nil, fmt.Errorf("ledger %s: %s=%s is not a positive duration such as 30s", u.Redacted(), name, v)
			}
		}
		q.Del(name)
	}
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", "10")
	}
	u.RawQuery = q.Encode()
	if p.config, err = pgx.ParseConfig(u.String()); err != nil {
		return nil, fmt.Errorf("ledger: %w", err) // it hides the password
	}
	dialer := net.Dialer{Timeout: p.config.ConnectTimeout, Control: giveUp, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	p.config.DialFunc = dialer.DialContext
	q.Del("password")
	q.Del("connect_timeout")
	u.RawQuery = q.Encode()
	p.shown = u.Redacted()
	return p, p.configure()
}

// configure sets what the connections ask of the server.
func (p *postgres) configure() error {
	params := p.config.RuntimeParams
	if p.schema = params["search_path"]; p.schema != "" {
		if strings.ContainsAny(p.schema, ",\"\x00") || p.schema == "$user" || len(p.schema) > 63 {
			return fmt.Errorf("ledger %s: search_path has to name one schema, in at most 63 bytes", p.shown)
		}
		params["search_path"] = pgx.Identifier{p.schema}.Sanitize() // as it is written, in capitals too
	}
	for name, value := range map[string]string{
		"application_name": "stargate",
		// What a host holds that was cut off is free for others after a minute.
		"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
	} {
		if params[name] == "" {
			params[name] = value
		}
	}
	return nil
}

func (p *postgres) String() string { return p.shown }

func (p *postgres) migrations() (string, goose.Dialect) {
	return "migrations/postgres", goose.DialectPostgres
}

func (p *postgres) encode(text string) string   { return EscapeText(text) }
func (p *postgres) decode(stored string) string { return UnescapeText(stored) }

func (p *postgres) begin(bool) []string { return []string{"BEGIN"} }
func (p *postgres) end(bool) []string   { return []string{"COMMIT"} }

func (p *postgres) snapshot() string { return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" }

func (p *postgres) transaction() string { return "SELECT CAST(pg_current_xact_id() AS TEXT)" }

// errInDoubt: the server has not yet noticed that the transaction's client is gone.
var errInDoubt = errors.New("a transaction is still in progress")

// committed asks what became of a transaction whose connection was lost at its commit.
func (p *postgres) committed(ctx context.Context, x executor, name string) (bool, error) {
	var status sql.NullString
	if err := x.QueryRowContext(ctx, "SELECT pg_xact_status(CAST(CAST($1 AS TEXT) AS XID8))", name).Scan(&status); err != nil {
		return false, err
	}
	if status.String == "in progress" {
		return false, errInDoubt
	}
	return status.String == "committed", nil
}

// connections opens a pool that writes.
func (p *postgres) connections(most int) *sql.DB {
	config := p.config.Copy()
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "60s"
	config.RuntimeParams["lock_timeout"] = "60s" // far more than any of ours is held
	// Everything is found by its key. A plan made while the tables were empty would read
	// them whole for ever.
	config.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	config.RuntimeParams["enable_seqscan"] = "off"
	// What must be read whole looks so dear then that it would be compiled: half a second for
	// three rows.
	config.RuntimeParams["jit"] = "off"
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db
}

func (p *postgres) pool() (*sql.DB, error) {
	config := p.config.Copy()
	config.RuntimeParams["default_transaction_read_only"] = "on"
	config.RuntimeParams["plan_cache_mode"] = "force_custom_plan" // see connections
	db := stdlib.OpenDB(*config)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// lookups is small: most lookups are made in groups (see leases), and a server that many
// workers share has a hundred connections by default.
func (p *postgres) lookups() int { return 2 }

// openReader opens the schema for reading.
func (p *postgres) openReader() (r *Reader, err error) {
	err = p.retry(context.Background(), min(openPatience, p.patience), 0, func(context.Context) error {
		r, err = newReader(p)
		return err
	})
	return r, err
}

// openPostgres opens the schema for writing and reading.
func openPostgres(p *postgres, id Identity) (_ *Ledger, err error) {
	if err := p.prepare(id); err != nil {
		return nil, err
	}
	reader, err := p.openReader()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, reader.Close())
		}
	}()
	l, err := startLeases(p)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	db := p.connections(1)
	w, err := startWriter(p, db, intoPostgres{l})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Ledger{Reader: reader, writer: w, turns: l, release: func() error { return nil }}, nil
}

// prepare makes what is missing, one process at a time.
func (p *postgres) prepare(id Identity) (err error) {
	db := p.connections(2)
	defer func() { err = errors.Join(err, db.Close()) }()
	return p.retry(context.Background(), min(openPatience, p.patience), 0, func(ctx context.Context) (err error) {
		conn, err := db.Conn(ctx)
		if err != nil {
			return explain(p, "open", err)
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		const among = 0x53544c47 // of all advisory locks of the database
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1, hashtext($2))", among, p.schema); err != nil {
			return explain(p, "open", err)
		}
		defer func() {
			_, e := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1, hashtext($2))", among, p.schema)
			err = errors.Join(err, e)
		}()
		if err := p.ensureSchema(ctx, conn); err != nil {
			return explain(p, "make the schema", err)
		}
		if err := migrate(ctx, p, db); err != nil {
			return err
		}
		return identify(ctx, p, db, id)
	})
}

func (p *postgres) ensureSchema(ctx context.Context, conn *sql.Conn) error {
	var current sql.NullString // the first schema of the search path that exists
	if err := conn.QueryRowContext(ctx, "SELECT current_schema()").Scan(&current); err != nil {
		return err
	}
	if current.Valid || p.schema == "" {
		return nil
	}
	_, err := conn.ExecContext(ctx, "CREATE SCHEMA "+pgx.Identifier{p.schema}.Sanitize())
	return err
}

func (p *postgres) recognise(ctx context.Context, db *sql.DB) (version int64, err error) {
	var ours bool
	var goosed, others int
	const tables = `SELECT coalesce(obj_description(to_regclass(quote_ident(current_schema()) || '.run'), 'pg_class') = 'stargate ledger', false),
		count(*) FILTER (WHERE tablename = 'goose_db_version'), count(*) FILTER (WHERE tablename <> 'goose_db_version')
		FROM pg_catalog.pg_tables WHERE schemaname = current_schema()`
	if err := db.QueryRowContext(ctx, tables).Scan(&ours, &goosed, &others); err != nil {
		return 0, explain(p, "open", err)
	}
	if !ours && others > 0 {
		return 0, fmt.Errorf("ledger %s: open: %w (the schema holds another program's tables: choose another one with ?search_path=SCHEMA)", p, ErrCorrupt)
	}
	if goosed == 0 {
		return 0, nil
	}
	return applied(ctx, p, db)
}

func (p *postgres) bytes(ctx context.Context, db *sql.DB) (_ map[string]int64, err error) {
	const query = `SELECT relname, pg_total_relation_size(oid) FROM pg_class
		WHERE relnamespace = CAST(current_schema() AS REGNAMESPACE) AND relkind = 'r'`
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, explain(p, "stat", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	sizes := make(map[string]int64)
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return nil, explain(p, "stat", err)
		}
		sizes[name] = n
	}
	if err := rows.Err(); err != nil {
		return nil, explain(p, "stat", err)
	}
	return sizes, nil
}

// patiently repeats an operation that failed because the server is away.
func (p *postgres) patiently(ctx context.Context, operation func(context.Context) error) error {
	return p.retry(ctx, p.patience, p.attempt, operation)
}

func (p *postgres) retry(ctx context.Context, patience, limit time.Duration, operation func(context.Context) error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, 5*time.Second
	var since time.Time // the first failure
	attempt := func() (struct{}, error) {
		one, cancel := ctx, context.CancelFunc(func() {})
		if limit > 0 {
			one, cancel = context.WithTimeout(ctx, limit)
		}
		defer cancel()
		err := operation(one)
		if err == nil || ctx.Err() != nil || !isAway(err) {
			if err != nil {
				err = backoff.Permanent(err)
			}
			return struct{}{}, err
		}
		if since.IsZero() {
			since = time.Now()
			slog.Warn("the ledger's server is away; waiting for it", "ledger", p.shown, "patience", patience, "error", err)
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, attempt, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(patience))
	switch {
	case err == nil && !since.IsZero():
		slog.Info("the ledger's server is back", "ledger", p.shown, "away", time.Since(since).Round(time.Millisecond))
	case err != nil && ctx.Err() == nil && isAway(err):
		return fmt.Errorf("%w (for %s; start it or correct the address, then run again: all finished calls are kept): %w", ErrAway, time.Since(since).Round(time.Second), err)
	}
	return err
}

// isAway tells failures that another attempt may not meet: lost connections, servers that
// start, stop or are full, and transactions that lost to another one.
func isAway(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "57P01", "57P02", "57P03", "57P05", "25P03", // the server shuts down, crashed, starts; an idle session ended
			"53300",          // too many connections
			"40001", "40P01": // serialization failure, deadlock
			return true
		}
		return strings.HasPrefix(pg.Code, "08") // connection exceptions
	}
	var network net.Error
	return errors.Is(err, errInDoubt) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) || pgconn.SafeToRetry(err)
}

// closing is the error of closing connections, if it is one: those to a server that is away
// are closed already.
func closing(s store, err error) error {
	if err == nil || isPostgres(s) && isAway(err) {
		return nil
	}
	return explain(s, "close", err)
}

func isPostgres(s store) bool { _, ok := s.(*postgres); return ok }

// errNoLedger: the schema is not there, or is empty.
var errNoLedger = fmt.Errorf("no ledger is here: %w", fs.ErrNotExist)
