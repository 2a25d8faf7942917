package simserver

import (
	"fmt"
	"sync"
	"time"
)

// Faults are the shares of requests that meet one, each in [0, 1]; together at most 1.
// Whether an attempt meets one is a function of the request and of how often it has been
// tried, so it does not depend on who else is served.
type Faults struct {
	Busy       float64 // 429 with Retry-After
	Error      float64 // 500
	Cut        float64 // the connection ends in the middle of the answer
	Garbage    float64 // 200 with what is no JSON
	Empty      float64 // 200 with nothing drawn or scored
	Truncated  float64 // 200 with half of what was drawn or scored
	WrongModel float64 // 200 with another model's name
	Hang       float64 // no answer, ever

	RetryAfter time.Duration // what Busy and a full queue ask for, in the server's time; 0: one second
	KeyExpires int           // 401 to everyone after so many requests; 0: never
	Seed       uint64
}

type fault int

const (
	noFault fault = iota
	busyFault
	errorFault
	cutFault
	garbageFault
	emptyFault
	truncatedFault
	wrongModelFault
	hangFault
)

func (f Faults) shares() []float64 {
	return []float64{f.Busy, f.Error, f.Cut, f.Garbage, f.Empty, f.Truncated, f.WrongModel, f.Hang}
}

func (f Faults) validate() error {
	sum := 0.0
	for _, s := range f.shares() {
		if s < 0 {
			return fmt.Errorf("simserver: Faults: a share is %g, want 0 or more", s)
		}
		sum += s
	}
	if sum > 1 {
		return fmt.Errorf("simserver: Faults: the shares add up to %g, want at most 1", sum)
	}
	return nil
}

// faulter draws faults.
type faulter struct {
	Faults
	mu       sync.Mutex
	attempts map[uint64]uint64 // by request
}

// next is the fault of the next attempt of a request.
func (f *faulter) next(request uint64) fault {
	shares := f.shares()
	any := false
	for _, s := range shares {
		any = any || s > 0
	}
	if !any {
		return noFault
	}
	f.mu.Lock()
	f.attempts[request]++
	n := f.attempts[request]
	f.mu.Unlock()
	u := uniform(mix(mix(request, f.Seed), n))
	for i, s := range shares {
		if u < s {
			return busyFault + fault(i)
		}
		u -= s
	}
	return noFault
}
