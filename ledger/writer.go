package ledger

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	queueLength  = 1024 // writes waiting; a caller beyond that waits to queue
	maxBatch     = 512  // writes in one transaction
	rowsAtOnce   = 32   // calls inserted by one statement: saves most of the cost per statement
	callColumns  = 9
	insertPrefix = "INSERT INTO call (key, source, outcome, tokens_in, tokens_out, finish, text, score, tokens) VALUES "
	// A row that is there stays: it is what somebody has already been given.
	insertSuffix = " ON CONFLICT (key) DO NOTHING"

	// lastWait is how long a caller that was told to stop still waits for its write. A file
	// never takes that long, a server that is away does.
	lastWait = 10 * time.Second
)

// insertCalls is the statement that inserts n calls.
func insertCalls(n int) string {
	var b strings.Builder
	b.WriteString(insertPrefix)
	for i := range n * callColumns {
		switch {
		case i == 0:
			b.WriteString("($")
		case i%callColumns == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteString(")" + insertSuffix)
	return b.String()
}

// executor runs statements inside the writer's transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// write is one thing to be made durable: a settled call, or whatever do executes.
type write struct {
	key     Key
	source  *source // whom it is recorded under
	row     *row    // a settled call; if another process has settled it first, its row replaces this one
	settler string  // the role of that other process, or ""

	// do executes any other write with the id of source, if there is one. Its error fails
	// the whole transaction, and it may be executed again in another one.
	do     func(ctx context.Context, x executor, source int64) error
	counts bool // do adds to what is there, so it must not take effect twice
	toDisk bool // wait for the disk, not only for the system

	claimed bool // key was this process' turn, which ends with this write

	err  error // fails this write alone
	done chan struct{}
}

// writer is the only connection of this process that writes. It commits in groups: while
// one transaction is being committed, the next one's writes gather in the queue, so a lone
// caller waits for nobody and a thousand share one commit.
type writer struct {
	store   store
	db      *sql.DB
	session *session // nil before the first transaction, and after one that failed
	sources map[source]int64

	// end gives claims back within the transaction that ends them; nil where there are none.
	end func(ctx context.Context, x executor, claims []Key) error

	queue   chan *write
	stopped chan struct{}
	life    context.Context // ends when nobody waits for a commit any more
	die     context.CancelFunc

	mu      sync.Mutex // orders enter and stop
	closed  atomic.Bool
	pending sync.WaitGroup // submitted and not yet answered

	// broken is the first transaction that failed for good. Nothing is accepted after it: a
	// call that cannot be recorded must not be paid for.
	broken atomic.Pointer[error]
}

// session is a connection with the statements that pay for being prepared.
type session struct {
	conn *sql.Conn
	one  *sql.Stmt // inserts a call
	many *sql.Stmt // inserts rowsAtOnce calls
}

func startWriter(s store, db *sql.DB, end func(context.Context, executor, []Key) error) (*writer, error) {
	w := &writer{store: s, db: db, end: end, sources: make(map[source]int64), queue: make(chan *write, queueLength), stopped: make(chan struct{})}
	w.life, w.die = context.WithCancel(context.Background())
	if err := s.patiently(context.Background(), w.connect); err != nil {
		w.die()
		return nil, explain(s, "prepare", err)
	}
	go w.loop()
	return w, nil
}

// connect makes the session, unless there is one.
func (w *writer) connect(ctx context.Context) (err error) {
	if w.session != nil {
		return nil
	}
	s := new(session)
	if s.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	for _, p := range []struct {
		stmt **sql.Stmt
		rows int
	}{{&s.one, 1}, {&s.many, rowsAtOnce}} {
		if *p.stmt, err = s.conn.PrepareContext(ctx, insertCalls(p.rows)); err != nil {
			return errors.Join(err, s.close())
		}
	}
	w.session = s
	return nil
}

// discard closes the connection in whatever state it is; an open transaction ends with it.
func (s *session) discard() {
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // says what it is told
}

func (s *session) close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{s.one, s.many} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(append(errs, s.conn.Close())...)
}

// usable is nil while the ledger accepts work.
func (w *writer) usable() error {
	if err := w.broken.Load(); err != nil {
		return *err
	}
	if w.closed.Load() {
		return fmt.Errorf("ledger %s: %w", w.store, ErrClosed)
	}
	return nil
}

// enter counts one more write as pending, unless stop has begun to wait for them.
func (w *writer) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return err
	}
	w.pending.Add(1)
	return nil
}

// submit returns when the write is committed. What is written has been done and paid, so the
// end of ctx does not stop it at once: only a server that is away is not waited for.
func (w *writer) submit(ctx context.Context, o *write) error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.pending.Done()
	o.done = make(chan struct{})
	w.queue <- o
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
	}
	late := time.NewTimer(lastWait)
	defer late.Stop()
	select {
	case <-o.done:
		return o.err
	case <-late.C:
		return fmt.Errorf("ledger %s: stopped while %w: what was just done is not recorded and will be done again: %w", w.store, ErrAway, ctx.Err())
	}
}

// drop gives up a claim to work that was not done. Where that fails the claim ends with the
// process, so a ledger that is closed or broken is no error here.
func (w *writer) drop(ctx context.Context, key Key) error {
	if w.end == nil || w.usable() != nil {
		return nil
	}
	return w.submit(ctx, &write{key: key, claimed: true})
}

func (w *writer) loop() {
	defer close(w.stopped)
	batch := make([]*write, 0, maxBatch)
	for first := range w.queue {
		batch = gather(w.queue, append(batch[:0], first))
		if w.broken.Load() == nil {
			if err := w.commit(batch); err != nil {
				err = explain(w.store, "write", err)
				w.broken.Store(&err)
			}
		}
		broken := w.broken.Load()
		for _, o := range batch {
			if broken != nil {
				o.err = *broken
			}
			close(o.done)
		}
	}
}

