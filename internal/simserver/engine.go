package simserver

import (
	"slices"
	"time"
)

// engine is the GPU: a queue, a running batch and a prefix cache. It has no clock and no
// goroutine: the caller says what time it is.
//
// Time goes in steps. In a step every sequence of the batch whose prompt has been read draws
// a token, and up to Chunk prompt tokens of the others are read; a prompt that comes to its
// end draws its first token in the same step. Steps that are alike are counted, not played.
type engine struct {
	hw      Hardware
	queue   []*sequence
	running []*sequence
	cache   *prefixCache
	work    Work

	begun time.Duration // when the current steps began
	each  time.Duration // how long one of them takes
	steps int           // how many; 0: idle
}

// sequence is one completion to be drawn.
type sequence struct {
	prompt    int      // tokens
	out       int      // tokens to draw; 0 for a text that is only scored
	blocks    []uint64 // the cache's names for the full blocks of prompt and completion
	scored    bool     // log-probabilities of the prompt: computed anew, past the cache
	done      chan struct{}
	prefill   int // prompt tokens to read yet
	chunk     int // of them in the current step
	left      int // tokens to draw yet
	cancelled bool
	finished  time.Duration
}

func newEngine(hw Hardware) *engine {
	return &engine{hw: hw, cache: newPrefixCache(hw.CacheTokens)}
}

// full says whether n more sequences would be too many.
func (e *engine) full(n int) bool {
	return len(e.queue)+len(e.running)+n > e.hw.Batch+e.hw.Queue
}

// add queues s at the time now, to which the engine has been advanced.
func (e *engine) add(s *sequence, now time.Duration) {
	s.left = s.out
	e.queue = append(e.queue, s)
	if e.steps == 0 {
		e.begin(now)
	} else if len(e.running) < e.hw.Batch {
		e.interrupt(now)
	}
}

// cancel takes s out: at once if it waits, with the step if it runs.
func (e *engine) cancel(s *sequence, now time.Duration) {
	s.cancelled = true
	if i := slices.Index(e.queue, s); i >= 0 {
		e.queue = slices.Delete(e.queue, i, i+1)
		return
	}
	if e.steps > 0 {
		e.interrupt(now)
	}
}

// interrupt ends the current steps with the one that is under way; one that begins now is.
func (e *engine) interrupt(now time.Duration) {
	e.steps = min(e.steps, int((now-e.begun)/e.each)+1)
}

// next is when the current steps end.
func (e *engine) next() (at time.Duration, busy bool) {
	return e.begun + time.Duration(e.steps)*e.each, e.steps > 0
}

// advance plays all steps that end by now and returns the sequences that finished.
func (e *engine) advance(now time.Duration) (finished []*sequence) {
	for {
		at, busy := e.next()
		if !busy || at > now {
			return finished
		}
		finished = e.end(at, finished)
		e.begin(at)
	}
}

// begin lets waiting sequences into the batch and plans the next steps.
func (e *engine) begin(now time.Duration) {
	for len(e.queue) > 0 && len(e.running) < e.hw.Batch {
		e.enter(e.queue[0])
		e.queue[0] = nil
		e.queue = e.queue[1:]
	}
	e.begun, e.steps = now, 0
	if len(e.running) == 0 {
		return
	}
	e.each, e.steps = e.hw.Step, e.running[0].left
	budget := e.hw.Chunk
	for _, s := range e.running {
		if s.prefill > 0 {
			s.chunk = min(s.prefill, budget)
			budget -= s.chunk
			e.steps = 1
			e.each += time.Duration(s.chunk) * e.hw.PrefillPerToken
			if s.scored {
				e.each += time.Duration(s.chunk) * e.hw.ScorePerToken
			}
		}
		if s.prefill == s.chunk && s.left > 0 { // draws a token
			e.each += e.hw.StepPerSequence
			e.steps = min(e.steps, s.left)
		}
	}
	e.steps = max(1, e.steps)
}

// enter puts a sequence into the batch and looks its prompt up in the cache. At least one
// token is always computed: the first logits need it.
func (e *engine) enter(s *sequence) {
	e.running = append(e.running, s)
	prompt := s.blocks[:min(len(s.blocks), s.prompt/blockTokens)]
	cached := 0
	if !s.scored {
		cached = min(e.cache.hit(prompt)*blockTokens, s.prompt-1)
	}
	e.cache.use(prompt)
	s.prefill = s.prompt - cached
	e.work.Prompt += s.prompt
	e.work.Cached += cached
}

// end books the steps that end now.
func (e *engine) end(now time.Duration, finished []*sequence) []*sequence {
	kept := e.running[:0]
	for _, s := range e.running {
		e.work.Prefilled += s.chunk
		if s.scored {
			e.work.Scored += s.chunk
		}
		s.prefill -= s.chunk
		s.chunk = 0
		if s.prefill == 0 && s.left > 0 {
			s.left -= e.steps
			e.work.Completion += e.steps
		}
		switch {
		case s.cancelled:
		case s.prefill == 0 && s.left == 0:
			e.cache.use(s.blocks)
			e.work.Requests++
			s.finished = now
			finished = append(finished, s)
		default:
			kept = append(kept, s)
		}
	}
	clear(e.running[len(kept):])
	e.running = kept
	return finished
}
