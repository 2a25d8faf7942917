package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// leases is for a ledger that several processes have open. Each is a worker with a lease
// that it renews; who makes a call, or does a step, holds a claim to its key, and a claim is
// worth as much as its worker's lease.
//
// A worker that lost its lease may still be at work: cut off, or stopped for a while. Its
// work is then done twice, but only what is stored first counts, and both are given that.
type leases struct {
	store *postgres
	db    *sql.DB
	self  process
	id    atomic.Int64 // of this worker

	asked  chan *question
	silent atomic.Pointer[error] // why the lease could not be renewed when it was last tried, or nil
	life   context.Context
	die    context.CancelFunc
	loops  sync.WaitGroup
}

// question asks for one key: its settled row, or else the claim to it.
type question struct {
	key  Key
	done chan struct{} // closed when the answer may be read
	// answer goes from 0 to answered or to forsaken, whichever is first.
	answer atomic.Int32

	row   row
	role  string
	found bool
	mine  bool
	err   error
}

const (
	answered = 1
	forsaken = 2 // the one who asked has left
)

func startLeases(p *postgres) (*leases, error) {
	l := &leases{store: p, db: p.connections(2), self: thisProcess(), asked: make(chan *question, queueLength)}
	l.life, l.die = context.WithCancel(context.Background())
	err := p.patiently(l.life, func(ctx context.Context) error {
		if err := l.bury(ctx); err != nil {
			return err
		}
		return l.register(ctx)
	})
	if err != nil {
		l.die()
		return nil, explain(p, "register as a worker", errors.Join(err, l.db.Close()))
	}
	l.loops.Go(l.answers)
	l.loops.Go(l.heartbeat)
	return l, nil
}

// register makes this process a worker.
func (l *leases) register(ctx context.Context) error {
	const insert = `INSERT INTO worker (host, machine, pid, born, lease, expires)
		VALUES ($1, $2, $3, $4, CAST($5 AS INTERVAL), now() + CAST($5 AS INTERVAL)) RETURNING id`
	var id int64
	err := l.db.QueryRowContext(ctx, insert, l.self.host, l.self.machine, l.self.pid, l.self.born, interval(l.store.lease)).Scan(&id)
	l.id.Store(id)
	return err
}

func interval(d time.Duration) string { return fmt.Sprintf("%d microseconds", d.Microseconds()) }

// living selects the workers whose lease holds. After the server itself was away they all
// have one more lease to come back in.
const living = "(expires > now() OR pg_postmaster_start_time() + lease > now())"

// heartbeat renews the lease.
func (l *leases) heartbeat() {
	beat := time.NewTicker(l.store.lease / 3)
	defer beat.Stop()
	for {
		select {
		case <-l.life.Done():
			return
		case <-beat.C:
		}
		err := l.store.patiently(l.life, func(ctx context.Context) error {
			done, err := l.db.ExecContext(ctx, "UPDATE worker SET expires = now() + lease WHERE id = $1", l.id.Load())
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 { // buried alive
				return errors.Join(err, l.revive(ctx))
			}
			return l.bury(ctx)
		})
		if l.life.Err() != nil {
			return
		}
		l.silent.Store(nil)
		if err != nil {
			err = explain(l.store, "renew the lease", err)
			l.silent.Store(&err)
		}
	}
}

// revive puts back the row of this worker, which others took for dead.
func (l *leases) revive(ctx context.Context) error {
	const insert = `INSERT INTO worker (id, host, machine, pid, born, lease, expires)
		VALUES ($6, $1, $2, $3, $4, CAST($5 AS INTERVAL), now() + CAST($5 AS INTERVAL)) ON CONFLICT DO NOTHING`
	_, err := l.db.ExecContext(ctx, insert, l.self.host, l.self.machine, l.self.pid, l.self.born, interval(l.store.lease), l.id.Load())
	return err
}

