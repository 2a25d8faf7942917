package build

import "sync"

// ordered passes results on in the order of their numbers, however they come. What waits
// for its turn is at most what is in flight.
type ordered struct {
	mu      sync.Mutex
	next    int
	waiting map[int]Gold
	emit    func(Gold) error
	err     error
}

func newOrdered(emit func(Gold) error) *ordered {
	return &ordered{waiting: map[int]Gold{}, emit: emit}
}

// put hands over result i. After an error of emit nothing more is passed on.
func (o *ordered) put(i int, g Gold) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting[i] = g
	for o.err == nil {
		g, ok := o.waiting[o.next]
		if !ok {
			break
		}
		delete(o.waiting, o.next)
		o.next++
		o.err = o.emit(g)
	}
	return o.err
}
