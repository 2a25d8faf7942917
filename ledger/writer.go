package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	queueLength  = 1024 // writes waiting; a caller beyond that waits to queue
	maxBatch     = 512  // writes in one transaction
	rowsAtOnce   = 32   // calls inserted by one statement: saves most of the cost per statement
	callColumns  = 9
	insertPrefix = "INSERT INTO call (key, source, outcome, tokens_in, tokens_out, finish, text, score, tokens) VALUES "
	insertRow    = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
	// A row that is there stays: it is what somebody has already been given.
	insertSuffix = " ON CONFLICT (key) DO NOTHING"
)

// write is one thing to be made durable: a settled call, or whatever do executes.
type write struct {
	key    Key
	source *source
	row    *row
	do     func(*writer) error // its error fails the whole transaction
	toDisk bool                // wait for the disk, not only for the system
	err    error               // fails this write alone
	done   chan struct{}
}

// writer is the only connection that writes. It commits in groups: while one transaction
// is being committed, the next one's writes gather in the queue, so a lone caller waits for
// nobody and a thousand share one commit.
type writer struct {
	path  string
	db    *sql.DB
	conn  *sql.Conn
	one   *sql.Stmt // inserts a call
	many  *sql.Stmt // inserts rowsAtOnce calls
	begin *sql.Stmt
	end   *sql.Stmt

	sources map[source]int64
	queue   chan *write
	stopped chan struct{}

	mu      sync.Mutex // orders enter and stop
	closed  atomic.Bool
	pending sync.WaitGroup // submitted and not yet answered

	// broken is the first failed transaction. Nothing is accepted after it: a call that
	// cannot be recorded must not be paid for.
	broken atomic.Pointer[error]
}

func startWriter(path string, db *sql.DB) (*writer, error) {
	ctx := context.Background()
	w := &writer{path: path, db: db, sources: make(map[source]int64), queue: make(chan *write, queueLength), stopped: make(chan struct{})}
	var err error
	if w.conn, err = db.Conn(ctx); err != nil {
		return nil, explain(path, "open", err)
	}
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.end, "COMMIT"},
		{&w.one, insertPrefix + insertRow + insertSuffix},
		{&w.many, insertPrefix + strings.Repeat(insertRow+", ", rowsAtOnce-1) + insertRow + insertSuffix},
	} {
		if *s.stmt, err = w.conn.PrepareContext(ctx, s.text); err != nil {
			return nil, explain(path, "prepare", errors.Join(err, w.conn.Close()))
		}
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
		return fmt.Errorf("ledger %s: %w", w.path, ErrClosed)
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

// submit returns when the write is committed. It takes no context: what is written has
// been done and paid, and a commit takes milliseconds.
func (w *writer) submit(o *write) error {
	if err := w.enter(); err != nil {
		return err
	}
	defer w.pending.Done()
	o.done = make(chan struct{})
	w.queue <- o
	<-o.done
	return o.err
}

func (w *writer) loop() {
	defer close(w.stopped)
	batch := make([]*write, 0, maxBatch)
	for first := range w.queue {
		batch = append(batch[:0], first)
		runtime.Gosched() // lets callers that the last commit woke queue up
	gather:
		for len(batch) < maxBatch {
			select {
			case o, open := <-w.queue:
				if !open {
					break gather
				}
				batch = append(batch, o)
			default:
				break gather
			}
		}
		if w.broken.Load() == nil {
			if err := w.commit(batch); err != nil {
				err = explain(w.path, "write", err)
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

// commit writes the batch in one transaction. After an error the connection is not used
// again; closing it rolls back.
func (w *writer) commit(batch []*write) error {
	ctx := context.Background()
	toDisk := false
	for _, o := range batch {
		toDisk = toDisk || o.toDisk
	}
	if toDisk {
		if _, err := w.conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
			return err
		}
	}
	if _, err := w.begin.ExecContext(ctx); err != nil {
		return err
	}
	if err := w.insertCalls(ctx, batch); err != nil {
		return err
	}
	for _, o := range batch {
		if o.do != nil {
			if err := o.do(w); err != nil {
				return err
			}
		}
	}
	if _, err := w.end.ExecContext(ctx); err != nil {
		return err
	}
	if toDisk {
		if _, err := w.conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) insertCalls(ctx context.Context, batch []*write) error {
	args := make([]any, 0, rowsAtOnce*callColumns)
	for _, o := range batch {
		if o.row == nil {
			continue
		}
		id, err := w.sourceID(ctx, o.source)
		if err != nil {
			return err
		}
		tokens := o.row.tokens
		if tokens == nil {
			tokens = []byte{} // nil would be NULL
		}
		args = append(args, o.key[:], id, o.row.outcome, o.row.tokensIn, o.row.tokensOut, o.row.finish, o.row.text, o.row.score, tokens)
		if len(args) == cap(args) {
			if _, err := w.many.ExecContext(ctx, args...); err != nil {
				return err
			}
			args = args[:0]
		}
	}
	for ; len(args) > 0; args = args[callColumns:] {
		if _, err := w.one.ExecContext(ctx, args[:callColumns]...); err != nil {
			return err
		}
	}
	return nil
}

// sourceID finds or makes the row of s. A rolled-back id does no harm: the ledger is then
// broken and the map is not used again.
func (w *writer) sourceID(ctx context.Context, s *source) (id int64, err error) {
	if id, ok := w.sources[*s]; ok {
		return id, nil
	}
	if _, err = w.conn.ExecContext(ctx, "INSERT INTO source (role, model, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", s.role, s.model, string(s.kind)); err != nil {
		return 0, err
	}
	err = w.conn.QueryRowContext(ctx, "SELECT id FROM source WHERE role = ? AND model = ? AND kind = ?", s.role, s.model, string(s.kind)).Scan(&id)
	if err == nil {
		w.sources[*s] = id
	}
	return id, err
}

// stop refuses new writes and waits for the accepted ones.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed.Store(true)
	w.mu.Unlock()
	w.pending.Wait()
	close(w.queue)
	<-w.stopped
}

func (w *writer) close() error {
	var errs []error
	for _, s := range []*sql.Stmt{w.begin, w.end, w.one, w.many} {
		errs = append(errs, s.Close())
	}
	errs = append(errs, w.conn.Close(), w.db.Close())
	if err := errors.Join(errs...); err != nil {
		return explain(w.path, "close", err)
	}
	return nil
}
