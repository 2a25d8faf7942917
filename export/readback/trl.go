package readback

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"stargate/lm"
	"stargate/lm/local"
)

// TRL is SFTTrainer with these fields of its SFTConfig.
type TRL struct {
	AssistantOnlyLoss bool   // assistant_only_loss
	EOS               string // eos_token; "" = the tokenizer's
	MaxLength         int    // max_length, by default 1024; 0 = None: longer rows are cut at the end
}

// column is a value of either format: a chat is conversational, a text is standard
// (docs/source/dataset_formats.md, "Formats").
type column struct {
	chat lm.Chat
	text string
	is   bool // the column is there
}

func (c *column) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	c.is = true
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, &c.chat)
	}
	return json.Unmarshal(data, &c.text)
}

// Read is what the trainer makes of a row with the columns prompt and completion (loss on the
// completion), messages (loss on all, or with assistant_only_loss on what the template marks),
// or input_ids. Of the kinds of a preference dataset it reads none: see [DPO].
func (s TRL) Read(t *local.Text, row []byte) (Row, error) {
	var r struct {
		Prompt     column  `json:"prompt"`
		Completion column  `json:"completion"`
		Messages   column  `json:"messages"`
		Text       column  `json:"text"`
		IDs        []int32 `json:"input_ids"`
		Labels     []int32 `json:"labels"`
		Completed  []int   `json:"completion_mask"`
		Assistant  []int   `json:"assistant_masks"`
	}
	if err := decode(row, &r); err != nil {
		return Row{}, err
	}
	var out Row
	var err error
	switch {
	case r.IDs != nil: // _prepare_dataset: a dataset with input_ids is not tokenised again
		out, err = tokenised(r.IDs, r.Labels, r.Completed, r.Assistant)
	case r.Prompt.is && r.Completion.is:
		out, err = s.completion(t, r.Prompt, r.Completion)
	case r.Messages.is:
		out, err = s.messages(t, r.Messages.chat)
	case r.Text.is:
		out = from(plainTokens(t, s.ended(t, r.Text.text)), 0)
	default:
		return Row{}, errors.New("no row of TRL's: it has neither prompt and completion, nor messages, text or input_ids")
	}
	if err != nil {
		return Row{}, err
	}
	return out.cut(s.MaxLength)
}

// ended is a text with the end-of-sequence token: SFTTrainer adds it where the format is
// standard, never where a chat template writes it (_prepare_dataset, add_eos).
func (s TRL) ended(t *local.Text, text string) string {
	eos := s.EOS
	if eos == "" {
		eos, _ = t.EOS()
	}
	if strings.HasSuffix(text, eos) {
		return text
	}
	return text + eos
}

// completion trains everything behind the prompt's tokens: "completion_mask". Where the prompt
// is not the beginning of the whole in tokens, TRL only warns, and counts.
func (s TRL) completion(t *local.Text, prompt, completion column) (Row, error) {
	before, whole, err := s.join(t, prompt, completion)
	if err != nil {
		return Row{}, err
	}
	out := from(whole, min(len(before), len(whole)))
	if s.AssistantOnlyLoss && prompt.chat != nil { // both masks must agree (build_labels)
		own, err := s.messages(t, slices.Concat(prompt.chat, completion.chat))
		if err != nil {
			return Row{}, err
		}
		for i, w := range own.Weights {
			out.Weights[i] *= w
		}
	}
	return out, nil
}

func (s TRL) join(t *local.Text, prompt, completion column) (before, whole []int32, err error) {
	if (prompt.chat == nil) != (completion.chat == nil) {
		return nil, nil, fmt.Errorf("%w: prompt and completion are of two formats", ErrRefused)
	}
	if prompt.chat == nil {
		return plainTokens(t, prompt.text), plainTokens(t, prompt.text+s.ended(t, completion.text)), nil
	}
	if before, err = chatTokens(t, prompt.chat, true); err != nil {
		return nil, nil, err
	}
	whole, err = chatTokens(t, slices.Concat(prompt.chat, completion.chat), false)
	return before, whole, err
}

// messages trains every token, or with assistant_only_loss those that the chat template marks:
// all assistant messages, never some. A row without one stops the trainer ("at least one example
// has no assistant tokens"); that is what a template without {% generation %} does. For a few
// families TRL puts a template of its own in its place (docs: "Training templates"), which this
// cannot know.
func (s TRL) messages(t *local.Text, chat lm.Chat) (Row, error) {
	if !s.AssistantOnlyLoss {
		ids, err := chatTokens(t, chat, false)
		return from(ids, 0), err
	}
	text, parts, err := t.Generated(chat)
	switch {
	case errors.Is(err, local.ErrNoGeneration):
		return Row{}, fmt.Errorf("%w: assistant_only_loss needs {%% generation %%} in the chat template, and this model's has none", ErrRefused)
	case err != nil:
		return Row{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	ids, ends := t.Tokens(text)
	mask := make([]bool, len(ids))
	for _, p := range parts {
		start := 0
		for i := range ids {
			// transformers: from the token of the first character to that of the last.
			if start < p.End && ends[i] > p.Start {
				mask[i] = true
			}
			start = ends[i]
		}
	}
	if !slices.Contains(mask, true) {
		return Row{}, fmt.Errorf("%w: no message of this row is marked as the assistant's", ErrRefused)
	}
	return ofMask(ids, mask), nil
}

// tokenised takes labels as they are, or makes them of the masks: a token is trained where all
// masks say so (_prepare_dataset, build_labels).
func tokenised(ids, labels []int32, masks ...[]int) (Row, error) {
	if labels != nil {
		return ofLabels(ids, labels)
	}
	labels = slices.Clone(ids)
	for _, m := range masks {
		if m == nil {
			continue
		}
		if len(m) != len(ids) {
			return Row{}, fmt.Errorf("%w: a mask has %d entries for %d tokens", ErrRefused, len(m), len(ids))
		}
		for i, on := range m {
			if on == 0 {
				labels[i] = ignored
			}
		}
	}
	return ofLabels(ids, labels)
}

// DPO is TRL's DPOTrainer: the two ways on from one prompt. All tokens behind the prompt count
// (docs/source/dataset_formats.md, "Preference"; dpo_trainer.py, _prepare_dataset).
func DPO(t *local.Text, row []byte) (chosen, rejected Row, err error) {
	var r struct {
		Prompt   column `json:"prompt"`
		Chosen   column `json:"chosen"`
		Rejected column `json:"rejected"`
	}
	if err := decode(row, &r); err != nil {
		return Row{}, Row{}, err
	}
	if !r.Prompt.is || !r.Chosen.is || !r.Rejected.is {
		return Row{}, Row{}, errors.New("a row of preferences needs prompt, chosen and rejected")
	}
	side := func(c column) (Row, error) {
		before, whole, err := TRL{}.join(t, r.Prompt, c)
		if err != nil {
			return Row{}, err
		}
		return from(whole, min(len(before), len(whole))).cut(0)
	}
	if chosen, err = side(r.Chosen); err != nil {
		return Row{}, Row{}, fmt.Errorf("chosen: %w", err)
	}
	if rejected, err = side(r.Rejected); err != nil {
		return Row{}, Row{}, fmt.Errorf("rejected: %w", err)
	}
	return chosen, rejected, nil
}
