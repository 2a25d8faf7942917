package ledger

import (
	"cmp"
	"context"
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
	r, err := g.call(ctx, key, func(ctx context.Context) (row, error) {
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
	r, err := s.call(ctx, key, func(ctx context.Context) (row, error) {
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
	return fmt.Errorf("ledger %s: call %s: %w: %w", j.ledger.store, key, ErrCorrupt, err)
}

// call returns the settled row of key: the one stored, else the one that made gives, once
// it is stored. A final error comes back as the error it was.
func (j *journal) call(ctx context.Context, key Key, made func(context.Context) (row, error)) (row, error) {
	if j.ledger.watch != nil {
		return j.watched(ctx, key, made)
	}
	return j.called(ctx, key, made)
}

func (j *journal) called(ctx context.Context, key Key, made func(context.Context) (row, error)) (row, error) {
	var stored string // the role the row is stored under, where this caller found it
	fresh := false
	note(ctx, key)
	r, led, err := j.ledger.calls.do(ctx, key, func() (row, error) {
		if err := ctx.Err(); err != nil {
			return row{}, err
		}
		if err := j.ledger.writer.usable(); err != nil {
			return row{}, err
		}
		r, role, found, err := j.ledger.turns.call(ctx, key)
		if err != nil {
			return row{}, err
		}
		if found {
			stored = role
			return j.ledger.bodied(ctx, key, r)
		}
		fresh = true
		r, stored, err = j.settle(ctx, key, made)
		return r, err
	})
	if err != nil {
		return row{}, err
	}
	if fresh {
		j.count.made.Add(1)
	} else {
		j.count.replayed.Add(1)
	}
	// A follower does not know who led; saying it twice is harmless.
	if !led || stored != j.source.role {
		if err := j.alsoAsked(ctx, key); err != nil {
			return row{}, err
		}
	}
	return r, r.finalError()
}

// settle makes the call and stores what came of it. It returns what is stored under the key
// and the role it is stored under: its own, unless another process was faster.
func (j *journal) settle(ctx context.Context, key Key, made func(context.Context) (row, error)) (r row, role string, err error) {
	w := j.ledger.writer
	ended := false // the claim, with a write
	defer func() { // also when the model panics
		if !ended {
			err = errors.Join(err, w.drop(ctx, key))
		}
	}()
	r, err = made(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return row{}, "", err // the caller gave up: no fault of the call's
		}
		outcome := finalOutcome(err)
		if outcome == "" {
			j.count.failed.Add(1)
			ended = true
			return row{}, "", errors.Join(err, w.submit(ctx, traced(ctx, j.failure(key, err))))
		}
		r = row{outcome: outcome, text: err.Error()}
	}
	ended = true
	stored := r // the writer's to change until the write is done
	o := traced(ctx, &write{key: key, source: j.source, row: &stored, claimed: true})
	if err := w.submit(ctx, o); err != nil {
		return row{}, "", err
	}
	j.ledger.turns.settled(key)
	return stored, cmp.Or(o.settler, j.source.role), nil
}

func (j *journal) failure(key Key, failed error) *write {
	message := j.ledger.store.encode(failed.Error())
	return &write{key: key, source: j.source, claimed: true, counts: true, do: func(ctx context.Context, x executor, source int64) error {
		const upsert = `INSERT INTO failure (key, source, kind, message, attempts) VALUES ($1, $2, $3, $4, 1)
			ON CONFLICT (key, source) DO UPDATE SET kind = excluded.kind, message = excluded.message, attempts = failure.attempts + 1`
		_, err := x.ExecContext(ctx, upsert, key[:], source, failureKind(failed), message)
		return err
	}}
}

// alsoAsked notes that this journal's role used a call that another role had made.
func (j *journal) alsoAsked(ctx context.Context, key Key) error {
	known, err := j.ledger.isUser(ctx, key, j.source.role)
	if err != nil {
		return explain(j.ledger.store, "look up call "+key.String(), err)
	}
	if known {
		return nil
	}
	return j.ledger.writer.submit(ctx, &write{source: j.source, do: func(ctx context.Context, x executor, source int64) error {
		const note = `INSERT INTO also (call, source) SELECT id, CAST($1 AS BIGINT) FROM call WHERE key = $2 AND source <> CAST($1 AS BIGINT)
			ON CONFLICT DO NOTHING`
		_, err := x.ExecContext(ctx, note, source, key[:])
		return err
	}})
}
