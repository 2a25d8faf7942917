package ledger

import (
	"cmp"
	"context"
	"database/sql"
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
	type line struct {
		role, kind string
		n, in, out int64
	}
	add := func(query string, into func(t *Totals, l line)) error {
		var lines []line
		err := r.eachRow(ctx, "read totals", func() (*sql.Rows, error) {
			lines = nil // a query that is asked again begins again
			return r.db.QueryContext(ctx, query)
		}, func(rows *sql.Rows) error {
			var l line
			err := rows.Scan(&l.role, &l.kind, &l.n, &l.in, &l.out)
			lines = append(lines, l)
			return err
		})
		for _, l := range lines {
			if byRole[l.role] == nil {
				byRole[l.role] = &Totals{Role: l.role}
			}
			into(byRole[l.role], l)
		}
		return err
	}
	const settled = `SELECT s.role, c.outcome, count(*), sum(c.tokens_in), sum(c.tokens_out)
		FROM (` + uses + `) u JOIN call c ON c.id = u.call JOIN source s ON s.id = u.source GROUP BY 1, 2`
	err := add(settled, func(t *Totals, l line) {
		t.Made, t.TokensIn, t.TokensOut = t.Made+l.n, t.TokensIn+l.in, t.TokensOut+l.out
		if l.kind != "" {
			increase(&t.Errors, l.kind, l.n)
		}
	})
	if err != nil {
		return nil, err
	}
	const owed = `SELECT s.role, f.kind, count(*), 0, 0 FROM failure f JOIN source s ON s.id = f.source
		WHERE NOT EXISTS (SELECT 1 FROM call c WHERE c.key = f.key) GROUP BY 1, 2`
	if err := add(owed, func(t *Totals, l line) { increase(&t.Owed, l.kind, l.n) }); err != nil {
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
	Replayed int64 // taken from the ledger, or from a concurrent identical request
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
