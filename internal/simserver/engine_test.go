package simserver

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// job is a sequence of which nothing is in the cache.
func job(r *rand.Rand, prompt, out int) *sequence {
	s := &sequence{prompt: prompt, out: out}
	for range (prompt + out) / blockTokens {
		s.blocks = append(s.blocks, r.Uint64())
	}
	return s
}

// drain plays the engine to its end.
func drain(e *engine) (finished []*sequence) {
	for {
		at, busy := e.next()
		if !busy {
			return finished
		}
		finished = append(finished, e.advance(at)...)
	}
}

func TestOneSequence(t *testing.T) {
	hw := Hardware{Batch: 4, Step: 10 * time.Millisecond, StepPerSequence: time.Millisecond, PrefillPerToken: 100 * time.Microsecond, Chunk: 100, Context: 1000}
	for _, c := range []struct {
		name        string
		prompt, out int
		scored      bool
		want        time.Duration
	}{
		{"the prompt and the first token in one step", 50, 1, false, 16 * time.Millisecond},
		{"a step for each further token", 50, 3, false, 38 * time.Millisecond},
		{"a long prompt in chunks", 250, 1, false, 56 * time.Millisecond},
		{"a score draws nothing", 50, 0, true, 15 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEngine(hw)
			s := job(rand.New(rand.NewPCG(1, 1)), c.prompt, c.out)
			s.scored = c.scored
			e.add(s, time.Second)
			drain(e)
			if got := s.finished - time.Second; got != c.want {
				t.Errorf("took %v, want %v", got, c.want)
			}
			if least := hw.Least(e.work); least > c.want {
				t.Errorf("Least says %v: more than it took", least)
			}
		})
	}
}

func TestCache(t *testing.T) {
	e := newEngine(Hardware{Batch: 4, Step: 1, Chunk: 1000, CacheTokens: 320, Context: 1000})
	r := rand.New(rand.NewPCG(1, 1))
	first := job(r, 160, 32)
	ask := func(s *sequence) int {
		before := e.work.Cached
		e.add(s, e.begun)
		drain(e)
		return e.work.Cached - before
	}
	for _, c := range []struct {
		name string
		s    *sequence
		want int
	}{
		{"new", first, 0},
		{"again: all but a token", &sequence{prompt: 160, out: 32, blocks: first.blocks}, 159},
		{"the completion is there for the next turn", &sequence{prompt: 190, out: 2, blocks: first.blocks}, 176},
		{"a scored prompt is computed", &sequence{prompt: 160, blocks: first.blocks, scored: true}, 0},
		{"another pushes the end of the first out", job(r, 192, 0), 0},
		{"the beginning is left", &sequence{prompt: 160, blocks: first.blocks}, 128},
	} {
		if got := ask(c.s); got != c.want {
			t.Errorf("%s: %d tokens from the cache, want %d", c.name, got, c.want)
		}
	}
}

// TestAlwaysFullBatchReachesLeast: the maximum that a report compares with is one that the
// engine can come to, for loads of any kind.
func TestAlwaysFullBatchReachesLeast(t *testing.T) {
	for _, c := range []struct {
		name                string
		prompt, out, cached int
	}{
		{"long completions", 100, 200, 0}, {"short completions", 500, 20, 0}, {"scores", 800, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			hw := Usual()
			e := newEngine(hw)
			r := rand.New(rand.NewPCG(1, 1))
			for range 4000 {
				s := job(r, c.prompt/2+r.IntN(c.prompt), c.out/2+r.IntN(c.out+1))
				s.scored = c.out == 0
				e.add(s, 0)
			}
			at := time.Duration(0)
			for _, s := range drain(e) {
				at = max(at, s.finished)
			}
			share := hw.Least(e.work).Seconds() / at.Seconds()
			t.Logf("%.2f %%", 100*share)
			if share < 0.98 || share > 1 {
				t.Errorf("a queue that is never empty reaches %.2f %% of the maximum", 100*share)
			}
		})
	}
}

// TestCountedSteps: counting equal steps instead of playing them changes no finishing time.
func TestCountedSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hw := Hardware{Batch: rapid.IntRange(1, 4).Draw(t, "batch"), Step: 7, StepPerSequence: 3, PrefillPerToken: 2, Chunk: 20, Context: 100}
		counted, played := newEngine(hw), newEngine(hw)
		var a, b []*sequence
		now := time.Duration(0)
		step := func(until time.Duration) {
			counted.advance(until)
			for { // one step at a time
				if played.steps > 1 {
					played.steps = 1
				}
				at, busy := played.next()
				if !busy || at > until {
					return
				}
				played.advance(at)
			}
		}
		for range rapid.IntRange(1, 20).Draw(t, "arrivals") {
			now += time.Duration(rapid.IntRange(0, 200).Draw(t, "gap"))
			step(now)
			if len(a) > 0 && rapid.IntRange(0, 5).Draw(t, "cancel") == 0 {
				i := rapid.IntRange(0, len(a)-1).Draw(t, "which")
				if a[i].finished == 0 && !a[i].cancelled {
					counted.cancel(a[i], now)
					played.cancel(b[i], now)
				}
			}
			s := sequence{prompt: rapid.IntRange(1, 50).Draw(t, "prompt"), out: rapid.IntRange(0, 12).Draw(t, "out")}
			twin := s
			a, b = append(a, &s), append(b, &twin)
			counted.add(&s, now)
			played.add(&twin, now)
		}
		step(1 << 40)
		for i := range a {
			if a[i].finished != b[i].finished || (a[i].finished == 0) != a[i].cancelled {
				t.Fatalf("sequence %d: %+v counted, %+v played", i, *a[i], *b[i])
			}
		}
		if counted.work != played.work {
			t.Fatalf("work: %+v counted, %+v played", counted.work, played.work)
		}
	})
}
