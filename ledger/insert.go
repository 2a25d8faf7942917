package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
)

const (
	rowsAtOnce  = 32 // calls inserted by one statement in a file: saves most of the cost per statement
	callColumns = 9

	insertCall = "INSERT INTO call (key, source, outcome, tokens_in, tokens_out, finish, text, score, tokens) "
	// A row that is there stays: it is what somebody has already been given.
	keepStored = " ON CONFLICT (key) DO NOTHING"
)

// intoFile inserts with statements that were prepared: in a file the statements are the
// cost.
type intoFile struct {
	one  *sql.Stmt // inserts a call
	many *sql.Stmt // inserts rowsAtOnce calls
}

func (f *intoFile) whole() bool  { return false }
func (f *intoFile) claims() bool { return false }

func (f *intoFile) connected(ctx context.Context, conn *sql.Conn) (err error) {
	if f.one, err = conn.PrepareContext(ctx, insertCalls(1)); err != nil {
		return err
	}
	f.many, err = conn.PrepareContext(ctx, insertCalls(rowsAtOnce))
	return err
}

// leaves closes the statements: with one open, SQLite would not finish its log.
func (f *intoFile) leaves() error {
	var errs []error
	for _, s := range []*sql.Stmt{f.one, f.many} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	f.one, f.many = nil, nil
	return errors.Join(errs...)
}

// insertCalls is the statement that inserts n calls.
func insertCalls(n int) string {
	var b strings.Builder
	b.WriteString(insertCall + "VALUES ")
	for i := range n * callColumns {
		switch {
		case i == 0:
			b.WriteString("($")
		case i%callColumns == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteString(")" + keepStored)
	return b.String()
}

func (f *intoFile) insert(ctx context.Context, _ *sql.Conn, calls []*write, sources map[source]int64, _ []Key) error {
	args := make([]any, 0, rowsAtOnce*callColumns)
	for _, o := range calls {
		args = append(args, o.key[:], sources[*o.source], o.row.outcome, o.row.tokensIn, o.row.tokensOut, o.row.finish, o.row.text, o.row.score, notNull(o.row.tokens))
		if len(args) == cap(args) {
			if _, err := f.many.ExecContext(ctx, args...); err != nil {
				return err
			}
			args = args[:0]
		}
	}
	for ; len(args) > 0; args = args[callColumns:] {
		if _, err := f.one.ExecContext(ctx, args[:callColumns]...); err != nil {
			return err
		}
	}
	return nil
}

// notNull is b, and empty instead of nil, which would be NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// intoPostgres inserts and ends claims with one statement, whatever the number: to a server
// the way is the cost.
type intoPostgres struct{ leases *leases }

func (p intoPostgres) whole() bool  { return true }
func (p intoPostgres) claims() bool { return true }

func (p intoPostgres) connected(context.Context, *sql.Conn) error { return nil }
func (p intoPostgres) leaves() error                              { return nil }

func (p intoPostgres) insert(ctx context.Context, conn *sql.Conn, calls []*write, sources map[source]int64, claims []Key) error {
	if len(calls) == 0 {
		if len(claims) == 0 {
			return nil
		}
		return p.leases.end(ctx, conn, claims)
	}
	const statement = `WITH ended AS (DELETE FROM claim WHERE worker = $1 AND key = ANY($2)) ` + insertCall + `
		SELECT * FROM unnest(CAST($3 AS BYTEA[]), CAST($4 AS BIGINT[]), CAST($5 AS TEXT[]), CAST($6 AS BIGINT[]), CAST($7 AS BIGINT[]),
		CAST($8 AS TEXT[]), CAST($9 AS TEXT[]), CAST($10 AS DOUBLE PRECISION[]), CAST($11 AS BYTEA[]))` + keepStored
	var (
		n                      = len(calls)
		keys, tokens           = make([][]byte, n), make([][]byte, n)
		ids, ins, outs         = make([]int64, n), make([]int64, n), make([]int64, n)
		outcomes, ends, values = make([]string, n), make([]string, n), make([]string, n)
		scores                 = make([]float64, n)
	)
	for i, o := range calls {
		keys[i], ids[i], tokens[i] = o.key[:], sources[*o.source], notNull(o.row.tokens)
		outcomes[i], ends[i], values[i] = o.row.outcome, o.row.finish, EscapeText(o.row.text)
		ins[i], outs[i], scores[i] = int64(o.row.tokensIn), int64(o.row.tokensOut), o.row.score
	}
	done, err := conn.ExecContext(ctx, statement, p.leases.id.Load(), raw(claims), keys, ids, outcomes, ins, outs, ends, values, scores, tokens)
	if err != nil {
		return err
	}
	inserted, err := done.RowsAffected()
	if err != nil || int(inserted) == n {
		return err
	}
	return p.adopt(ctx, conn, calls)
}

// raw are the bytes of keys, in order: all processes lock in one order.
func raw(keys []Key) [][]byte {
	list := make([][]byte, len(keys))
	for i := range keys {
		list[i] = keys[i][:]
	}
	slices.SortFunc(list, bytes.Compare)
	return list
}

// adopt replaces the rows of calls by what is stored under their keys: another process was
// faster, and what it was given is what everybody is given.
func (p intoPostgres) adopt(ctx context.Context, conn *sql.Conn, calls []*write) error {
	for _, o := range calls {
		var role string
		stored, err := scanCall(p.leases.store, conn.QueryRowContext(ctx, findCall, o.key[:]), &role)
		if err != nil {
			return err
		}
		*o.row = stored
		if role != o.source.role {
			o.settler = role
		}
	}
	return nil
}
