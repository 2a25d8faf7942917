package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// copyPage is how many rows a copy writes in one transaction.
const copyPage = 1000

// Copied tells an observer how far a copy is.
type Copied struct {
	Part string // what is being copied; "verify" at the end
	Rows int64  // copied by now, in this part
}

// Copy copies everything from one ledger to another one of the same run, from a file to
// Postgres for example, and compares counts and digests of the two afterwards. It returns
// them. A copy that was stopped goes on where it was when it is repeated; the source may be
// in use, then the copy is of the moment it began. It fails with [ErrOtherRun], or with
// [ErrConflict] if the two differ at the end, because to held something else before.
func Copy(ctx context.Context, from *Reader, to *Ledger, observe func(Copied)) (_ []Part, err error) {
	theirs, err := from.Identity(ctx)
	if err != nil {
		return nil, err
	}
	ours, err := to.Identity(ctx)
	if err != nil {
		return nil, err
	}
	if theirs.Digest != ours.Digest {
		return nil, fmt.Errorf("ledger %s: copy from %s: %w (that is run %q, this is %q)", to.store, from.store, ErrOtherRun, theirs.Name, ours.Name)
	}
	s, err := from.openSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	c := &copier{from: s, to: to, observe: observe, sources: map[source]int64{}, shards: map[string]int64{}}
	for _, p := range append(parts[:len(parts):len(parts)], traces) {
		if err := c.part(ctx, p); err != nil {
			return nil, err
		}
	}
	if observe != nil {
		observe(Copied{Part: "verify"})
	}
	want, err := s.contents(ctx)
	if err != nil {
		return nil, err
	}
	got, err := to.Contents(ctx)
	if err != nil {
		return nil, err
	}
	for i, w := range want {
		if got[i] != w {
			return nil, fmt.Errorf("ledger %s: copy from %s: %w (%d rows of part %s with digest %.12s there, %d with %.12s here: the copy needs a place that is empty, or holds an earlier copy of the same)",
				to.store, from.store, ErrConflict, w.Rows, w.Name, w.Digest, got[i].Rows, got[i].Digest)
		}
	}
	return got, nil
}

type copier struct {
	from    *snapshot
	to      *Ledger
	observe func(Copied)
	sources map[source]int64
	shards  map[string]int64
}

