package fleet

import (
	"math"
	"time"
)

// Stats is what a fleet did so far. It is a copy.
type Stats struct {
	Calls     int64             `json:"calls"`     // finished
	Failed    int64             `json:"failed"`    // of those, with an error; the cancelled are not among them
	Cancelled int64             `json:"cancelled"` // of those, by the caller
	Hedges    int64             `json:"hedges"`    // second attempts beside a slow first
	Waited    time.Duration     `json:"waited"`    // for a first place, of all finished calls together
	Attempts  map[Outcome]int64 `json:"attempts"`  // by outcome, of all endpoints
	Waiting   int               `json:"waiting"`   // calls without a place
	InFlight  int               `json:"in_flight"` // attempts
	Tokens    int               `json:"tokens"`    // in flight, as expected
	Latency   Histogram         `json:"-"`         // of calls that succeeded, waiting included
	Endpoints []EndpointStats   `json:"endpoints"`
}

// Retries are the attempts that failed and could be tried again.
func (s Stats) Retries() int64 {
	return s.Attempts[Busy] + s.Attempts[ServerError] + s.Attempts[Unreachable] + s.Attempts[Cut] + s.Attempts[Hung]
}

// EndpointStats is one endpoint's part.
type EndpointStats struct {
	URL       string            `json:"url"`
	Attempts  map[Outcome]int64 `json:"attempts"`
	InFlight  int               `json:"in_flight"`
	Tokens    int               `json:"tokens"`
	Limit     float64           `json:"limit"`     // of requests in flight, now
	Down      bool              `json:"down"`      // ejected: waiting for a sign of life
	Ejections int               `json:"ejections"` // times that it was
}

// calls counts calls.
type calls struct {
	finished, failed, cancelled int64
	waited                      time.Duration
	latency                     Histogram
}

func (f *Fleet) finished(took, waited time.Duration, err error, cancelled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls.finished++
	f.calls.waited += waited
	switch {
	case err == nil:
		f.calls.latency.add(took)
	case cancelled:
		f.calls.cancelled++
	default:
		f.calls.failed++
	}
}

// Stats says what the fleet did so far.
func (f *Fleet) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Stats{Calls: f.calls.finished, Failed: f.calls.failed, Cancelled: f.calls.cancelled, Hedges: f.hedges, Waited: f.calls.waited, Waiting: len(f.queue), Latency: f.calls.latency}
	var all outcomes
	for _, e := range f.endpoints {
		all.add(&e.counts)
		s.InFlight += e.inFlight
		s.Tokens += e.load
		s.Endpoints = append(s.Endpoints, EndpointStats{URL: e.name, Attempts: e.counts.named(), InFlight: e.inFlight, Tokens: e.load,
			Limit: e.concurrency.limit, Down: e.down, Ejections: e.ejections})
	}
	s.Attempts = all.named()
	return s
}

func (c *outcomes) named() map[Outcome]int64 {
	m := map[Outcome]int64{}
	for o, n := range c {
		if n > 0 {
			m[Outcome(o)] = n
		}
	}
	return m
}

// Histogram counts durations in buckets that grow by a quarter of an octave, from 100 µs.
type Histogram struct{ buckets [128]int64 }

const (
	histogramFirst = 100 * time.Microsecond
	histogramSteps = 4 // per octave
)

func (h *Histogram) add(d time.Duration) {
	i := 0
	if d > histogramFirst {
		i = int(math.Ceil(histogramSteps * math.Log2(float64(d)/float64(histogramFirst))))
	}
	h.buckets[min(i, len(h.buckets)-1)]++
}

// Count is how many durations were counted.
func (h Histogram) Count() int64 {
	n := int64(0)
	for _, b := range h.buckets {
		n += b
	}
	return n
}

// Quantile is the upper end of the bucket in which the share q of durations ends: at most 19 %
// too long. Of nothing it is 0.
func (h Histogram) Quantile(q float64) time.Duration {
	need := int64(math.Ceil(q * float64(h.Count())))
	if need == 0 {
		return 0
	}
	for i, b := range h.buckets {
		if need -= b; need <= 0 {
			return h.upper(i)
		}
	}
	return h.upper(len(h.buckets) - 1)
}

func (h Histogram) upper(bucket int) time.Duration {
	return time.Duration(float64(histogramFirst) * math.Exp2(float64(bucket)/histogramSteps))
}

// Buckets gives the upper ends and counts of the buckets up to the last that is not empty,
// for a metrics system.
func (h Histogram) Buckets() (upper []time.Duration, count []int64) {
	last := len(h.buckets)
	for last > 0 && h.buckets[last-1] == 0 {
		last--
	}
	for i := range last {
		upper, count = append(upper, h.upper(i)), append(count, h.buckets[i])
	}
	return upper, count
}
