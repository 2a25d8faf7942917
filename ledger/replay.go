package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"stargate/lm"
)

// ErrNotRecorded: the ledger does not hold this call. Whoever repeats a computation from a
// ledger has come to where the run had not been yet, or computes something else.
var ErrNotRecorded = errors.New("the ledger does not hold this call")

// Replay is a model as far as a ledger remembers it: it answers what was asked before and makes
// no call. A computation that is repeated with replays in the place of its models comes to what
// it came to then, without the models.
type Replay struct {
	reader *Reader
	model  string
}

var (
	_ lm.Generator = Replay{}
	_ lm.Scorer    = Replay{}
)

// Replay is the model whose weights have this digest.
func (r *Reader) Replay(modelDigest string) Replay { return Replay{r, modelDigest} }

// Generate implements [lm.Generator]: the completion on record, its final error, or
// [ErrNotRecorded].
func (p Replay) Generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	key := GenerateKey(p.model, chat, s)
	found, err := p.find(ctx, key)
	if err != nil {
		return lm.Completion{}, err
	}
	c, err := found.completion()
	return c, p.unreadable(key, err)
}

// LogProb implements [lm.Scorer]: the score on record, its final error, or [ErrNotRecorded].
func (p Replay) LogProb(ctx context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	key := ScoreKey(p.model, chat, target)
	found, err := p.find(ctx, key)
	if err != nil {
		return lm.LogProb{}, err
	}
	l, err := found.logProb()
	return l, p.unreadable(key, err)
}

func (p Replay) find(ctx context.Context, key Key) (row, error) {
	if err := ctx.Err(); err != nil {
		return row{}, err
	}
	found, _, err := p.reader.lookup(key)
	switch {
	case isNone(err):
		return row{}, fmt.Errorf("ledger %s: %w", p.reader.store, ErrNotRecorded)
	case err != nil:
		return row{}, explain(p.reader.store, "look up call "+key.String(), err)
	}
	if err := found.finalError(); err != nil {
		return row{}, err
	}
	return p.reader.bodied(ctx, key, found)
}

func (p Replay) unreadable(key Key, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger %s: call %s: %w: %w", p.reader.store, key, ErrCorrupt, err)
}

// Steps visits the finished steps of this name, ordered by key. An error of visit ends it and is
// returned as it is.
func (r *Reader) Steps(ctx context.Context, name string, visit func(key string, result json.RawMessage) error) error {
	last := ""
	return r.eachRow(ctx, "read the steps", func() (*sql.Rows, error) {
		const query = "SELECT key, result FROM step WHERE name = $1 AND (key > $2 OR $2 = '') ORDER BY key"
		return r.db.QueryContext(ctx, query, name, last)
	}, func(rows *sql.Rows) error {
		var key, result string
		if err := rows.Scan(&key, &result); err != nil {
			return err
		}
		last = key
		return visited(visit(key, json.RawMessage(r.store.decode(result))))
	})
}
