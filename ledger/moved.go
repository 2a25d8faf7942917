package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// Shard names a file outside the ledger that holds the bodies of calls: what the model said,
// and the probabilities of tokens. The rows of the calls stay, with sums and counts.
type Shard struct {
	Name   string            `json:"name"`
	Digest [sha256.Size]byte `json:"-"` // SHA-256 of the file
	Calls  int64             `json:"calls"`
}

// Bodies reads shards. Package ledger/shard has one.
type Bodies interface {
	// Body is the call of key in the shard s.
	Body(ctx context.Context, s Shard, key Key) (Call, error)
}

// moved finds bodies that are in shards.
type moved struct {
	mu     sync.Mutex
	bodies Bodies
	shards map[int64]Shard // by id
}

// ReadBodies tells the reader where to find bodies that were moved. Without it a call whose
// body was moved fails with [ErrMoved] when it is asked for.
func (r *Reader) ReadBodies(b Bodies) {
	r.moved.mu.Lock()
	defer r.moved.mu.Unlock()
	r.moved.bodies = b
}

// bodied is the row with its body, wherever that is.
func (r *Reader) bodied(ctx context.Context, key Key, stored row) (row, error) {
	if stored.shard == 0 {
		return stored, nil
	}
	bodies, shard, err := r.shard(ctx, stored.shard)
	if err != nil {
		return row{}, err
	}
	if bodies == nil {
		return row{}, fmt.Errorf("ledger %s: call %s: %w (%s: open the ledger with the store its run keeps shards in)", r.store, key, ErrMoved, shard.Name)
	}
	c, err := bodies.Body(ctx, shard, key)
	if err != nil {
		return row{}, fmt.Errorf("ledger %s: call %s: %w", r.store, key, err)
	}
	whole, err := c.row()
	if err != nil {
		return row{}, fmt.Errorf("ledger %s: call %s in shard %s: %w", r.store, key, shard.Name, err)
	}
	// The row says what was paid and scored; the shard only what was said.
	stored.text, stored.tokens, stored.shard = whole.text, whole.tokens, 0
	return stored, nil
}

// shard is the shard with this id. Shards are never changed, so one look is enough.
func (r *Reader) shard(ctx context.Context, id int64) (Bodies, Shard, error) {
	r.moved.mu.Lock()
	defer r.moved.mu.Unlock()
	if s, ok := r.moved.shards[id]; ok {
		return r.moved.bodies, s, nil
	}
	var s Shard
	var digest []byte
	err := r.store.patiently(ctx, func(ctx context.Context) error {
		return r.points.QueryRowContext(ctx, "SELECT name, digest, calls FROM shard WHERE id = $1", id).Scan(&s.Name, &digest, &s.Calls)
	})
	if err == nil && len(digest) != len(s.Digest) {
		err = fmt.Errorf("%w (its digest has %d bytes)", ErrCorrupt, len(digest))
	}
	if err != nil {
		return nil, Shard{}, explain(r.store, "look up shard "+strconv.FormatInt(id, 10), err)
	}
	copy(s.Digest[:], digest)
	if r.moved.shards == nil {
		r.moved.shards = make(map[int64]Shard)
	}
	r.moved.shards[id] = s
	return r.moved.bodies, s, nil
}

// Call is the settled call of key under the role that it is stored under, with found ==
// false if there is none.
func (r *Reader) Call(ctx context.Context, key Key) (c Call, found bool, err error) {
	var stored row
	err = r.store.patiently(ctx, func(ctx context.Context) error {
		c = Call{Key: key}
		const query = "SELECT s.role, s.model, s.kind, " + rowColumns + " FROM call c JOIN source s ON s.id = c.source WHERE c.key = $1"
		stored, err = scanCall(r.store, r.points.QueryRowContext(ctx, query, key[:]), &c.Role, &c.Model, &c.Kind)
		return err
	})
	switch {
	case isNone(err):
		return Call{}, false, nil
	case err != nil:
		return Call{}, false, explain(r.store, "look up call "+key.String(), err)
	}
	if stored, err = r.bodied(ctx, key, stored); err != nil {
		return Call{}, false, err
	}
	if err := c.fill(stored); err != nil {
		return Call{}, false, fmt.Errorf("ledger %s: %w", r.store, err)
	}
	return c, true, nil
}

// MoveBodies records that the bodies of these calls are in the shard s, and drops them here.
// The shard has to be published before. Calls that were settled by an error, and those whose
// body is in another shard, stay as they are.
func (l *Ledger) MoveBodies(ctx context.Context, s Shard, keys []Key) error {
	o := &write{toDisk: true}
	o.do = func(ctx context.Context, x executor, _ int64) error {
		const insert = "INSERT INTO shard (name, digest, calls) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING"
		if _, err := x.ExecContext(ctx, insert, s.Name, s.Digest[:], s.Calls); err != nil {
			return err
		}
		var id int64
		var digest []byte
		if err := x.QueryRowContext(ctx, "SELECT id, digest FROM shard WHERE name = $1", s.Name).Scan(&id, &digest); err != nil {
			return err
		}
		o.err = nil
		if !bytes.Equal(digest, s.Digest[:]) {
			o.err = fmt.Errorf("ledger %s: shard %s: %w", l.store, s.Name, ErrConflict)
			return nil
		}
		for some := range slices.Chunk(keys, keysAtOnce) {
			if err := moveOut(ctx, x, id, some); err != nil {
				return err
			}
		}
		return nil
	}
	return l.writer.submit(ctx, o)
}

func moveOut(ctx context.Context, x executor, shard int64, keys []Key) error {
	args := []any{shard, []byte{}}
	for i := range keys {
		args = append(args, keys[i][:])
	}
	_, err := x.ExecContext(ctx, "UPDATE call SET shard = $1, text = '', tokens = $2 WHERE outcome = '' AND shard IS NULL AND key IN ("+parameters(3, len(keys))+")", args...)
	return err
}
