package ledger

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Totals are what one role has cost the run, computed from the rows: the same after any
// number of kills and resumes. A call that two roles use counts for both.
type Totals struct {
	Role      string           `json:"role"`
	Made      int64            `json:"made"` // settled calls, final errors included
	TokensIn  int64            `json:"tokens_in"`
	TokensOut int64            `json:"tokens_out"`
	Errors    map[string]int64 `json:"errors,omitempty"` // settled by a final error, by kind: context-length, refused, empty-target
	Owed      map[string]int64 `json:"owed,omitempty"`   // failed and not settled since, by kind: cannot-score, non-finite, timeout, error
}

// Totals are the totals of every role, ordered by role.
func (r *Reader) Totals(ctx context.Context) ([]Totals, error) {
	byRole := make(map[string]*Totals)
	add := func(query string, into func(t *Totals, kind string, n, in, out int64)) (err error) {
		rows, err := r.db.QueryContext(ctx, query)
		if err != nil {
			return explain(r.path, "read totals", err)
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var role, kind string
			var n, in, out int64
			if err := rows.Scan(&role, &kind, &n, &in, &out); err != nil {
				return explain(r.path, "read totals", err)
			}
			t := byRole[role]
			if t == nil {
				t = &Totals{Role: role}
				byRole[role] = t
			}
			into(t, kind, n, in, out)
		}
		if err := rows.Err(); err != nil {
			return explain(r.path, "read totals", err)
		}
		return nil
	}
	const settled = `SELECT s.role, c.outcome, count(*), sum(c.tokens_in), sum(c.tokens_out)
		FROM (` + uses + `) u JOIN call c ON c.id = u.call JOIN source s ON s.id = u.source GROUP BY 1, 2`
	err := add(settled, func(t *Totals, outcome string, n, in, out int64) {
		t.Made, t.TokensIn, t.TokensOut = t.Made+n, t.TokensIn+in, t.TokensOut+out
		if outcome != "" {
			increase(&t.Errors, outcome, n)
		}
	})
	if err != nil {
		return nil, err
	}
	const owed = `SELECT s.role, f.kind, count(*), 0, 0 FROM failure f JOIN source s ON s.id = f.source
		WHERE f.key NOT IN (SELECT key FROM call) GROUP BY 1, 2`
	if err := add(owed, func(t *Totals, kind string, n, _, _ int64) { increase(&t.Owed, kind, n) }); err != nil {
		return nil, err
	}
	totals := make([]Totals, 0, len(byRole))
	for _, t := range byRole {
		totals = append(totals, *t)
	}
	slices.SortFunc(totals, func(a, b Totals) int { return cmp.Compare(a.Role, b.Role) })
	return totals, nil
}

func increase(m *map[string]int64, key string, n int64) {
	if *m == nil {
		*m = make(map[string]int64)
	}
	(*m)[key] += n
}

// Progress counts what one role did since Open; it is for people who watch, not for
// reports.
type Progress struct {
	Role     string
	Made     int64 // calls settled now
	Replayed int64 // taken from the file, or from a concurrent identical request
	Failed   int64 // attempts that left their call owed
}

// Progress lists the roles wrapped since Open, ordered by name.
func (l *Ledger) Progress() []Progress {
	l.tally.mu.Lock()
	defer l.tally.mu.Unlock()
	list := make([]Progress, 0, len(l.tally.m))
	for role, c := range l.tally.m {
		list = append(list, Progress{Role: role, Made: c.made.Load(), Replayed: c.replayed.Load(), Failed: c.failed.Load()})
	}
	slices.SortFunc(list, func(a, b Progress) int { return cmp.Compare(a.Role, b.Role) })
	return list
}

type count struct{ made, replayed, failed atomic.Int64 }

type tally struct {
	mu sync.Mutex
	m  map[string]*count
}

func (t *tally) of(role string) *count {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = make(map[string]*count)
	}
	if t.m[role] == nil {
		t.m[role] = new(count)
	}
	return t.m[role]
}