// bury removes workers that are dead for long, and those of this machine whose process is
// gone: their work need not wait for the end of their lease.
func (l *leases) bury(ctx context.Context) error {
	rows, err := l.db.QueryContext(ctx, "SELECT id, pid, born FROM worker WHERE machine = $1 AND machine <> ''", l.self.machine)
	if err != nil {
		return err
	}
	var gone []int64
	for rows.Next() {
		var id, born int64
		var pid int
		if err := rows.Scan(&id, &pid, &born); err != nil {
			return errors.Join(err, rows.Close())
		}
		if at, alive := bornAt(pid); !alive || at != born {
			gone = append(gone, id)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	_, err = l.db.ExecContext(ctx, "DELETE FROM worker WHERE id = ANY($1) OR (NOT "+living+" AND expires + 100 * lease < now())", gone)
	if err != nil {
		return err
	}
	_, err = l.db.ExecContext(ctx, "DELETE FROM claim WHERE NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = claim.worker)")
	return err
}

// call is the turns' call: it waits while another process makes it.
func (l *leases) call(ctx context.Context, key Key) (r row, role string, found bool, err error) {
	wait := patienceOfNeighbours()
	for {
		q, err := l.ask(ctx, key)
		switch {
		case err != nil:
			return row{}, "", false, err
		case q.found, q.mine:
			return q.row, q.role, q.found, nil
		}
		if err := l.pause(ctx, wait.NextBackOff()); err != nil {
			return row{}, "", false, err
		}
	}
}

// step is the turns' step. Look comes after the claim too: the step may have been finished
// between the first look and the claim.
func (l *leases) step(ctx context.Context, key Key, look func() (bool, error)) (found bool, err error) {
	wait := patienceOfNeighbours()
	for {
		if found, err := look(); err != nil || found {
			return found, err
		}
		q, err := l.ask(ctx, key)
		if err != nil {
			return false, err
		}
		if q.mine {
			found, err := look()
			if err != nil || found {
				err = errors.Join(err, l.giveBack(ctx, key))
			}
			return found, err
		}
		if err := l.pause(ctx, wait.NextBackOff()); err != nil {
			return false, err
		}
	}
}

// patienceOfNeighbours spaces the questions for a key that another process works on.
func patienceOfNeighbours() *backoff.ExponentialBackOff {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 20*time.Millisecond, time.Second
	return wait
}

func (l *leases) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.life.Done():
		return l.closed()
	}
}

func (l *leases) closed() error { return fmt.Errorf("ledger %s: %w", l.store, ErrClosed) }

func (l *leases) settled(Key) {}

func (l *leases) ask(ctx context.Context, key Key) (*question, error) {
	q := &question{key: key, done: make(chan struct{})}
	select {
	case l.asked <- q:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.life.Done():
		return nil, l.closed()
	}
	select {
	case <-q.done:
		return q, q.err
	case <-ctx.Done():
		if q.answer.CompareAndSwap(0, forsaken) {
			return nil, ctx.Err()
		}
		<-q.done
		return q, q.err
	case <-l.life.Done():
		return nil, l.closed()
	}
}

// answers answers questions in groups, as the writer writes. Where the lease could not be
// renewed, or a claim that nobody wants could not be given back, questions fail: the process
// ends, and its claims with it.
func (l *leases) answers() {
	batch := make([]*question, 0, maxBatch)
	var kept error // why claims were not given back
	for {
		select {
		case <-l.life.Done():
			return
		case first := <-l.asked:
			batch = gather(l.asked, append(batch[:0], first))
		}
		err := kept
		if silent := l.silent.Load(); err == nil && silent != nil {
			err = *silent
		}
		if err == nil {
			if err = l.store.patiently(l.life, func(ctx context.Context) error { return l.answer(ctx, batch) }); err != nil {
				err = explain(l.store, "look up calls", err)
			}
		}
		var unwanted []Key
		for _, q := range batch {
			q.err = err
			if q.answer.CompareAndSwap(0, answered) {
				close(q.done)
			} else if q.mine && err == nil {
				unwanted = append(unwanted, q.key)
			}
		}
		if len(unwanted) > 0 {
			// Left alone, these claims would last as long as this process.
			kept = l.store.patiently(l.life, func(ctx context.Context) error { return l.end(ctx, l.db, unwanted) })
			if kept != nil {
				kept = explain(l.store, "give claims back", kept)
			}
		}
	}
}

