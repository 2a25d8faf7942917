package local

import (
	"context"
	"fmt"

	"stargate/internal/llama"
	"stargate/lm"
)

// Generate implements [lm.Generator].
func (m *Model) Generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	if err := ctx.Err(); err != nil {
		return lm.Completion{}, err
	}
	if err := checkSampling(s); err != nil {
		return lm.Completion{}, err
	}
	tokens, err := m.codec.prompt(chat)
	if err != nil {
		return lm.Completion{}, fmt.Errorf("generate: %w", err)
	}
	c, err := m.Continue(ctx, Request{Prompt: tokens, Sampling: s})
	return c.Completion, err
}

// LogProb implements [lm.Scorer].
func (m *Model) LogProb(ctx context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	if err := ctx.Err(); err != nil {
		return lm.LogProb{}, err
	}
	tokens, prompt, err := m.codec.target(chat, target)
	if err != nil {
		return lm.LogProb{}, fmt.Errorf("score: %w", err)
	}
	if len(tokens) > m.room() {
		return lm.LogProb{}, fmt.Errorf("score: prompt and target have %d tokens, room is for %d: %w", len(tokens), m.room(), lm.ErrContextLength)
	}
	if prompt == 0 {
		return lm.LogProb{}, fmt.Errorf("score: the prompt has no tokens, so nothing predicts the target's first: %w", lm.ErrCannotScore)
	}
	q := &sequence{ctx: ctx, tokens: tokens, prompt: prompt, score: &scoring{}}
	if err := m.sched.do(q); err != nil {
		return lm.LogProb{}, fmt.Errorf("score: %w", err)
	}
	l := lm.LogProb{Usage: lm.Usage{PromptTokens: prompt, CompletionTokens: len(tokens) - prompt}}
	for i, lp := range q.score.logprobs {
		if lp-lp != 0 { // NaN or infinite
			return lm.LogProb{}, fmt.Errorf("score: token %d of the target has log-probability %g: %w", i, lp, lm.ErrNonFinite)
		}
		l.Tokens = append(l.Tokens, lm.TokenLogProb{ID: tokens[prompt+i], LogProb: lp})
		l.Sum += lp
	}
	return l, nil
}

// room is the most tokens a sequence may have: the context, or what the pages hold.
func (m *Model) room() int {
	return min(m.opts.Context, m.sched.cache.Capacity()*llama.PageTokens)
}

func checkSampling(s lm.Sampling) error {
	switch {
	case !(s.Temperature >= 0) || s.Temperature > 1e6: // NaN too
		return fmt.Errorf("generate: temperature %g, want a number from 0", s.Temperature)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("generate: top_p %g, want a number in [0, 1]", s.TopP)
	case s.TopK < 0:
		return fmt.Errorf("generate: top_k %d, want 0 or more", s.TopK)
	case s.MaxTokens < 0:
		return fmt.Errorf("generate: max_tokens %d, want 0 or more", s.MaxTokens)
	}
	for _, stop := range s.Stop {
		if stop == "" {
			return fmt.Errorf("generate: an empty stop string would end every completion at once")
		}
	}
	return nil
}
