package tinker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"stargate/lm"
)

// Text turns chats into the base model's tokens and back, as local.Text does.
type Text interface {
	Prompt(chat lm.Chat) ([]int32, error) // up to where the answer begins
	Piece(id int32) string                // the text that a token adds in the middle of a text
	Special(id int32) bool                // whether it is a marker rather than text
	Ends() []int32                        // the tokens that end a turn
}

// Sampler draws from a model where it was trained: an adapter that Train made, at the address in
// its result. Prompts are made here, from the base model's own tokenizer and template, and the
// ids that come back are kept.
//
// It is safe for concurrent use.
type Sampler struct {
	client  *client
	address string
	text    Text
	context int
	slots   chan struct{}
}

var _ lm.Generator = (*Sampler)(nil)

// Sampler is the model at an address, with the base model's texts and its longest sequence in
// tokens. It is probed: the server has to draw a token.
func (t *Trainer) Sampler(ctx context.Context, address string, text Text, context int) (*Sampler, error) {
	if !strings.HasPrefix(address, "tinker://") {
		return nil, fmt.Errorf("tinker server %s: %q is no address of a model: want tinker://…", t.config.URL, address)
	}
	if len(text.Ends()) == 0 {
		return nil, errors.New("tinker: the base model's files do not say which token ends a turn")
	}
	c, err := t.config.client()
	if err != nil {
		return nil, err
	}
	s := &Sampler{client: c, address: address, text: text, context: context, slots: make(chan struct{}, t.config.Concurrency)}
	if _, err := s.Generate(ctx, lm.Chat{{Role: lm.User, Content: "Say hello."}}, lm.Sampling{MaxTokens: 1}); err != nil {
		return nil, fmt.Errorf("tinker server %s: probe of %s: %w", t.config.URL, address, err)
	}
	return s, nil
}

// samplingParams are those of a request. A seed is a signed 32-bit number in the servers'
// engines.
type samplingParams struct {
	MaxTokens   int     `json:"max_tokens"`
	Seed        uint64  `json:"seed"`
	Stop        []int32 `json:"stop"`
	Temperature float64 `json:"temperature"`
	TopK        int     `json:"top_k"` // -1: off
	TopP        float64 `json:"top_p"` // 1: off
}

type sampleRequest struct {
	Samples   int            `json:"num_samples"`
	Prompt    modelInput     `json:"prompt"`
	Sampling  samplingParams `json:"sampling_params"`
	ModelPath string         `json:"model_path"`
	Type      string         `json:"type"` // "sample"
}

type sampleResult struct {
	Sequences []struct {
		Tokens     []int32 `json:"tokens"`
		StopReason string  `json:"stop_reason"` // "stop" or "length"
	} `json:"sequences"`
}

// Generate implements [lm.Generator]. A completion is drawn to the end of its turn, and cut at a
// stop string here: the protocol stops at tokens or at texts, not at both.
func (s *Sampler) Generate(ctx context.Context, chat lm.Chat, want lm.Sampling) (lm.Completion, error) {
	prompt, err := s.text.Prompt(chat)
	if err != nil {
		return lm.Completion{}, err
	}
	room := s.context - len(prompt)
	if room < 1 {
		return lm.Completion{}, fmt.Errorf("the prompt has %d tokens, the context is %d: %w", len(prompt), s.context, lm.ErrContextLength)
	}
	if want.MaxTokens > 0 {
		room = min(room, want.MaxTokens)
	}
	p := samplingParams{MaxTokens: room, Seed: want.Seed & math.MaxInt32, Stop: s.text.Ends(), Temperature: want.Temperature, TopK: -1, TopP: 1}
	if want.Temperature > 0 && want.TopK > 0 {
		p.TopK = want.TopK
	}
	if want.Temperature > 0 && want.TopP > 0 {
		p.TopP = want.TopP
	}
	got, err := s.sample(ctx, sampleRequest{1, modelInput{[]chunk{{"encoded_text", prompt}}}, p, s.address, "sample"})
	if err != nil {
		return lm.Completion{}, fmt.Errorf("asample: %w", err)
	}
	return s.completion(len(prompt), room, got, want.Stop)
}

// sample makes a request. One that is lost is made again: it changes nothing on the server.
func (s *Sampler) sample(ctx context.Context, q sampleRequest) (r sampleResult, err error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return r, ctx.Err()
	}
	const attempts = 3
	for i := range attempts {
		var f future
		if err = s.client.post(ctx, "asample", q, &f, harmless); err == nil {
			err = s.client.result(ctx, f, &r)
		}
		if err == nil || !errors.Is(err, errLost) || i+1 == attempts {
			break
		}
	}
	return r, err
}

// completion reads what was drawn: without the token that ended the turn, which some servers
// return.
func (s *Sampler) completion(prompt, most int, r sampleResult, stop []string) (lm.Completion, error) {
	if len(r.Sequences) != 1 {
		return lm.Completion{}, fmt.Errorf("asample: the server drew %d sequences, not 1", len(r.Sequences))
	}
	ids, reason := r.Sequences[0].Tokens, r.Sequences[0].StopReason
	c := lm.Completion{Finish: lm.FinishStop, Usage: lm.Usage{PromptTokens: prompt, CompletionTokens: len(ids)}}
	end := slices.IndexFunc(ids, func(id int32) bool { return slices.Contains(s.text.Ends(), id) })
	switch {
	case end >= 0:
		ids = ids[:end]
	case reason == string(lm.FinishLength):
		c.Finish = lm.FinishLength
	case reason != string(lm.FinishStop):
		return c, fmt.Errorf("asample: stop_reason is %q, want stop or length", reason)
	case len(ids) > most:
		return c, fmt.Errorf("asample: %d tokens were drawn, at most %d were asked for", len(ids), most)
	}
	var text strings.Builder
	behind := make([]int, len(ids)) // where in the text each token ends
	for i, id := range ids {
		if !s.text.Special(id) {
			text.WriteString(s.text.Piece(id))
		}
		behind[i] = text.Len()
	}
	c.Tokens, c.Text = ids, text.String()
	if at := firstOf(c.Text, stop); at >= 0 {
		c.Text, c.Finish = c.Text[:at], lm.FinishStop
		c.Tokens = ids[:sort.SearchInts(behind, at+1)]
	}
	// A token may end within a character: what cannot be completed is replaced.
	c.Text = strings.ToValidUTF8(c.Text, "\uFFFD")
	return c, nil
}

// firstOf is where the first of some strings begins in a text, or -1.
func firstOf(text string, of []string) int {
	first := -1
	for _, s := range of {
		if at := strings.Index(text, s); s != "" && at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	return first
}
