package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"stargate/lm"
)

// Reader reads a ledger. It sees what was committed before each method was called.
type Reader struct {
	path string
	// Two pools: a visitor that holds a connection of db while it waits for a lookup can
	// then never starve the lookups.
	db     *sql.DB // queries that visit rows
	points *sql.DB // queries that fetch one row and let go
	find   *sql.Stmt
	used   *sql.Stmt
}

// OpenReader opens an existing ledger to read it, also while another process writes it.
// The folder must be writable: readers share memory with the writer through a file there.
// It fails with [ErrCorrupt], [ErrNewerSchema], [ErrOlderSchema], [ErrReadOnly] or
// fs.ErrNotExist.
func OpenReader(path string) (*Reader, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("ledger %s: open: %w", path, err)
	}
	return newReader(path)
}

func newReader(path string) (_ *Reader, err error) {
	ctx := context.Background()
	r := &Reader{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	for _, db := range []**sql.DB{&r.db, &r.points} {
		if *db, err = sql.Open("sqlite", dsn(path, "busy_timeout(10000)", "query_only(1)")); err != nil {
			return nil, explain(path, "open", err)
		}
	}
	conns := 2 + runtime.GOMAXPROCS(0)
	r.points.SetMaxOpenConns(conns)
	r.points.SetMaxIdleConns(conns)
	have, err := recognise(ctx, r.db, path)
	if err != nil {
		return nil, err
	}
	_, newest, err := migrations(r.db)
	switch {
	case err != nil:
		return nil, err
	case have > newest:
		return nil, newerSchema(path, have, newest)
	case have < newest:
		return nil, fmt.Errorf("ledger %s: open: %w (schema %d, this program's is %d: resume its run once, which upgrades it)", path, ErrOlderSchema, have, newest)
	}
	if r.find, err = r.points.PrepareContext(ctx, findCall); err != nil {
		return nil, explain(path, "prepare", err)
	}
	if r.used, err = r.points.PrepareContext(ctx, usedBy); err != nil {
		return nil, explain(path, "prepare", err)
	}
	return r, nil
}

// Close ends reading.
func (r *Reader) Close() error {
	var errs []error
	for _, s := range []*sql.Stmt{r.find, r.used} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	for _, db := range []*sql.DB{r.points, r.db} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return explain(r.path, "close", err)
	}
	return nil
}

// Identity says which run the ledger belongs to.
func (r *Reader) Identity(ctx context.Context) (Identity, error) {
	return readIdentity(ctx, r.db, r.path)
}

const (
	rowColumns = "c.outcome, c.tokens_in, c.tokens_out, c.finish, c.text, c.score, c.tokens"
	// uses pairs every call with every source that used it.
	uses = "SELECT id AS call, source FROM call UNION ALL SELECT call, source FROM also"

	findCall = "SELECT s.role, " + rowColumns + " FROM call c JOIN source s ON s.id = c.source WHERE c.key = ?"
	usedBy   = `SELECT EXISTS (SELECT 1 FROM call c JOIN source s ON s.id = c.source WHERE c.key = ?1 AND s.role = ?2)
		OR EXISTS (SELECT 1 FROM call c JOIN also a ON a.call = c.id JOIN source s ON s.id = a.source WHERE c.key = ?1 AND s.role = ?2)`
)

func (r *row) fields() []any {
	return []any{&r.outcome, &r.tokensIn, &r.tokensOut, &r.finish, &r.text, &r.score, &r.tokens}
}

// lookup finds the row of key and the role it is stored under, or sql.ErrNoRows. It takes no
// context: it lasts microseconds, and a cancellable query costs a goroutine.
func (r *Reader) lookup(key Key) (found row, role string, err error) {
	err = r.find.QueryRow(key[:]).Scan(append([]any{&role}, found.fields()...)...)
	return found, role, err
}

// isUser says whether role is on record as a user of the call.
func (r *Reader) isUser(key Key, role string) (yes bool, err error) {
	err = r.used.QueryRow(key[:], role).Scan(&yes)
	return yes, err
}

// Call is one settled call as a role used it.
type Call struct {
	Key        Key
	Role       string
	Model      string        // digest of the weights
	Kind       Kind          // says which of the next two is meant
	Completion lm.Completion // of a Generate call
	LogProb    lm.LogProb    // of a Score call
	Err        error         // the final error instead of a result, or nil
}

// Filter selects calls; an empty field selects all.
type Filter struct {
	Role  string
	Model string
	Kind  Kind
}

// Calls visits the selected calls ordered by role, model, kind and key. An error of visit
// ends it and is returned as it is. Visit may use the ledger.
func (r *Reader) Calls(ctx context.Context, f Filter, visit func(Call) error) (err error) {
	const query = "SELECT s.role, s.model, s.kind, c.key, " + rowColumns + ` FROM (` + uses + `) u JOIN call c ON c.id = u.call JOIN source s ON s.id = u.source
		WHERE ?1 IN ('', s.role) AND ?2 IN ('', s.model) AND ?3 IN ('', s.kind) ORDER BY s.role, s.model, s.kind, c.key`
	rows, err := r.db.QueryContext(ctx, query, f.Role, f.Model, string(f.Kind))
	if err != nil {
		return explain(r.path, "read calls", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c Call
		var stored row
		var key []byte
		if err := rows.Scan(append([]any{&c.Role, &c.Model, &c.Kind, &key}, stored.fields()...)...); err != nil {
			return explain(r.path, "read calls", err)
		}
		copy(c.Key[:], key)
		if c.Err = stored.finalError(); c.Err == nil {
			var err error
			if c.Kind == Score {
				c.LogProb, err = stored.logProb()
			} else {
				c.Completion, err = stored.completion()
			}
			if err != nil {
				return fmt.Errorf("ledger %s: call %s: %w: %w", r.path, c.Key, ErrCorrupt, err)
			}
		}
		if err := visit(c); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return explain(r.path, "read calls", err)
	}
	return nil
}

// Get decodes the document of key into v and says whether there is one.
func (r *Reader) Get(ctx context.Context, key string, v any) (found bool, err error) {
	var body []byte
	err = r.points.QueryRowContext(ctx, "SELECT body FROM document WHERE key = ?", key).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, explain(r.path, "read document "+key, err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return false, fmt.Errorf("ledger %s: document %s: %w", r.path, key, err)
	}
	return true, nil
}

// Documents visits the documents whose key begins with prefix, ordered by key. An error of
// visit ends it and is returned as it is.
func (r *Reader) Documents(ctx context.Context, prefix string, visit func(key string, body json.RawMessage) error) (err error) {
	rows, err := r.db.QueryContext(ctx, "SELECT key, body FROM document WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key", prefix)
	if err != nil {
		return explain(r.path, "read documents", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var key string
		var body []byte
		if err := rows.Scan(&key, &body); err != nil {
			return explain(r.path, "read documents", err)
		}
		if err := visit(key, body); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return explain(r.path, "read documents", err)
	}
	return nil
}
