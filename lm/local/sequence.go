package local

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"stargate/internal/llama"
	"stargate/internal/sample"
	"stargate/lm"
)

// sequence is a request as the scheduler sees it. It belongs to the scheduler from
// submission until done is signalled.
type sequence struct {
	ctx    context.Context
	tokens []int32 // prompt, then completion or target
	prompt int
	done   chan error // capacity 1

	// What has been computed.
	computed int          // positions whose keys and values are in pages
	pages    []llama.Page // one reference each
	node     *node        // the full pages are the path from the prefix tree's root to here
	span     llama.Span   // this step's work; no tokens if it waits

	score *scoring
	draw  *drawing
}

// scoring is what a request for log-probabilities adds.
type scoring struct {
	logprobs     []float64
	alternatives int     // tokens to name at each position; above 0, each is a step of its own
	seen         []Drawn // with alternatives: one per log-probability
}

// restart forgets what has been computed.
func (s *scoring) restart() { s.logprobs, s.seen = s.logprobs[:0], s.seen[:0] }

// drawing is what a request for a completion adds.
type drawing struct {
	sampler *sample.Sampler
	most    int // tokens to draw
	stop    []string
	text    strings.Builder
	finish  lm.FinishReason
	cut     int // bytes of text before a stop string; -1 without
	stopped string

	stopTokens   []int32
	ignoreEnd    bool
	logprobs     bool
	alternatives int
	drawn        []Drawn

	feed *feed // nil: nobody watches
	told int   // bytes of text that the feed has had
}

// inputs is the number of positions to compute before the sequence can go on: of a text to
// score, the last token is only a target.
func (s *sequence) inputs() int {
	if s.score != nil {
		return len(s.tokens) - 1
	}
	return len(s.tokens)
}

// reusable is the number of positions that may come from the prefix tree: those behind must
// be computed because their predictions are wanted.
func (s *sequence) reusable() int {
	if s.score != nil {
		return s.prompt - 1
	}
	return len(s.tokens) - 1
}

// most is the number of positions that one step may compute: as many as there are, but
// where alternatives are wanted one, because a step gives all predictions of its last only.
func (s *sequence) most() int {
	n := s.inputs() - s.computed
	if s.score != nil && s.score.alternatives > 0 {
		return min(n, max(1, s.prompt-1-s.computed))
	}
	return n
}

// plan makes span the next n positions.
func (s *sequence) plan(n int) {
	end := s.computed + n
	s.span.Pages, s.span.Start, s.span.Tokens = s.pages, s.computed, s.tokens[s.computed:end]
	s.span.WantLogits = s.draw != nil && end == len(s.tokens)
	s.span.Targets = s.span.Targets[:0]
	if s.score != nil {
		s.span.Targets = s.tokens[max(s.computed, s.prompt-1)+1 : max(end, s.prompt-1)+1]
		s.span.WantLogits = s.score.alternatives > 0 && len(s.span.Targets) > 0
	}
}

// advance takes the results of span; finished says that the request is complete. It touches
// nothing but the sequence, so that sequences advance in parallel.
func (s *sequence) advance(c *codec) (finished bool, err error) {
	s.computed += len(s.span.Tokens)
	if s.score != nil {
		s.score.logprobs = append(s.score.logprobs, s.span.LogProbs...)
		if s.span.WantLogits {
			s.score.seen = append(s.score.seen, judge(s.span.Logits, s.span.Targets[0], s.score.alternatives))
		}
		return s.computed == s.inputs(), nil
	}
	if !s.span.WantLogits {
		return false, nil
	}
	id, ok := s.draw.sampler.Next(s.span.Logits)
	if !ok {
		return true, fmt.Errorf("token %d of the completion: the model's predictions are not finite: %w", len(s.tokens)-s.prompt, lm.ErrNonFinite)
	}
	d := s.draw
	drawn := Drawn{ID: id}
	if d.logprobs {
		drawn = judge(s.span.Logits, id, d.alternatives)
	}
	d.drawn = append(d.drawn, drawn)
	switch {
	case !d.ignoreEnd && slices.Contains(c.ends, id), slices.Contains(d.stopTokens, id):
		d.finish = lm.FinishStop
	default:
		s.tokens = append(s.tokens, id)
		if d.extend(c.tokens.Piece(id, true)) {
			d.finish = lm.FinishStop
		} else if len(s.tokens)-s.prompt == d.most {
			d.finish = lm.FinishLength
		}
	}
	d.watch(d.drawn[len(d.drawn)-1:])
	return d.finish != "", nil
}

// extend appends a token's bytes to the text and looks for stop strings that end in them.
func (d *drawing) extend(piece string) (stopped bool) {
	old := d.text.Len()
	d.text.WriteString(piece)
	text := d.text.String()
	for _, stop := range d.stop {
		from := max(0, old-len(stop)+1)
		if i := strings.Index(text[from:], stop); i >= 0 && (d.cut < 0 || from+i < d.cut) {
			d.cut, d.stopped = from+i, stop
		}
	}
	return d.cut >= 0
}

// completion is the result of a finished drawing.
func (s *sequence) completion() lm.Completion {
	text := s.draw.text.String()
	if s.draw.cut >= 0 {
		text = text[:s.draw.cut]
	}
	drawn := slices.Clone(s.tokens[s.prompt:])
	return lm.Completion{
		// A token may end within a character: what cannot be completed is replaced.
		Text:   strings.ToValidUTF8(text, "\uFFFD"),
		Tokens: drawn, Finish: s.draw.finish,
		Usage: lm.Usage{PromptTokens: s.prompt, CompletionTokens: len(drawn)},
	}
}

// page is the tokens of the sequence's i-th page.
func (s *sequence) page(i int) block {
	return block(s.tokens[i*llama.PageTokens : (i+1)*llama.PageTokens])
}