// gather takes what else is in the queue, up to maxBatch.
func gather[T any](queue <-chan T, batch []T) []T {
	runtime.Gosched() // lets callers that the last batch woke queue up
	for len(batch) < maxBatch {
		select {
		case o, open := <-queue:
			if !open {
				return batch
			}
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// commit writes the batch in one transaction, in another one if the first was lost with its
// connection.
func (w *writer) commit(batch []*write) error {
	// One order for all processes: two that insert the same keys then wait for each other
	// in turn and not in a circle.
	slices.SortStableFunc(batch, func(a, b *write) int {
		return cmp.Or(cmp.Compare(len(a.rowKey()), len(b.rowKey())), bytes.Compare(a.rowKey(), b.rowKey()))
	})
	var t transaction
	return w.store.patiently(w.life, func(ctx context.Context) error {
		err := w.attempt(ctx, batch, &t)
		if err != nil && w.session != nil {
			w.session.discard()
			w.session = nil
		}
		return err
	})
}

// rowKey is the key of a settled call, and empty for other writes.
func (o *write) rowKey() []byte {
	if o.row == nil {
		return nil
	}
	return o.key[:]
}

// transaction remembers what must be known of one that may or may not have been committed.
type transaction struct {
	id string // "" = nothing is open, or it does no harm to do it again
}

func (w *writer) attempt(ctx context.Context, batch []*write, t *transaction) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	conn := w.session.conn
	if t.id != "" {
		committed, err := w.store.committed(ctx, conn, t.id)
		if err != nil || committed {
			return err
		}
		t.id = ""
	}
	var toDisk, counts bool
	var claims []Key
	for _, o := range batch {
		toDisk, counts = toDisk || o.toDisk, counts || o.counts
		if o.claimed {
			claims = append(claims, o.key)
		}
		if o.source != nil {
			// Before the transaction: what it holds until its end, others would wait for.
			if err := w.intern(ctx, *o.source); err != nil {
				return err
			}
		}
	}
	for _, statement := range w.store.begin(toDisk) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := w.insert(ctx, batch); err != nil {
		return err
	}
	for _, o := range batch {
		if o.do == nil {
			continue
		}
		var id int64
		if o.source != nil {
			id = w.sources[*o.source]
		}
		if err := o.do(ctx, conn, id); err != nil {
			return err
		}
	}
	if w.end != nil && len(claims) > 0 {
		if err := w.end(ctx, conn, claims); err != nil {
			return err
		}
	}
	if name := w.store.transaction(); name != "" && counts {
		if err := conn.QueryRowContext(ctx, name).Scan(&t.id); err != nil {
			return err
		}
	}
	for _, statement := range w.store.end(toDisk) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// insert inserts the settled calls of the batch.
func (w *writer) insert(ctx context.Context, batch []*write) error {
	calls := make([]*write, 0, rowsAtOnce)
	args := make([]any, 0, rowsAtOnce*callColumns)
	flush := func(stmt *sql.Stmt) error {
		done, err := stmt.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		inserted, err := done.RowsAffected()
		if err != nil {
			return err
		}
		if int(inserted) < len(calls) {
			err = w.adopt(ctx, calls)
		}
		calls, args = calls[:0], args[:0]
		return err
	}
	for _, o := range batch {
		if o.row == nil {
			continue
		}
		tokens := o.row.tokens
		if tokens == nil {
			tokens = []byte{} // nil would be NULL
		}
		calls = append(calls, o)
		args = append(args, o.key[:], w.sources[*o.source], o.row.outcome, o.row.tokensIn, o.row.tokensOut, o.row.finish, w.store.encode(o.row.text), o.row.score, tokens)
		if len(calls) == rowsAtOnce {
			if err := flush(w.session.many); err != nil {
				return err
			}
		}
	}
	rest, values := calls, args
	for i, o := range rest {
		calls, args = []*write{o}, values[i*callColumns:(i+1)*callColumns]
		if err := flush(w.session.one); err != nil {
			return err
		}
	}
	return nil
}

// adopt replaces the rows of calls by what is stored under their keys: another process was
// faster, and what it was given is what everybody is given.
func (w *writer) adopt(ctx context.Context, calls []*write) error {
	for _, o := range calls {
		var role string
		stored, err := scanCall(w.store, w.session.conn.QueryRowContext(ctx, findCall, o.key[:]), &role)
		if err != nil {
			return err
		}
		*o.row = stored
		if role != o.source.role {
			o.settler = role
		}
	}
	return nil
}

// intern finds or makes the row of s.
func (w *writer) intern(ctx context.Context, s source) error {
	if _, ok := w.sources[s]; ok {
		return nil
	}
	conn := w.session.conn
	if _, err := conn.ExecContext(ctx, "INSERT INTO source (role, model, kind) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", s.role, s.model, string(s.kind)); err != nil {
		return err
	}
	var id int64
	err := conn.QueryRowContext(ctx, "SELECT id FROM source WHERE role = $1 AND model = $2 AND kind = $3", s.role, s.model, string(s.kind)).Scan(&id)
	if err == nil {
		w.sources[s] = id
	}
	return err
}

// stop refuses new writes and waits for the accepted ones.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed.Store(true)
	w.mu.Unlock()
	w.pending.Wait()
	w.die()
	close(w.queue)
	<-w.stopped
}

func (w *writer) close() error {
	var errs []error
	if w.session != nil {
		errs = append(errs, w.session.close())
	}
	return closing(w.store, errors.Join(append(errs, w.db.Close())...))
}
