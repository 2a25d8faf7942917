package build

import "sync"

// counter counts and tells in one step, so that what is told never goes back.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next(tell func(n int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	tell(c.n)
}
