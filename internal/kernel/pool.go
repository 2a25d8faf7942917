package kernel

import (
	"runtime"
	"sync/atomic"
)

// Pool runs functions on a fixed number of workers with little delay: an idle worker spins
// for some microseconds before it parks. A pool runs one function at a time and must not
// be used from inside that function; it belongs to one goroutine.
type Pool struct {
	workers int
	seq     atomic.Uint32 // counts calls of Run; workers wait for it to change
	left    atomic.Int32  // workers that have not finished the current call
	fn      func(worker int)
	closed  bool
	slots   []slot
	next    atomic.Int64 // the first block of each that nobody has taken
	packed  packed       // operands of MulTN
}

type slot struct {
	parked atomic.Bool
	wake   chan struct{}
	_      [40]byte // own cache line
}

// spins is how often a worker looks for work before it parks: about 50 µs.
const spins = 30000

// NewPool starts workers-1 goroutines; the caller of Run is the last worker. Zero or less
// means GOMAXPROCS.
func NewPool(workers int) *Pool {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &Pool{workers: workers, slots: make([]slot, workers)}
	for i := 1; i < workers; i++ {
		p.slots[i].wake = make(chan struct{}, 1)
		go p.loop(i)
	}
	return p
}

// Workers is the number of functions that run at once.
func (p *Pool) Workers() int { return p.workers }

// Close ends the workers. The pool must not be used afterwards.
func (p *Pool) Close() {
	if p.closed {
		return
	}
	p.closed = true
	p.Run(func(worker int) {
		if worker > 0 {
			runtime.Goexit()
		}
	})
}

func (p *Pool) loop(i int) {
	s := &p.slots[i]
	for last := uint32(0); ; {
		for n := 0; p.seq.Load() == last; n++ {
			if n < spins {
				continue
			}
			s.parked.Store(true)
			if p.seq.Load() == last {
				<-s.wake
			}
			s.parked.Store(false)
		}
		last = p.seq.Load()
		p.work(i)
	}
}

// work counts down even when the function ends its goroutine.
func (p *Pool) work(i int) {
	defer p.left.Add(-1)
	p.fn(i)
}

// Run calls fn(0) … fn(Workers()-1) at the same time and waits for all.
func (p *Pool) Run(fn func(worker int)) {
	if p.workers == 1 {
		fn(0)
		return
	}
	p.fn = fn
	p.left.Store(int32(p.workers - 1))
	p.seq.Add(1)
	for i := 1; i < p.workers; i++ {
		if p.slots[i].parked.Load() {
			select {
			case p.slots[i].wake <- struct{}{}:
			default:
			}
		}
	}
	fn(0)
	for n := 0; p.left.Load() != 0; n++ {
		if n > 200 { // let other goroutines run when there are fewer processors than workers
			runtime.Gosched()
		}
	}
	p.fn = nil
}

// For divides [0, n) into at most Workers() contiguous ranges that begin at multiples of
// grain, and calls fn for each.
func (p *Pool) For(n, grain int, fn func(worker, lo, hi int)) {
	units := (n + grain - 1) / grain
	if units <= 1 || p.workers == 1 {
		if n > 0 {
			fn(0, 0, n)
		}
		return
	}
	p.Run(func(w int) {
		lo, hi := units*w/p.workers*grain, min(units*(w+1)/p.workers*grain, n)
		if lo < hi {
			fn(w, lo, hi)
		}
	})
}

// each divides [0, n) into contiguous blocks that begin at multiples of grain, about
// perWorker for each worker, and calls fn for each. Workers take the blocks as they become
// free, so that one which the system interrupts does not hold up the others: fn must
// compute the same whatever the worker and the block.
func (p *Pool) each(n, grain, perWorker int, fn func(worker, lo, hi int)) {
	units := (n + grain - 1) / grain
	blocks := min(units, perWorker*p.workers)
	if blocks <= 1 || p.workers == 1 {
		if n > 0 {
			fn(0, 0, n)
		}
		return
	}
	p.next.Store(0)
	p.Run(func(w int) {
		for {
			i := int(p.next.Add(1)) - 1
			if i >= blocks {
				return
			}
			fn(w, units*i/blocks*grain, min(units*(i+1)/blocks*grain, n))
		}
	})
}
