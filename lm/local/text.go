package local

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"stargate/internal/chattemplate"
	"stargate/internal/tokenizer"
	"stargate/lm"
)

// codec turns conversations into tokens and back.
type codec struct {
	tokens   *tokenizer.Tokenizer
	template *chattemplate.Template
	ends     []int32 // tokens that end a turn

	begin sync.Once
	first []int32 // tokens in front of every plain text, once begin is done
}

// prompt is the tokens the model continues with the assistant's next message.
func (c *codec) prompt(chat lm.Chat) ([]int32, error) {
	text, err := c.template.Render(chat, true)
	if err != nil {
		return nil, err
	}
	return c.tokens.Encode(text, true), nil
}

// target is the tokens of chat and of target as the assistant's answer, without what the
// template puts behind it; the first context of them are the prompt.
//
// The two must be the tokens of one rendering: a template or a tokenizer that reads the
// prompt differently once there is an answer cannot be scored with, and that is an error.
func (c *codec) target(chat lm.Chat, target string) (ids []int32, context int, err error) {
	if strings.TrimSpace(target) == "" {
		return nil, 0, lm.ErrEmptyTarget
	}
	prompt, err := c.template.Render(chat, true)
	if err != nil {
		return nil, 0, err
	}
	joint, err := c.template.Render(append(slices.Clip(chat), lm.Message{Role: lm.Assistant, Content: target}), false)
	if err != nil {
		return nil, 0, err
	}
	answer, ok := strings.CutPrefix(joint, prompt)
	if !ok {
		return nil, 0, fmt.Errorf("the chat template renders the prompt differently before an answer; this model cannot score: %w", lm.ErrCannotScore)
	}
	content := target
	at := strings.Index(answer, content)
	if at < 0 { // templates may trim
		content = strings.TrimSpace(target)
		at = strings.Index(answer, content)
	}
	if at < 0 {
		return nil, 0, fmt.Errorf("the chat template changes the text of an answer; this model cannot score: %w", lm.ErrCannotScore)
	}
	ids, ends := c.tokens.EncodeOffsets(joint, true)
	before := c.tokens.Encode(prompt, true)
	if len(before) > len(ids) || !slices.Equal(before, ids[:len(before)]) {
		return nil, 0, fmt.Errorf("the prompt's %d tokens are not the first of prompt and answer together: the tokenizer merges across the border: %w", len(before), lm.ErrCannotScore)
	}
	last, ok := slices.BinarySearch(ends, len(prompt)+at+len(content))
	if !ok {
		return nil, 0, fmt.Errorf("a token crosses the end of the target: the tokenizer merges it with what the template puts behind: %w", lm.ErrCannotScore)
	}
	// A token without text of its own stands only where a text begins, so the first token that
	// ends there is the last.
	if ids = ids[:last+1]; len(ids) == len(before) {
		return nil, 0, lm.ErrEmptyTarget
	}
	return ids, len(before), nil
}

// masked is the tokens of a conversation and which of them carry loss: those of the
// assistant messages whose indices are in loss, with the end-of-turn tokens behind them.
func (c *codec) masked(chat lm.Chat, loss []int) (ids []int32, mask []bool, err error) {
	for _, i := range loss {
		if i < 0 || i >= len(chat) || chat[i].Role != lm.Assistant {
			return nil, nil, fmt.Errorf("loss is asked for message %d of %d, which is not an assistant message", i, len(chat))
		}
	}
	text, spans, err := c.template.Spans(chat)
	if err != nil {
		return nil, nil, err
	}
	ids, ends := c.tokens.EncodeOffsets(text, true)
	mask = make([]bool, len(ids))
	for _, s := range spans {
		if !slices.Contains(loss, s.Message) {
			continue
		}
		end := c.turnEnd(text, s)
		start := 0
		for t := range ids {
			if start < s.Start && ends[t] > s.Start {
				return nil, nil, fmt.Errorf("token %d (%q) is partly of message %d and partly before it: the tokenizer merges across the border", t, c.tokens.Token(ids[t]), s.Message)
			}
			if start >= s.Start && start < end {
				mask[t] = true
			}
			start = ends[t]
		}
	}
	return ids, mask, nil
}

// turnEnd is where the loss of a span ends: behind the first end-of-turn token after the
// words; some templates add a line break that no model ever has to produce.
func (c *codec) turnEnd(text string, s chattemplate.Span) int {
	span := text[s.Start:s.End]
	end := -1
	for _, id := range c.ends {
		mark := c.tokens.Decode([]int32{id}, false)
		if i := strings.LastIndex(span, mark); mark != "" && i >= 0 {
			end = max(end, i+len(mark))
		}
	}
	if end < 0 {
		return s.End
	}
	return s.Start + end
}
