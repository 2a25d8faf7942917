package stargate

import "sync"

// inOrder hands what came of pairs on in the split's order, whatever the order in which they
// finish. It holds what finished early.
type inOrder struct {
	visit func(i int, best Candidates, sel []Selected) error

	mu      sync.Mutex
	next    int
	waiting map[int]passed
	failed  error // of visit, which is then not called again
}

// passed is what came of a pair.
type passed struct {
	best Candidates
	sel  []Selected
}

func newInOrder(visit func(i int, best Candidates, sel []Selected) error) *inOrder {
	return &inOrder{visit: visit, waiting: map[int]passed{}}
}

// put takes what came of pair i, and hands on what nothing is waited for any more. It returns
// what a visit failed with.
func (o *inOrder) put(i int, best Candidates, sel []Selected) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting[i] = passed{best, sel}
	for p, there := o.waiting[o.next]; there && o.failed == nil; p, there = o.waiting[o.next] {
		delete(o.waiting, o.next)
		o.failed = o.visit(o.next, p.best, p.sel)
		o.next++
	}
	return o.failed
}
