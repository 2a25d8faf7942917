package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"stargate/lm"
)

// Reader reads a ledger. It sees what was committed before each method was called.
type Reader struct {
	store store
	// Two pools: a visitor that holds a connection of db while it waits for a lookup can
	// then never starve the lookups.
	db     *sql.DB // queries that visit rows
	points *sql.DB // queries that fetch one row and let go
	find   *sql.Stmt
	used   *sql.Stmt
	moved  moved // where bodies are that are not here
}

// OpenReader opens an existing ledger to read it, also while others write it. See [Open] for
// what path may be. The folder of a file must be writable: readers share memory with the
// writer through a file there. OpenReader fails with [ErrCorrupt], [ErrNewerSchema],
// [ErrOlderSchema], [ErrReadOnly], [ErrAway] or fs.ErrNotExist.
func OpenReader(path string) (*Reader, error) {
	s, err := place(path)
	if err != nil {
		return nil, err
	}
	if p, ok := s.(*postgres); ok {
		return p.openReader()
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("ledger %s: open: %w", path, err)
	}
	return newReader(s)
}

func newReader(s store) (_ *Reader, err error) {
	ctx := context.Background()
	r := &Reader{store: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	for _, db := range []**sql.DB{&r.db, &r.points} {
		if *db, err = s.pool(); err != nil {
			return nil, err
		}
	}
	r.points.SetMaxOpenConns(s.lookups())
	r.points.SetMaxIdleConns(s.lookups())
	have, err := s.recognise(ctx, r.db)
	if err != nil {
		return nil, err
	}
	_, newest, err := steps(s, r.db)
	switch {
	case err != nil:
		return nil, err
	case have > newest:
		return nil, newerSchema(s, have, newest)
	case have == 0 && isPostgres(s):
		return nil, fmt.Errorf("ledger %s: open: %w", s, errNoLedger)
	case have < newest:
		return nil, fmt.Errorf("ledger %s: open: %w (schema %d, this program's is %d: resume its run once, which upgrades it)", s, ErrOlderSchema, have, newest)
	}
	if r.find, err = r.points.PrepareContext(ctx, findCall); err != nil {
		return nil, explain(s, "prepare", err)
	}
	if r.used, err = r.points.PrepareContext(ctx, usedBy); err != nil {
		return nil, explain(s, "prepare", err)
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
	return closing(r.store, errors.Join(errs...))
}

// Identity says which run the ledger belongs to.
func (r *Reader) Identity(ctx context.Context) (Identity, error) {
	return readIdentity(ctx, r.store, r.db)
}

const (
	rowColumns = "c.outcome, c.tokens_in, c.tokens_out, c.finish, c.text, c.score, c.tokens, coalesce(c.shard, 0)"
	// uses pairs every call with every source that used it.
	uses = "SELECT id AS call, source FROM call UNION ALL SELECT call, source FROM also"

	findCall = "SELECT s.role, " + rowColumns + " FROM call c JOIN source s ON s.id = c.source WHERE c.key = $1"
	usedBy   = `SELECT EXISTS (SELECT 1 FROM call c JOIN source s ON s.id = c.source WHERE c.key = $1 AND s.role = $2)
		OR EXISTS (SELECT 1 FROM call c JOIN also a ON a.call = c.id JOIN source s ON s.id = a.source WHERE c.key = $1 AND s.role = $2)`
)

// scanner is a row of a query's result.
type scanner interface{ Scan(into ...any) error }

// scanCall scans what precedes rowColumns, then them.
func scanCall(s store, from scanner, before ...any) (r row, err error) {
	err = from.Scan(append(before, &r.outcome, &r.tokensIn, &r.tokensOut, &r.finish, &r.text, &r.score, &r.tokens, &r.shard)...)
	r.text = s.decode(r.text)
	return r, err
}

// lookup finds the row of key and the role it is stored under, or sql.ErrNoRows.
func (r *Reader) lookup(key Key) (found row, role string, err error) {
	err = r.store.patiently(context.Background(), func(ctx context.Context) error {
		found, err = scanCall(r.store, r.find.QueryRowContext(ctx, key[:]), &role)
		return err
	})
	return found, role, err
}

// isUser says whether role is on record as a user of the call.
func (r *Reader) isUser(ctx context.Context, key Key, role string) (yes bool, err error) {
	err = r.store.patiently(ctx, func(ctx context.Context) error {
		return r.used.QueryRowContext(ctx, key[:], role).Scan(&yes)
	})
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

// fill sets what a row tells of c.
func (c *Call) fill(stored row) (err error) {
	switch c.Err = stored.finalError(); {
	case c.Err != nil:
	case c.Kind == Score:
		c.LogProb, err = stored.logProb()
	default:
		c.Completion, err = stored.completion()
	}
	if err != nil {
		return fmt.Errorf("call %s: %w: %w", c.Key, ErrCorrupt, err)
	}
	return nil
}

// row is the row that c is stored as.
func (c *Call) row() (row, error) {
	if c.Kind == Score {
		return rowOfLogProb(c.LogProb)
	}
	return rowOfCompletion(c.Completion), nil
}

// Filter selects calls; an empty field selects all.
type Filter struct {
	Role  string
	Model string
	Kind  Kind
}

// Calls visits the selected calls ordered by role, model, kind and key. An error of visit
// ends it and is returned as it is. Visit may use the ledger. Bodies that were moved out of
// the ledger are fetched one by one; who wants all of them reads their shards instead.
func (r *Reader) Calls(ctx context.Context, f Filter, visit func(Call) error) error {
	var last Call // where to go on after a server that was away
	return r.eachRow(ctx, "read calls", func() (*sql.Rows, error) {
		const query = "SELECT s.role, s.model, s.kind, c.key, " + rowColumns + ` FROM (` + uses + `) u JOIN call c ON c.id = u.call JOIN source s ON s.id = u.source
			WHERE $1 IN ('', s.role) AND $2 IN ('', s.model) AND $3 IN ('', s.kind)
			AND (s.role, s.model, s.kind, c.key) > ($4, $5, $6, $7) ORDER BY s.role, s.model, s.kind, c.key`
		after := last.Key[:]
		if last.Kind == "" {
			after = []byte{}
		}
		return r.db.QueryContext(ctx, query, f.Role, f.Model, string(f.Kind), last.Role, last.Model, string(last.Kind), after)
	}, func(rows *sql.Rows) error {
		var c Call
		var key []byte
		stored, err := scanCall(r.store, rows, &c.Role, &c.Model, &c.Kind, &key)
		if err != nil {
			return err
		}
		copy(c.Key[:], key)
		if stored, err = r.bodied(ctx, c.Key, stored); err != nil {
			return visited(err)
		}
		if err := c.fill(stored); err != nil {
			return err
		}
		last = Call{Key: c.Key, Role: c.Role, Model: c.Model, Kind: c.Kind}
		return visited(visit(c))
	})
}

// Get decodes the document of key into v and says whether there is one.
func (r *Reader) Get(ctx context.Context, key string, v any) (found bool, err error) {
	var body string
	err = r.store.patiently(ctx, func(ctx context.Context) error {
		return r.points.QueryRowContext(ctx, "SELECT body FROM document WHERE key = $1", key).Scan(&body)
	})
	if isNone(err) {
		return false, nil
	}
	if err != nil {
		return false, explain(r.store, "read document "+key, err)
	}
	if err := json.Unmarshal([]byte(r.store.decode(body)), v); err != nil {
		return false, fmt.Errorf("ledger %s: document %s: %w", r.store, key, err)
	}
	return true, nil
}

// Documents visits the documents whose key begins with prefix, ordered by key. An error of
// visit ends it and is returned as it is.
func (r *Reader) Documents(ctx context.Context, prefix string, visit func(key string, body json.RawMessage) error) error {
	last := ""
	return r.eachRow(ctx, "read documents", func() (*sql.Rows, error) {
		const query = "SELECT key, body FROM document WHERE substr(key, 1, length($1)) = $1 AND (key > $2 OR $2 = '') ORDER BY key"
		return r.db.QueryContext(ctx, query, prefix, last)
	}, func(rows *sql.Rows) error {
		var key, body string
		if err := rows.Scan(&key, &body); err != nil {
			return err
		}
		last = key
		return visited(visit(key, json.RawMessage(r.store.decode(body))))
	})
}

// visitError is an error of a visitor on its way to who called.
type visitError struct{ err error }

func (v *visitError) Error() string { return v.err.Error() }

func visited(err error) error {
	if err == nil {
		return nil
	}
	return &visitError{err}
}

// eachRow does something with every row of a query, which is asked again where the server
// goes away in the middle.
func (r *Reader) eachRow(ctx context.Context, doing string, query func() (*sql.Rows, error), each func(*sql.Rows) error) error {
	err := r.store.patiently(ctx, func(context.Context) (err error) {
		rows, err := query()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			if err := each(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	var v *visitError
	switch {
	case errors.As(err, &v):
		return v.err
	case err != nil:
		return explain(r.store, doing, err)
	}
	return nil
}
