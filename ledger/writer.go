package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	queueLength = 1024 // writes waiting; a caller beyond that waits to queue
	maxBatch    = 512  // writes in one transaction

	// lastWait is how long a caller that was told to stop still waits for its write. A file
	// never takes that long, a server that is away does.
	lastWait = 10 * time.Second
)

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

// inserter stores settled calls; how that is fast depends on the store.
type inserter interface {
	// connected prepares what insert needs of a new connection.
	connected(ctx context.Context, conn *sql.Conn) error
	// leaves gives that back, before the connection is closed.
	leaves() error
	// insert stores calls, whose sources have these ids, and ends claims. If another process
	// has settled a call first, the stored row replaces the write's.
	insert(ctx context.Context, conn *sql.Conn, calls []*write, sources map[source]int64, claims []Key) error
	// whole tells that insert is one statement and needs no transaction around it.
	whole() bool
	// claims tells that there are claims to end.
	claims() bool
}

// writer is the only connection of this process that writes. It commits in groups: while
// one transaction is being committed, the next one's writes gather in the queue, so a lone
// caller waits for nobody and a thousand share one commit.
type writer struct {
	store   store
	insert  inserter
	db      *sql.DB
	conn    *sql.Conn // nil before the first transaction, and after one that failed
	sources map[source]int64

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

func startWriter(s store, db *sql.DB, i inserter) (*writer, error) {
	w := &writer{store: s, insert: i, db: db, sources: make(map[source]int64), queue: make(chan *write, queueLength), stopped: make(chan struct{})}
	w.life, w.die = context.WithCancel(context.Background())
	if err := s.patiently(context.Background(), w.connect); err != nil {
		w.die()
		return nil, explain(s, "prepare", err)
	}
	go w.loop()
	return w, nil
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
	if !w.insert.claims() || w.usable() != nil {
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
	if w.conn != nil {
		errs = append(errs, w.insert.leaves(), w.conn.Close())
	}
	return closing(w.store, errors.Join(append(errs, w.db.Close())...))
}