// answer claims what nobody has settled and nobody alive holds, then looks the keys up. That
// is after the claim: a key may be settled until it is claimed, but not any more after. Both
// go to the server in one message.
func (l *leases) answer(ctx context.Context, batch []*question) error {
	const claim = `INSERT INTO claim (key, worker) SELECT k, $2 FROM unnest(CAST($1 AS BYTEA[])) AS k
		WHERE NOT EXISTS (SELECT 1 FROM call WHERE key = k)
		AND NOT EXISTS (SELECT 1 FROM claim c JOIN worker w ON w.id = c.worker WHERE c.key = k AND c.worker <> $2 AND ` + living + `)
		ON CONFLICT (key) DO UPDATE SET worker = excluded.worker
		WHERE claim.worker = excluded.worker OR NOT EXISTS (SELECT 1 FROM worker WHERE id = claim.worker AND ` + living + `)
		RETURNING key`
	const find = "SELECT c.key, s.role, " + rowColumns + " FROM call c JOIN source s ON s.id = c.source WHERE c.key = ANY($1)"
	// All processes lock in one order. A key is asked for once at a time.
	slices.SortFunc(batch, func(a, b *question) int { return bytes.Compare(a.key[:], b.key[:]) })
	keys := make([][]byte, len(batch))
	for i, q := range batch {
		q.found, q.mine = false, false
		keys[i] = q.key[:]
	}
	of := func(key []byte) *question {
		i, _ := slices.BinarySearchFunc(batch, key, func(q *question, key []byte) int { return bytes.Compare(q.key[:], key) })
		return batch[i]
	}
	message := new(pgx.Batch)
	message.Queue(claim, keys, l.id.Load()).Query(func(rows pgx.Rows) error {
		var key []byte
		_, err := pgx.ForEachRow(rows, []any{&key}, func() error {
			of(key).mine = true
			return nil
		})
		return err
	})
	message.Queue(find, keys).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key []byte
			var role string
			r, err := scanCall(l.store, rows, &key, &role)
			if err != nil {
				return err
			}
			q := of(key)
			q.row, q.role, q.found = r, role, true
		}
		return rows.Err()
	})
	if err := l.send(ctx, message); err != nil {
		return err
	}
	var late []Key
	for _, q := range batch {
		if q.found && q.mine {
			q.mine = false
			late = append(late, q.key)
		}
	}
	if len(late) > 0 {
		return l.end(ctx, l.db, late)
	}
	return nil
}

// send sends statements in one message; they are one transaction.
func (l *leases) send(ctx context.Context, message *pgx.Batch) (err error) {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Raw(func(driver any) error {
		return driver.(*stdlib.Conn).Conn().SendBatch(ctx, message).Close()
	})
}

// end gives claims back.
func (l *leases) end(ctx context.Context, x executor, keys []Key) error {
	_, err := x.ExecContext(ctx, "DELETE FROM claim WHERE worker = $1 AND key = ANY($2)", l.id.Load(), raw(keys))
	return err
}

func (l *leases) giveBack(ctx context.Context, key Key) error {
	return l.store.patiently(ctx, func(ctx context.Context) error { return l.end(ctx, l.db, []Key{key}) })
}

// close ends the worker; claims it still has are then anybody's. If the server is away they
// are so at the end of the lease.
func (l *leases) close() error {
	l.die()
	l.loops.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := l.db.ExecContext(ctx, "DELETE FROM worker WHERE id = $1", l.id.Load())
	return closing(l.store, errors.Join(err, l.db.Close()))
}
