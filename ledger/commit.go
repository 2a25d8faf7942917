package ledger

import (
	"bytes"
	"context"
	"database/sql/driver"
	"slices"
)

// commit writes the batch in one transaction, in another one if the first was lost with its
// connection.
func (w *writer) commit(batch []*write) error {
	var t transaction
	return w.store.patiently(w.life, func(ctx context.Context) error {
		err := w.attempt(ctx, batch, &t)
		if err != nil {
			w.discard()
		}
		return err
	})
}

// connect makes the connection, unless there is one.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn = conn
	if err := w.insert.connected(ctx, conn); err != nil {
		w.discard()
		return err
	}
	return nil
}

// discard closes the connection in whatever state it is; an open transaction ends with it.
func (w *writer) discard() {
	if w.conn != nil {
		_ = w.insert.leaves()                                        // what failed before is the error
		_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // says what it is told
		w.conn = nil
	}
}

// transaction remembers what must be known of one that may or may not have been committed.
type transaction struct {
	name string // "" = none is in doubt, or it does no harm to do it again
}

func (w *writer) attempt(ctx context.Context, batch []*write, t *transaction) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	if t.name != "" {
		committed, err := w.store.committed(ctx, w.conn, t.name)
		if err != nil || committed {
			return err
		}
		t.name = ""
	}
	var calls, others []*write
	var claims []Key
	var toDisk, counts bool
	for _, o := range batch {
		if o.row != nil {
			calls = append(calls, o)
		}
		if o.do != nil {
			others = append(others, o)
		}
		if o.claimed {
			claims = append(claims, o.key)
		}
		toDisk, counts = toDisk || o.toDisk, counts || o.counts
		if o.source != nil {
			// Before the transaction: what it holds until its end, others would wait for.
			if err := w.intern(ctx, *o.source); err != nil {
				return err
			}
		}
	}
	// One order for all processes: two that insert the same keys then wait for each other
	// in turn and not in a circle.
	slices.SortFunc(calls, func(a, b *write) int { return bytes.Compare(a.key[:], b.key[:]) })
	if len(others) == 0 && w.insert.whole() {
		return w.insert.insert(ctx, w.conn, calls, w.sources, claims)
	}
	if err := w.run(ctx, w.store.begin(toDisk)); err != nil {
		return err
	}
	if err := w.insert.insert(ctx, w.conn, calls, w.sources, claims); err != nil {
		return err
	}
	for _, o := range others {
		var id int64
		if o.source != nil {
			id = w.sources[*o.source]
		}
		if err := o.do(ctx, w.conn, id); err != nil {
			return err
		}
	}
	if query := w.store.transaction(); query != "" && counts {
		if err := w.conn.QueryRowContext(ctx, query).Scan(&t.name); err != nil {
			return err
		}
	}
	return w.run(ctx, w.store.end(toDisk))
}

func (w *writer) run(ctx context.Context, statements []string) error {
	for _, s := range statements {
		if _, err := w.conn.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// intern finds or makes the row of s.
func (w *writer) intern(ctx context.Context, s source) error {
	if _, ok := w.sources[s]; ok {
		return nil
	}
	if _, err := w.conn.ExecContext(ctx, "INSERT INTO source (role, model, kind) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", s.role, s.model, string(s.kind)); err != nil {
		return err
	}
	var id int64
	err := w.conn.QueryRowContext(ctx, "SELECT id FROM source WHERE role = $1 AND model = $2 AND kind = $3", s.role, s.model, string(s.kind)).Scan(&id)
	if err == nil {
		w.sources[s] = id
	}
	return err
}
