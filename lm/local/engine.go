package local

import (
	"sync"

	"stargate/internal/kernel"
)

// Engine is a set of workers that models compute on, one step of one model at a time.
// Models that work at the same time (Q_BASE scoring, a policy asking) should share one,
// else they fight for the processors.
type Engine struct {
	turn chan struct{} // holds a token when the pool is free; those who wait are served in order
	pool *kernel.Pool

	mu    sync.Mutex
	users int
}

// NewEngine starts an engine; workers ≤ 0 means one per processor. Close it when the last
// model has been opened: it ends with its last model.
func NewEngine(workers int) *Engine {
	e := &Engine{turn: make(chan struct{}, 1), pool: kernel.NewPool(workers), users: 1}
	e.turn <- struct{}{}
	return e
}

// Close lets go of the engine. Its workers end when all its models are closed too.
func (e *Engine) Close() { e.release() }

// retain keeps the engine from ending until release.
func (e *Engine) retain() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users == 0 {
		return ErrClosed
	}
	e.users++
	return nil
}

func (e *Engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users--; e.users == 0 {
		e.do(func(p *kernel.Pool) { p.Close() })
	}
}

// do runs fn when it is its turn. Steps should be short: the other models wait.
func (e *Engine) do(fn func(*kernel.Pool)) {
	<-e.turn
	defer func() { e.turn <- struct{}{} }()
	fn(e.pool)
}