func (c *copier) part(ctx context.Context, p part) error {
	var after []byte
	var copied int64
	if p.name == "call" {
		var err error
		if after, copied, err = c.resume(ctx); err != nil {
			return err
		}
	}
	page := make([][]any, 0, copyPage)
	flush := func() error {
		if len(page) == 0 {
			return nil
		}
		if err := c.write(ctx, p, page); err != nil {
			return err
		}
		copied += int64(len(page))
		page = page[:0]
		if c.observe != nil {
			c.observe(Copied{Part: p.name, Rows: copied})
		}
		return ctx.Err()
	}
	err := c.from.rows(ctx, p, after, func(row []any) error {
		if page = append(page, row); len(page) < copyPage {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// resume is the last key of an earlier copy and how many calls that had: if as many calls as
// the source has up to the greatest key of to are there, they need not be looked at again.
// Whether they are the same shows at the end.
func (c *copier) resume(ctx context.Context) (after []byte, n int64, err error) {
	const count = "SELECT count(*) FROM call WHERE key <= $1"
	var have int64
	err = c.to.points.QueryRowContext(ctx, "SELECT key FROM call ORDER BY key DESC LIMIT 1").Scan(&after)
	if isNone(err) {
		return nil, 0, nil
	}
	if err == nil {
		err = c.to.points.QueryRowContext(ctx, count, after).Scan(&n)
	}
	if err != nil {
		return nil, 0, explain(c.to.store, "copy", err)
	}
	if err := c.from.conn.QueryRowContext(ctx, count, after).Scan(&have); err != nil {
		return nil, 0, explain(c.from.store, "copy", err)
	}
	if have != n {
		return nil, 0, nil
	}
	return after, n, nil
}

// write writes a page of a part in one transaction. Rows that are there stay.
func (c *copier) write(ctx context.Context, p part, page [][]any) error {
	if p.name == "call" || p.name == "also" || p.name == "failure" {
		for _, row := range page {
			if err := c.intern(ctx, sourceOf(row)); err != nil {
				return err
			}
		}
	}
	text := c.to.store.encode
	var statements []statement
	switch p.name {
	case "shard":
		statements = insertRows("INSERT INTO shard (name, digest, calls) VALUES ", page, func(r []any) []any { return r })
	case "call":
		statements = insertRows("INSERT INTO call (key, source, outcome, tokens_in, tokens_out, finish, text, score, tokens, shard) VALUES ", page, func(r []any) []any {
			var shard any
			if name := r[11].(string); name != "" {
				shard = c.shards[name]
			}
			return []any{r[0], c.sources[sourceOf(r)], r[4], r[5], r[6], r[7], text(r[8].(string)), r[9], r[10], shard}
		})
	case "also":
		for _, r := range page {
			statements = append(statements, statement{"INSERT INTO also (call, source) SELECT id, CAST($1 AS BIGINT) FROM call WHERE key = $2 ON CONFLICT DO NOTHING",
				[]any{c.sources[sourceOf(r)], r[0]}})
		}
	case "failure":
		statements = insertRows("INSERT INTO failure (key, source, kind, message, attempts) VALUES ", page, func(r []any) []any {
			return []any{r[0], c.sources[sourceOf(r)], r[4], text(r[5].(string)), r[6]}
		})
	case "step":
		statements = insertRows("INSERT INTO step (key, name, result) VALUES ", page, func(r []any) []any { return []any{r[0], r[1], text(r[2].(string))} })
	case traces.name:
		statements = insertRows("INSERT INTO trace (key, trace, span) VALUES ", page, func(r []any) []any { return r })
	case "document":
		statements = insertRows("INSERT INTO document (key, body) VALUES ", page, func(r []any) []any { return []any{r[0], text(r[1].(string))} })
	}
	err := c.to.writer.submit(ctx, &write{do: func(ctx context.Context, x executor, _ int64) error {
		for _, s := range statements {
			if _, err := x.ExecContext(ctx, s.text, s.args...); err != nil {
				return err
			}
		}
		if p.name != "shard" {
			return nil
		}
		for _, r := range page {
			var id int64
			if err := x.QueryRowContext(ctx, "SELECT id FROM shard WHERE name = $1", r[0]).Scan(&id); err != nil {
				return err
			}
			c.shards[r[0].(string)] = id
		}
		return nil
	}})
	if err == nil && p.name == "call" {
		for _, r := range page {
			c.to.turns.settled(Key(r[0].([]byte)))
		}
	}
	return err
}

// sourceOf is the source of a row of parts that begin with a key and a source.
func sourceOf(row []any) source {
	return source{role: row[1].(string), model: row[2].(string), kind: Kind(row[3].(string))}
}

// intern learns the id of s in the ledger that is written.
func (c *copier) intern(ctx context.Context, s source) error {
	if _, ok := c.sources[s]; ok {
		return nil
	}
	return c.to.writer.submit(ctx, &write{source: &s, do: func(_ context.Context, _ executor, id int64) error {
		c.sources[s] = id
		return nil
	}})
}

type statement struct {
	text string
	args []any
}

// insertRows are statements that insert what values makes of each row, a hundred at a time.
func insertRows(insert string, page [][]any, values func([]any) []any) (list []statement) {
	for len(page) > 0 {
		some := page[:min(len(page), 100)]
		page = page[len(some):]
		var b strings.Builder
		b.WriteString(insert)
		var args []any
		for i, r := range some {
			if i > 0 {
				b.WriteString(", ")
			}
			for j, v := range values(r) {
				args = append(args, v)
				b.WriteString([]string{"(", ", "}[min(j, 1)] + "$" + strconv.Itoa(len(args)))
			}
			b.WriteString(")")
		}
		b.WriteString(" ON CONFLICT DO NOTHING")
		list = append(list, statement{b.String(), args})
	}
	return list
}
