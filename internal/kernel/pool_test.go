package kernel

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPool(t *testing.T) {
	for workers := 1; workers <= 5; workers++ {
		p := NewPool(workers)
		if p.Workers() != workers {
			t.Errorf("Workers() = %d, want %d", p.Workers(), workers)
		}
		for n := range 40 {
			divisions := map[string]func(fn func(worker, lo, hi int)){
				"For":  func(fn func(worker, lo, hi int)) { p.For(n, 4, fn) },
				"each": func(fn func(worker, lo, hi int)) { p.each(n, 4, 3, fn) },
			}
			for name, divide := range divisions {
				seen := make([]atomic.Int32, n)
				divide(func(worker, lo, hi int) {
					if worker < 0 || worker >= workers || lo%4 != 0 || lo >= hi {
						t.Errorf("%s: worker %d has the range %d to %d", name, worker, lo, hi)
					}
					for i := lo; i < hi; i++ {
						seen[i].Add(1)
					}
				})
				for i := range seen {
					if got := seen[i].Load(); got != 1 {
						t.Errorf("%s of %d with %d workers visits %d %d times", name, n, workers, i, got)
					}
				}
			}
		}
		p.Close()
		p.Close()
	}
}

// Every worker is called once per Run and Run waits for all of them, whether they were
// still looking for work or had gone to sleep.
func TestPoolWakes(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	calls := make([]int, 4)
	for i := range 200 {
		if i%20 == 0 {
			time.Sleep(2 * time.Millisecond) // longer than a worker looks for work
		}
		p.Run(func(w int) { calls[w]++ })
	}
	if want := []int{200, 200, 200, 200}; !slices.Equal(calls, want) {
		t.Errorf("calls = %v, want %v", calls, want)
	}
}

// A worker that is held up does not keep the others from the rest of the blocks.
func TestEachGoesOnWithoutASlowWorker(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var others sync.WaitGroup
	others.Add(7)
	p.each(8, 1, 4, func(_, lo, _ int) {
		if lo == 0 {
			others.Wait() // returns only when the other seven blocks are done
			return
		}
		others.Done()
	})
}
