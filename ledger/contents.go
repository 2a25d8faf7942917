package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// Part is one kind of thing a ledger holds.
type Part struct {
	Name   string `json:"name"` // shard, call, also, failure, step or document
	Rows   int64  `json:"rows"`
	Digest string `json:"digest"` // SHA-256 over the rows in order; the same in every store
}

// Contents counts and digests everything the ledger holds, as it is at one moment. Two
// ledgers of one run hold the same if their contents are equal.
func (r *Reader) Contents(ctx context.Context) ([]Part, error) {
	s, err := r.openSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	list, err := s.contents(ctx)
	return list, errors.Join(err, s.close())
}

// part says how the rows of a part are read, in an order that no store chooses by itself.
type part struct {
	name  string
	query string
	// texts are the columns that a store encodes.
	texts []int
}

// parts is in an order in which each can be written after those before it.
var parts = []part{
	{"shard", "SELECT name, digest, calls FROM shard ORDER BY name", nil},
	{"call", `SELECT c.key, s.role, s.model, s.kind, c.outcome, c.tokens_in, c.tokens_out, c.finish, c.text, c.score, c.tokens, coalesce(h.name, '')
		FROM call c JOIN source s ON s.id = c.source LEFT JOIN shard h ON h.id = c.shard WHERE c.key > $1 ORDER BY c.key`, []int{8}},
	{"also", `SELECT c.key, s.role, s.model, s.kind
		FROM also a JOIN call c ON c.id = a.call JOIN source s ON s.id = a.source ORDER BY 1, 2, 3, 4`, nil},
	{"failure", `SELECT f.key, s.role, s.model, s.kind, f.kind, f.message, f.attempts
		FROM failure f JOIN source s ON s.id = f.source ORDER BY 1, 2, 3, 4`, []int{5}},
	{"step", "SELECT key, name, result FROM step ORDER BY key", []int{2}},
	{"document", "SELECT key, body FROM document ORDER BY key", []int{1}},
}

// snapshot reads one state of a ledger while others write.
type snapshot struct {
	store store
	conn  *sql.Conn
}

func (r *Reader) openSnapshot(ctx context.Context) (*snapshot, error) {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return nil, explain(r.store, "read", err)
	}
	if _, err := conn.ExecContext(ctx, r.store.snapshot()); err != nil {
		return nil, explain(r.store, "read", errors.Join(err, conn.Close()))
	}
	return &snapshot{r.store, conn}, nil
}

func (s *snapshot) close() error {
	_, err := s.conn.ExecContext(context.Background(), "ROLLBACK")
	return closing(s.store, errors.Join(err, s.conn.Close()))
}

// rows visits the rows of a part, calls after the key after.
func (s *snapshot) rows(ctx context.Context, p part, after []byte, visit func([]any) error) (err error) {
	var args []any
	if p.name == "call" {
		if after == nil {
			after = []byte{}
		}
		args = append(args, after)
	}
	rows, err := s.conn.QueryContext(ctx, p.query, args...)
	if err != nil {
		return explain(s.store, "read "+p.name+" rows", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return explain(s.store, "read "+p.name+" rows", err)
	}
	into := make([]any, len(columns))
	for rows.Next() {
		row := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return explain(s.store, "read "+p.name+" rows", err)
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok && b == nil {
				row[i] = []byte{} // nil would be written as NULL
			}
		}
		for _, i := range p.texts {
			text, ok := row[i].(string)
			if !ok {
				return fmt.Errorf("ledger %s: read %s rows: %w (column %s is no text)", s.store, p.name, ErrCorrupt, columns[i])
			}
			row[i] = s.store.decode(text)
		}
		if err := visit(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return explain(s.store, "read "+p.name+" rows", err)
	}
	return nil
}

func (s *snapshot) contents(ctx context.Context) ([]Part, error) {
	list := make([]Part, 0, len(parts))
	for _, p := range parts {
		c := Part{Name: p.name}
		sum := sha256.New()
		var e encoding
		err := s.rows(ctx, p, nil, func(row []any) error {
			c.Rows++
			e.b = e.b[:0]
			for i, v := range row {
				switch v := v.(type) {
				case []byte:
					e.string(string(v))
				case string:
					e.string(v)
				case int64:
					e.uint(uint64(v))
				case float64:
					e.float(v)
				default:
					return fmt.Errorf("ledger %s: read %s rows: %w (value %d is a %T)", s.store, p.name, ErrCorrupt, i, v)
				}
			}
			_, err := sum.Write(e.b)
			return err
		})
		if err != nil {
			return nil, err
		}
		c.Digest = hex.EncodeToString(sum.Sum(nil))
		list = append(list, c)
	}
	return list, nil
}
