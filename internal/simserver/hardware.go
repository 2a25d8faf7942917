package simserver

import (
	"fmt"
	"time"
)

// Hardware is how fast a server is and how much it holds. Times are the server's own.
type Hardware struct {
	Batch           int           // sequences that run at once
	Queue           int           // sequences that may wait; who comes then gets 429
	Step            time.Duration // one decode step, before any sequence
	StepPerSequence time.Duration // and for each sequence that draws a token in it
	PrefillPerToken time.Duration // each prompt token that the cache does not have
	ScorePerToken   time.Duration // each prompt token whose log-probability is wanted, besides prefill
	Chunk           int           // most prompt tokens in one step
	CacheTokens     int           // prompt tokens that the prefix cache holds
	Context         int           // most tokens of prompt and completion together
}

// Usual is about a 7B model on one data-centre GPU: 64 sequences draw 2,963 tokens a second.
func Usual() Hardware {
	return Hardware{
		Batch: 64, Queue: 64,
		Step: 12 * time.Millisecond, StepPerSequence: 150 * time.Microsecond,
		PrefillPerToken: 40 * time.Microsecond, ScorePerToken: 20 * time.Microsecond,
		Chunk: 4096, CacheTokens: 200_000, Context: 8192,
	}
}

func (h Hardware) validate() error {
	for _, f := range []struct {
		name string
		n    int
	}{{"Batch", h.Batch}, {"Chunk", h.Chunk}, {"Context", h.Context}} {
		if f.n < 1 {
			return fmt.Errorf("simserver: Hardware.%s is %d, want at least 1", f.name, f.n)
		}
	}
	if h.Step <= 0 || h.StepPerSequence < 0 || h.PrefillPerToken < 0 || h.ScorePerToken < 0 || h.Queue < 0 || h.CacheTokens < 0 {
		return fmt.Errorf("simserver: Hardware: want Step above 0 and nothing below 0, got %+v", h)
	}
	return nil
}

// Work is what a server has done, in tokens.
type Work struct {
	Requests   int `json:"requests"`   // sequences finished
	Prompt     int `json:"prompt"`     // prompt tokens of sequences let into the batch
	Prefilled  int `json:"prefilled"`  // of those, computed
	Cached     int `json:"cached"`     // of those, found in the prefix cache
	Scored     int `json:"scored"`     // of those, with log-probabilities
	Completion int `json:"completion"` // tokens drawn
}

// Least is the shortest time in which h can do w: every step draws a token for a full batch
// or reads a full chunk, whichever needs more steps. No schedule is faster.
func (h Hardware) Least(w Work) time.Duration {
	steps := max(float64(w.Completion)/float64(h.Batch), float64(w.Prefilled)/float64(h.Chunk))
	return time.Duration(steps*float64(h.Step)) +
		time.Duration(w.Completion)*h.StepPerSequence +
		time.Duration(w.Prefilled)*h.PrefillPerToken +
		time.Duration(w.Scored)*h.ScorePerToken
}
