package local

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stargate/internal/llama"
	"stargate/internal/sample"
	"stargate/lm"
)

// Request asks for a completion in tokens: what [Model.Generate] is made of, for callers who
// have ids instead of a chat, want to see the tokens as they come, or how probable they were.
type Request struct {
	Prompt   []int32 // at least one id
	Sampling lm.Sampling

	LogProbs     bool    // fill in Drawn's log-probabilities
	Alternatives int     // most probable tokens to name at each position; needs LogProbs
	StopTokens   []int32 // end the completion as an end-of-turn token does
	IgnoreEnd    bool    // go on behind the model's end-of-turn tokens

	// Each, if set, sees the completion as it grows, in the caller's goroutine. A slow Each
	// slows nobody else down.
	Each func(Piece)
	// Pause is the least time between two calls of Each, but for the last. What comes in
	// between is told together.
	Pause time.Duration
}

// Drawn is a token of a completion. The log-probabilities are the model's own, before
// temperature, top-k and top-p.
type Drawn struct {
	ID           int32
	LogProb      float64
	Rank         int               // 1 for the most probable token; equals share the last place
	Alternatives []lm.TokenLogProb // most probable first, of equals the lowest id
}

// Piece is what a completion has grown by. The Text of all pieces, joined, is the text of
// the completion: characters that are not complete yet, and text that may turn out to begin
// a stop string, come with a later piece.
type Piece struct {
	Tokens []Drawn
	Text   string
	Finish lm.FinishReason // of the last piece
}

// Continuation is a completion with all that is known about it.
type Continuation struct {
	lm.Completion
	Drawn      []Drawn // Tokens, and behind them the token that ended the completion, if one did
	StopString string  // the stop string that ended the completion, "" if none did
}

// Continue draws what follows a prompt. The result depends on the request alone; Generate of
// a chat is Continue of its tokens. It fails with [lm.ErrContextLength] when there is no room
// for a token.
func (m *Model) Continue(ctx context.Context, r Request) (Continuation, error) {
	if err := ctx.Err(); err != nil {
		return Continuation{}, err
	}
	if err := checkSampling(r.Sampling); err != nil {
		return Continuation{}, err
	}
	if err := m.checkTokens(r.Prompt); err != nil {
		return Continuation{}, fmt.Errorf("generate: %w", err)
	}
	room := m.room() - len(r.Prompt)
	if room < 1 {
		return Continuation{}, fmt.Errorf("generate: the prompt has %d tokens, room is for %d and a completion: %w", len(r.Prompt), m.room(), lm.ErrContextLength)
	}
	if most := r.Sampling.MaxTokens; most > 0 {
		room = min(room, most)
	}
	d := &drawing{sampler: sample.New(r.Sampling), most: room, stop: r.Sampling.Stop, cut: -1,
		stopTokens: r.StopTokens, ignoreEnd: r.IgnoreEnd, logprobs: r.LogProbs, alternatives: r.Alternatives}
	if r.Each != nil {
		d.feed = newFeed()
	}
	// The scheduler appends to the tokens: the caller's memory stays as it is.
	q := &sequence{ctx: ctx, tokens: slices.Clip(r.Prompt), prompt: len(r.Prompt), draw: d}
	if err := m.sched.follow(q, r.Each, r.Pause); err != nil {
		return Continuation{}, fmt.Errorf("generate: %w", err)
	}
	return Continuation{Completion: q.completion(), Drawn: d.drawn, StopString: d.stopped}, nil
}

// PromptLogProbs tells how probable each token of a text was in the place where it stands:
// element i is about tokens[i+1]. With alternatives above 0 it also names so many of the most
// probable tokens of each position, and ranks are filled in; that reads the text token by
// token, which takes several times as long. The log-probabilities are the same bits either
// way, and those of [Model.LogProb].
//
// It fails with [lm.ErrContextLength] when the text is longer than the context.
func (m *Model) PromptLogProbs(ctx context.Context, tokens []int32, alternatives int) ([]Drawn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := m.checkTokens(tokens); err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	if len(tokens) > m.room() {
		return nil, fmt.Errorf("score: the text has %d tokens, room is for %d: %w", len(tokens), m.room(), lm.ErrContextLength)
	}
	if len(tokens) == 1 {
		return nil, nil // nothing predicts the first
	}
	q := &sequence{ctx: ctx, tokens: slices.Clip(tokens), prompt: 1, score: &scoring{alternatives: alternatives}}
	if err := m.sched.do(q); err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	out := make([]Drawn, len(tokens)-1)
	for i, lp := range q.score.logprobs {
		if lp-lp != 0 { // NaN or infinite
			return nil, fmt.Errorf("score: token %d of the text has log-probability %g: %w", i+1, lp, lm.ErrNonFinite)
		}
		if alternatives > 0 {
			out[i] = q.score.seen[i]
		}
		out[i].ID, out[i].LogProb = tokens[i+1], lp
	}
	return out, nil
}

// checkTokens refuses what the decoder has no embedding for.
func (m *Model) checkTokens(tokens []int32) error {
	if len(tokens) == 0 {
		return fmt.Errorf("the prompt has no tokens")
	}
	v := int32(m.weights.Config.VocabSize)
	for i, id := range tokens {
		if id < 0 || id >= v {
			return fmt.Errorf("token %d of the prompt is %d, the vocabulary has ids from 0 to %d", i, id, v-1)
		}
	}
	return nil
}

// Room is the most tokens of a prompt with its continuation that this model's memory holds.
func (m *Model) Room() int { return m.room() }

// Stats are what a model has done since it was opened, and what it is doing.
type Stats struct {
	Computed  int64 // tokens that went through the network
	Reused    int64 // tokens whose keys and values were found in the prefix cache
	Drawn     int64 // tokens predicted
	Preempted int64 // sequences put back because pages ran out
	Steps     int64 // passes over the weights

	// Floating-point operations of matrix products ([llama.Work]).
	FLOPs       int64 // done
	PrefixFLOPs int64 // of layers, not done because the prefix cache had the tokens
	HeadFLOPs   int64 // of the head, not done because nobody wanted the predictions at computed tokens

	Running int // sequences of the last step
	Queued  int // requests that wait for a place
	Pages   int // pages in use, cached prefixes included
	Memory  int // bytes of keys and values in use
}

// Plus adds the counts of two models.
func (s Stats) Plus(o Stats) Stats {
	return Stats{
		Computed: s.Computed + o.Computed, Reused: s.Reused + o.Reused, Drawn: s.Drawn + o.Drawn, Preempted: s.Preempted + o.Preempted, Steps: s.Steps + o.Steps,
		FLOPs: s.FLOPs + o.FLOPs, PrefixFLOPs: s.PrefixFLOPs + o.PrefixFLOPs, HeadFLOPs: s.HeadFLOPs + o.HeadFLOPs,
		Running: s.Running + o.Running, Queued: s.Queued + o.Queued, Pages: s.Pages + o.Pages, Memory: s.Memory + o.Memory,
	}
}

// Stats counts.
func (m *Model) Stats() Stats {
	s := m.sched
	pages := int(s.pagesUsed.Load())
	return Stats{
		Computed: s.computed.Load(), Reused: s.reused.Load(), Drawn: s.drawn.Load(), Preempted: s.preempted.Load(), Steps: s.steps.Load(),
		FLOPs: s.flops.Load(), PrefixFLOPs: s.prefixFLOPs.Load(), HeadFLOPs: s.headFLOPs.Load(),
		Running: int(s.runs.Load()), Queued: len(s.submit), Pages: pages, Memory: pages * llama.PageBytes(m.weights.Config),
	}
}
