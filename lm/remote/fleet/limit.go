package fleet

import "time"

// concurrency is the limit of an endpoint's requests in flight: additive increase,
// multiplicative decrease, with a slow start (RFC 5681, section 3.1).
type concurrency struct {
	limit float64
	most  float64
	slow  bool      // no decrease yet: every answer adds one, the limit doubles per round
	cut   time.Time // of the last decrease
}

// shrink is what a decrease leaves. Half, as in TCP, would empty the batch of a server whose
// queue is shorter than its batch.
const shrink = 0.9

func newConcurrency(start, most int) concurrency {
	return concurrency{limit: float64(start), most: float64(most), slow: true}
}

// places is how many requests may be in flight.
func (c *concurrency) places() int { return max(1, int(c.limit)) }

// success counts an answer that came while so many requests were in flight. A limit that
// nobody reaches does not grow.
func (c *concurrency) success(inFlight int) {
	if float64(inFlight) < shrink*c.limit {
		return
	}
	if c.slow {
		c.limit++
	} else {
		c.limit += 1 / c.limit
	}
	c.limit = min(c.limit, c.most)
}

// overload takes back: once for all requests that were sent before it was known.
func (c *concurrency) overload(sent, now time.Time, inFlight int) {
	if !sent.After(c.cut) {
		return
	}
	c.limit = max(1, shrink*min(c.limit, float64(inFlight)))
	c.slow, c.cut = false, now
}
