package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"stargate/lm"
)

// source says who asked which model for what.
type source struct {
	role, model string
	kind        Kind
}

// Generator journals the calls of role to inner, whose weights have this digest. Two models
// with one digest must give the same results.
func (l *Ledger) Generator(role, modelDigest string, inner lm.Generator) lm.Generator {
	return &generator{journal: l.journal(role, modelDigest, Generate), inner: inner}
}

// Scorer journals the scores that role asks of inner, whose weights have this digest.
func (l *Ledger) Scorer(role, modelDigest string, inner lm.Scorer) lm.Scorer {
	return &scorer{journal: l.journal(role, modelDigest, Score), inner: inner}
}

type generator struct {
	*journal
	inner lm.Generator
}

func (g *generator) Generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	key := GenerateKey(g.source.model, chat, s)
	r, err := g.call(ctx, key, func() (row, error) {
		c, err := g.inner.Generate(ctx, chat, s)
		return rowOfCompletion(c), err
	})
	if err != nil {
		return lm.Completion{}, err
	}
	c, err := r.completion()
	return c, g.unreadable(key, err)
}

type scorer struct {
	*journal
	inner lm.Scorer
}

func (s *scorer) LogProb(ctx context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	key := ScoreKey(s.source.model, chat, target)
	r, err := s.call(ctx, key, func() (row, error) {
		p, err := s.inner.LogProb(ctx, chat, target)
		if err != nil {
			return row{}, err
		}
		return rowOfLogProb(p)
	})
	if err != nil {
		return lm.LogProb{}, err
	}
	p, err := r.logProb()
	return p, s.unreadable(key, err)
}

// journal makes the calls of one source.
type journal struct {
	ledger *Ledger
	source *source
	count  *count
}

func (l *Ledger) journal(role, model string, kind Kind) *journal {
	return &journal{ledger: l, source: &source{role: role, model: model, kind: kind}, count: l.tally.of(role)}
}

func (j *journal) unreadable(key Key, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger %s: call %s: %w: %w", j.ledger.path, key, ErrCorrupt, err)
}

// call returns the settled row of key: the one stored, else the one that made gives, once
// it is stored. A final error comes back as the error it was.
func (j *journal) call(ctx context.Context, key Key, made func() (row, error)) (row, error) {
	var asked *source // who the row is stored under, where this caller found it
	fresh := false
	r, led, err := j.ledger.calls.do(ctx, key, func() (row, error) {
		if err := ctx.Err(); err != nil {
			return row{}, err
		}
		if err := j.ledger.writer.usable(); err != nil {
			return row{}, err
		}
		if j.ledger.known.has(key) {
			r, role, err := j.ledger.lookup(key)
			if err == nil {
				asked = &source{role: role}
				return r, nil
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return row{}, explain(j.ledger.path, "look up call "+key.String(), err)
			}
		}
		fresh = true
		return j.settle(ctx, key, made)
	})
	switch {
	case err != nil:
		return row{}, err
	case fresh:
		j.count.made.Add(1)
	default:
		j.count.replayed.Add(1)
		// A follower does not know who led; saying it twice is harmless.
		if !led || asked.role != j.source.role {
			if err := j.alsoAsked(key); err != nil {
				return row{}, err
			}
		}
	}
	return r, r.finalError()
}

// settle makes the call and stores what came of it.
func (j *journal) settle(ctx context.Context, key Key, made func() (row, error)) (row, error) {
	w := j.ledger.writer
	r, err := made()
	if err != nil {
		if ctx.Err() != nil {
			return row{}, err // the caller gave up: no fault of the call's
		}
		outcome := finalOutcome(err)
		if outcome == "" {
			j.count.failed.Add(1)
			if noted := w.submit(&write{do: j.failure(key, err)}); noted != nil {
				err = errors.Join(err, noted)
			}
			return row{}, err
		}
		r = row{outcome: outcome, text: err.Error()}
	}
	if err := w.submit(&write{key: key, source: j.source, row: &r}); err != nil {
		return row{}, err
	}
	j.ledger.known.add(key)
	return r, nil
}

func (j *journal) failure(key Key, failed error) func(*writer) error {
	return func(w *writer) error {
		id, err := w.sourceID(context.Background(), j.source)
		if err != nil {
			return err
		}
		const upsert = `INSERT INTO failure (key, source, kind, message, attempts) VALUES (?, ?, ?, ?, 1)
			ON CONFLICT DO UPDATE SET kind = excluded.kind, message = excluded.message, attempts = attempts + 1`
		_, err = w.conn.ExecContext(context.Background(), upsert, key[:], id, failureKind(failed), failed.Error())
		return err
	}
}

// alsoAsked notes that this journal's role used a call that another role had made.
func (j *journal) alsoAsked(key Key) error {
	known, err := j.ledger.isUser(key, j.source.role)
	if err != nil {
		return explain(j.ledger.path, "look up call "+key.String(), err)
	}
	if known {
		return nil
	}
	return j.ledger.writer.submit(&write{do: func(w *writer) error {
		id, err := w.sourceID(context.Background(), j.source)
		if err != nil {
			return err
		}
		const note = "INSERT INTO also (call, source) SELECT id, ?1 FROM call WHERE key = ?2 AND source <> ?1 ON CONFLICT DO NOTHING"
		_, err = w.conn.ExecContext(context.Background(), note, id, key[:])
		return err
	}})
}
