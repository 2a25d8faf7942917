package ledger

import (
	"context"
	"database/sql"
	"errors"
	"math"
)

// Amount is what calls cost: tokens, prompts and answers together, and money in the currency
// of their prices.
type Amount struct {
	Tokens int64
	Cost   float64
}

func (a Amount) plus(b Amount) Amount { return Amount{a.Tokens + b.Tokens, a.Cost + b.Cost} }

// Asking is how a process asks what it may spend.
type Asking struct {
	Spent Amount // by it, since it opened the ledger
	Held  Amount // for calls that it is making now, at most
	Need  Amount // for the next one
	Want  Amount // at most, so that it need not ask for each call; no less than Need

	// Before computes what the ledger holds was spent. It is asked when no other process
	// spends anything.
	Before func(context.Context) (Amount, error)
}

// Allowed is what a process may spend.
type Allowed struct {
	Granted Amount // since it opened the ledger, in all: Spent and Held are part of it
	Fits    bool   // so is Need
	Never   bool   // Need would not fit either if all that is held cost nothing
	Spent   Amount // by everybody, as far as they told
	Limit   Amount // 0: none
}

// Limit sets what all processes that have the ledger open may spend together, from now on; 0 is
// no limit. Only a ledger on Postgres has several; for a file nothing is done.
func (l *Ledger) Limit(ctx context.Context, most Amount) error {
	with, ok := l.turns.(*leases)
	if !ok {
		return nil
	}
	err := l.store.patiently(ctx, func(ctx context.Context) error {
		_, err := with.db.ExecContext(ctx, `INSERT INTO spending_limit (id, tokens, cost) VALUES (1, $1, $2)
			ON CONFLICT (id) DO UPDATE SET tokens = excluded.tokens, cost = excluded.cost`, most.Tokens, most.Cost)
		return err
	})
	if err != nil {
		return explain(l.store, "limit what is spent", err)
	}
	return nil
}

// Limits is what [Ledger.Limit] has set.
func (l *Ledger) Limits(ctx context.Context) (most Amount, err error) {
	with, ok := l.turns.(*leases)
	if !ok {
		return most, nil
	}
	err = l.store.patiently(ctx, func(ctx context.Context) (err error) {
		most, err = readLimit(ctx, with.db)
		return err
	})
	if err != nil {
		return most, explain(l.store, "read what may be spent", err)
	}
	return most, nil
}

func readLimit(ctx context.Context, x interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (most Amount, err error) {
	err = x.QueryRowContext(ctx, "SELECT tokens, cost FROM spending_limit").Scan(&most.Tokens, &most.Cost)
	if isNone(err) {
		return Amount{}, nil
	}
	return most, err
}

// Allow asks what this process may spend. The sum of what all processes were granted, or have
// spent where they gave the rest back, never exceeds the limit, so neither does what they spend.
// Whoever gets nothing keeps only what it has spent and holds: what is left goes to whoever
// asks next. What a process that died was granted counts as spent until the ledger has no
// process that spends any more; then it is what the ledger holds. Several says whether there is
// anybody to share with; without, nothing is asked.
func (l *Ledger) Allow(ctx context.Context, a Asking) (out Allowed, several bool, err error) {
	with, several := l.turns.(*leases)
	if !several {
		return out, false, nil
	}
	err = l.store.patiently(ctx, func(ctx context.Context) (err error) {
		out, err = with.allow(ctx, a)
		return err
	})
	if err != nil {
		return out, true, explain(l.store, "ask what may be spent", err)
	}
	return out, true, nil
}

// allow is one transaction. It may be repeated: it sets this process' row, whatever that was.
func (l *leases) allow(ctx context.Context, a Asking) (out Allowed, err error) {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if _, err := tx.ExecContext(ctx, "LOCK TABLE allowance IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return out, err
	}
	if out.Limit, err = readLimit(ctx, tx); err != nil {
		return out, err
	}
	me := l.id.Load()
	if err := l.begin(ctx, tx, me, a.Before); err != nil {
		return out, err
	}
	var granted, spent Amount // by others; what is not told any more is what was granted
	const others = `SELECT coalesce(sum(granted_tokens), 0), coalesce(sum(granted_cost), 0),
		coalesce(sum(CASE WHEN ` + spends + ` THEN spent_tokens ELSE granted_tokens END), 0), coalesce(sum(CASE WHEN ` + spends + ` THEN spent_cost ELSE granted_cost END), 0)
		FROM allowance WHERE worker <> $1`
	if err := tx.QueryRowContext(ctx, others, me).Scan(&granted.Tokens, &granted.Cost, &spent.Tokens, &spent.Cost); err != nil {
		return out, err
	}
	out.decide(a, granted, spent)
	const mine = `INSERT INTO allowance (worker, granted_tokens, granted_cost, spent_tokens, spent_cost) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (worker) DO UPDATE SET granted_tokens = excluded.granted_tokens, granted_cost = excluded.granted_cost,
		spent_tokens = excluded.spent_tokens, spent_cost = excluded.spent_cost`
	if _, err := tx.ExecContext(ctx, mine, me, out.Granted.Tokens, out.Granted.Cost, a.Spent.Tokens, a.Spent.Cost); err != nil {
		return out, err
	}
	return out, tx.Commit()
}

// spends tells of a row of allowance that its process may go on spending.
const spends = "EXISTS (SELECT 1 FROM worker w WHERE w.id = allowance.worker AND " + living + ")"

// begin has what was spent before counted, unless this process or another one that lives has
// asked before.
func (l *leases) begin(ctx context.Context, tx *sql.Tx, me int64, before func(context.Context) (Amount, error)) error {
	var begun bool
	if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM allowance WHERE worker = $1 OR "+spends+")", me).Scan(&begun); err != nil || begun {
		return err
	}
	spent, err := before(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM allowance"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO allowance (worker, granted_tokens, granted_cost, spent_tokens, spent_cost) VALUES (0, $1, $2, $1, $2)", spent.Tokens, spent.Cost)
	return err
}

// decide says what is granted, given what others were and what they have spent.
func (out *Allowed) decide(a Asking, granted, spent Amount) {
	limit := Amount{math.MaxInt64, math.Inf(1)}
	if out.Limit.Tokens > 0 {
		limit.Tokens = out.Limit.Tokens
	}
	if out.Limit.Cost > 0 {
		limit.Cost = out.Limit.Cost
	}
	// What costs nothing fits, even if more than the limit is spent.
	exceeds := func(have Amount) bool {
		return a.Need.Tokens > 0 && have.Tokens+a.Need.Tokens > limit.Tokens || a.Need.Cost > 0 && have.Cost+a.Need.Cost > limit.Cost
	}
	has := a.Spent.plus(a.Held)
	out.Spent = spent.plus(a.Spent)
	out.Fits, out.Never = !exceeds(granted.plus(has)), exceeds(out.Spent)
	out.Granted = has
	if !out.Fits {
		return
	}
	// No more than a quarter of what is left, as long as that does.
	left := Amount{limit.Tokens - granted.Tokens - has.Tokens, limit.Cost - granted.Cost - has.Cost}
	out.Granted.Tokens += max(a.Need.Tokens, min(a.Want.Tokens, left.Tokens/4))
	out.Granted.Cost += max(a.Need.Cost, min(a.Want.Cost, left.Cost/4))
}
