package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"stargate/lm"
)

// sequence is a text in tokens, of which those from the place from on are to be scored.
type sequence struct {
	ids  []int32
	from int    // at least 1: nothing predicts the first token
	text string // that the ids encode, where the tokenizer is ours; for servers that take no ids
}

// target are the ids to be scored.
func (s sequence) target() []int32 { return s.ids[s.from:] }

// scoring is a way in which a server tells how probable given tokens are.
type scoring struct {
	name  string // the field or route, for reports
	batch bool   // one request may hold several sequences
	// request asks for the log-probabilities of the targets of all sequences; the reply's scores
	// are in their order.
	request func(c *Client, all []sequence) (request, error)
}

// LogProb implements [lm.Scorer]: the sum over exactly the target's tokens, which are the
// continuation of the prompt's by the model's own template, without an end-of-turn token. The
// values are looked up by token id. A server that cannot do this, or whose answer is not
// sure to be right, is an error, never a number.
func (c *Client) LogProb(ctx context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	l, err := c.logProb(ctx, chat, target)
	if err != nil {
		c.counts.add(outcomeOf(err))
		return lm.LogProb{}, fmt.Errorf("score: %w", err)
	}
	c.counts.add(OK)
	return l, nil
}

func (c *Client) logProb(ctx context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	if err := ctx.Err(); err != nil {
		return lm.LogProb{}, err
	}
	if strings.TrimSpace(target) == "" {
		return lm.LogProb{}, lm.ErrEmptyTarget
	}
	if err := c.CanScore(); err != nil {
		return lm.LogProb{}, err
	}
	s, err := c.sequence(ctx, chat, target)
	if err != nil {
		return lm.LogProb{}, err
	}
	for try := 1; ; try++ {
		r, err := c.score(ctx, c.scorings[0], []sequence{s})
		if err == nil {
			return sum(s, r.scores[0]), nil
		}
		// The audit has passed, so this is a single answer gone wrong, unless it is so each time.
		// What stands for minus infinity is a number that the server means.
		if !errors.Is(err, ErrScore) || errors.Is(err, lm.ErrNonFinite) || try == tries {
			return lm.LogProb{}, err
		}
		c.counts.again(BadScore)
	}
}

// sum is the score of a sequence.
func sum(s sequence, logprobs []float64) lm.LogProb {
	l := lm.LogProb{Usage: lm.Usage{PromptTokens: s.from, CompletionTokens: len(logprobs)}}
	for i, lp := range logprobs {
		l.Tokens = append(l.Tokens, lm.TokenLogProb{ID: s.ids[s.from+i], LogProb: lp})
		l.Sum += lp
	}
	return l
}

// CanScore says why the server cannot score, with a way out; nil: it can.
func (c *Client) CanScore() error {
	if len(c.scorings) > 0 && c.encoder != nil {
		return nil
	}
	return fmt.Errorf("%w: %s", lm.ErrCannotScore, c.facts.WhyNot)
}

// sequence is the tokens of a target behind a chat, checked.
func (c *Client) sequence(ctx context.Context, chat lm.Chat, target string) (sequence, error) {
	s, err := c.encoder.target(ctx, chat, target)
	if err != nil {
		return sequence{}, err
	}
	switch {
	case s.from < 1:
		return sequence{}, fmt.Errorf("the prompt has no tokens, so nothing predicts the target's first: %w", lm.ErrCannotScore)
	case len(s.ids) <= s.from:
		return sequence{}, lm.ErrEmptyTarget
	case slices.Contains(c.facts.ends, s.ids[len(s.ids)-1]):
		return sequence{}, fmt.Errorf("%w: the target's tokens end with the end-of-turn token %d: the server's /tokenize does not heed continue_final_message; give the role a tokenizer directory", ErrScore, s.ids[len(s.ids)-1])
	}
	if n := c.facts.MaxLength; n > 0 && len(s.ids)+c.facts.scoreRoom() > n {
		return sequence{}, fmt.Errorf("prompt and target have %d tokens, room is for %d: %w", len(s.ids), n-c.facts.scoreRoom(), lm.ErrContextLength)
	}
	return s, nil
}

// scoreRoom is the tokens that a server draws behind a scored text because it must draw some.
func (f *Facts) scoreRoom() int {
	if f.Server == Stargate {
		return 0
	}
	return 1
}

// score asks for the log-probabilities of sequences, and checks that there is a possible one
// for each token.
func (c *Client) score(ctx context.Context, way scoring, all []sequence) (reply, error) {
	q, err := way.request(c, all)
	if err != nil {
		return reply{}, err
	}
	for _, s := range all {
		q.in += len(s.ids)
		q.out += c.facts.scoreRoom()
	}
	r, err := c.ask(ctx, q)
	if errors.Is(err, ErrUnsupported) { // a field that is not one of sampling
		return r, fmt.Errorf("%w: %w", lm.ErrCannotScore, err)
	}
	if err != nil {
		return r, err
	}
	if len(r.scores) != len(all) {
		return r, fmt.Errorf("%w: %d texts were scored, %d asked", ErrScore, len(r.scores), len(all))
	}
	for i, s := range all {
		if got, want := len(r.scores[i]), len(s.target()); got != want {
			return r, fmt.Errorf("%w: %s: %d values for a target of %d tokens", ErrScore, way.name, got, want)
		}
		for k, lp := range r.scores[i] {
			if err := possible(lp); err != nil {
				return r, fmt.Errorf("%s: token %d of %d of the target (id %d): %w", way.name, k+1, len(s.target()), s.target()[k], err)
			}
		}
	}
	return r, nil
}
