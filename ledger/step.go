package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Step returns the stored result of key, or does the work and stores what it returns: valid
// JSON. The key must name everything the result depends on; name is for people. Failed work
// is not stored. Work that was killed is done again from its start, so it must be safe to
// repeat; it must not call Step with its own key. Concurrent steps with one key run once.
func (l *Ledger) Step(ctx context.Context, key, name string, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	result, _, err := l.steps.do(ctx, key, func() (json.RawMessage, error) {
		if err := l.writer.usable(); err != nil {
			return nil, err
		}
		var stored []byte
		err := l.points.QueryRow("SELECT result FROM step WHERE key = ?", key).Scan(&stored)
		if err == nil {
			return stored, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return nil, explain(l.path, "look up step "+key, err)
		}
		result, err := do(ctx)
		if err != nil {
			return nil, err
		}
		if !json.Valid(result) {
			return nil, fmt.Errorf("ledger %s: step %s (%s): its result is not JSON", l.path, name, key)
		}
		return result, l.writer.submit(&write{toDisk: true, do: func(w *writer) error {
			const insert = "INSERT INTO step (key, name, result) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
			_, err := w.conn.ExecContext(context.Background(), insert, key, name, string(result))
			return err
		}})
	})
	if err != nil {
		return nil, err
	}
	return bytes.Clone(result), nil
}

// Do is [Ledger.Step] for a result of type T. The result always passes through JSON, so a
// replayed one equals the first.
func Do[T any](ctx context.Context, l *Ledger, key, name string, do func(context.Context) (T, error)) (T, error) {
	var result T
	raw, err := l.Step(ctx, key, name, func(ctx context.Context) (json.RawMessage, error) {
		v, err := do(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(v)
	})
	if err != nil {
		return result, err
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return result, fmt.Errorf("ledger %s: step %s (%s): stored result: %w", l.path, name, key, err)
	}
	return result, nil
}

// Put stores v as JSON under key. Documents are written once: storing the same again does
// nothing, storing another body fails with [ErrConflict], which tells that a resumed run
// came to another result than it had before.
func (l *Ledger) Put(_ context.Context, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("ledger %s: document %s: %w", l.path, key, err)
	}
	o := &write{}
	o.do = func(w *writer) error {
		const insert = "INSERT INTO document (key, body) VALUES (?, ?) ON CONFLICT DO NOTHING"
		if _, err := w.conn.ExecContext(context.Background(), insert, key, string(body)); err != nil {
			return err
		}
		var stored []byte
		if err := w.conn.QueryRowContext(context.Background(), "SELECT body FROM document WHERE key = ?", key).Scan(&stored); err != nil {
			return err
		}
		if !bytes.Equal(stored, body) {
			o.err = fmt.Errorf("ledger %s: document %s: %w", l.path, key, ErrConflict)
		}
		return nil
	}
	return l.writer.submit(o)
}
