package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// keysAtOnce is how many calls one statement looks up or moves.
const keysAtOnce = 500

// Several are the settled calls of keys, ordered by key, each once and under the role that it
// is stored under. A key that is not settled is missing.
func (r *Reader) Several(ctx context.Context, keys []Key) ([]Call, error) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	keys = slices.Compact(keys)
	all := make([]Call, 0, len(keys))
	for some := range slices.Chunk(keys, keysAtOnce) {
		var found []Call
		var rows []row
		err := r.store.patiently(ctx, func(ctx context.Context) (err error) {
			found, rows, err = r.lookups(ctx, some)
			return err
		})
		if err != nil {
			return nil, explain(r.store, "look up calls", err)
		}
		for i := range found {
			stored, err := r.bodied(ctx, found[i].Key, rows[i])
			if err != nil {
				return nil, err
			}
			if err := found[i].fill(stored); err != nil {
				return nil, fmt.Errorf("ledger %s: %w", r.store, err)
			}
		}
		all = append(all, found...)
	}
	return all, nil
}

// lookups finds the rows of some calls with one statement.
func (r *Reader) lookups(ctx context.Context, keys []Key) (calls []Call, stored []row, err error) {
	args := make([]any, len(keys))
	for i := range keys {
		args[i] = keys[i][:]
	}
	query := "SELECT s.role, s.model, s.kind, c.key, " + rowColumns + " FROM call c JOIN source s ON s.id = c.source WHERE c.key IN (" + parameters(1, len(keys)) + ") ORDER BY c.key"
	rows, err := r.points.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c Call
		var key sql.RawBytes
		one, err := scanCall(r.store, rows, &c.Role, &c.Model, &c.Kind, &key)
		if err != nil {
			return nil, nil, err
		}
		copy(c.Key[:], key)
		calls, stored = append(calls, c), append(stored, one)
	}
	return calls, stored, rows.Err()
}

// parameters is "$from, …", n of them.
func parameters(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(from+i))
	}
	return b.String()
}

// MovedCalls is how many calls have their bodies in shards.
func (r *Reader) MovedCalls(ctx context.Context) (int64, error) {
	return r.count(ctx, "SELECT coalesce(sum(calls), 0) FROM shard")
}
