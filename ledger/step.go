package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// Step returns the stored result of key, or does the work and stores what it returns: valid
// JSON. The key must name everything the result depends on; name is for people. Failed work
// is not stored. Work that was killed is done again from its start, so it must be safe to
// repeat; it must not call Step with its own key. Concurrent steps with one key run once.
func (l *Ledger) Step(ctx context.Context, key, name string, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	result, _, err := l.steps.do(ctx, key, func() (result json.RawMessage, err error) {
		if err := l.writer.usable(); err != nil {
			return nil, err
		}
		turn := stepKey(key)
		found, err := l.turns.step(ctx, turn, func() (found bool, err error) {
			result, found, err = l.findStep(ctx, key)
			return found, err
		})
		if err != nil || found {
			return result, err
		}
		ended := false // the claim, with a write
		defer func() { // also when the work panics
			if !ended {
				err = errors.Join(err, l.writer.drop(ctx, turn))
			}
		}()
		if result, err = do(ctx); err != nil {
			return nil, err
		}
		if !json.Valid(result) {
			return nil, fmt.Errorf("ledger %s: step %s (%s): its result is not JSON", l.store, name, key)
		}
		ended = true
		return l.storeStep(ctx, turn, key, name, result)
	})
	if err != nil {
		return nil, err
	}
	return bytes.Clone(result), nil
}

// stepKey is what a step is claimed under: no call has this key.
func stepKey(key string) Key { return sha256.Sum256([]byte("stargate step 1\n" + key)) }

func (l *Ledger) findStep(ctx context.Context, key string) (result json.RawMessage, found bool, err error) {
	var stored string
	err = l.store.patiently(ctx, func(ctx context.Context) error {
		return l.points.QueryRowContext(ctx, selectStep, key).Scan(&stored)
	})
	if isNone(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, explain(l.store, "look up step "+key, err)
	}
	return json.RawMessage(l.store.decode(stored)), true, nil
}

const selectStep = "SELECT result FROM step WHERE key = $1"

// storeStep stores the result of a step. It returns what is stored: something else where
// another process, which was thought dead, has done the step as well and was faster.
func (l *Ledger) storeStep(ctx context.Context, turn Key, key, name string, result json.RawMessage) (json.RawMessage, error) {
	made, stored := l.store.encode(string(result)), ""
	err := l.writer.submit(ctx, &write{key: turn, claimed: true, toDisk: true, do: func(ctx context.Context, x executor, _ int64) error {
		const insert = "INSERT INTO step (key, name, result) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
		if _, err := x.ExecContext(ctx, insert, key, name, made); err != nil {
			return err
		}
		return x.QueryRowContext(ctx, selectStep, key).Scan(&stored)
	}})
	if err != nil {
		return nil, err
	}
	return json.RawMessage(l.store.decode(stored)), nil
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
		return result, fmt.Errorf("ledger %s: step %s (%s): stored result: %w", l.store, name, key, err)
	}
	return result, nil
}

// Put stores v as JSON under key. Documents are written once: storing the same again does
// nothing, storing another body fails with [ErrConflict], which tells that a resumed run
// came to another result than it had before.
func (l *Ledger) Put(ctx context.Context, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("ledger %s: document %s: %w", l.store, key, err)
	}
	body := l.store.encode(string(raw))
	o := &write{}
	o.do = func(ctx context.Context, x executor, _ int64) error {
		const insert = "INSERT INTO document (key, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"
		if _, err := x.ExecContext(ctx, insert, key, body); err != nil {
			return err
		}
		var stored string
		if err := x.QueryRowContext(ctx, "SELECT body FROM document WHERE key = $1", key).Scan(&stored); err != nil {
			return err
		}
		o.err = nil
		if stored != body {
			o.err = fmt.Errorf("ledger %s: document %s: %w", l.store, key, ErrConflict)
		}
		return nil
	}
	return l.writer.submit(ctx, o)
}
