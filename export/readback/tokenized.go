package readback

import (
	"errors"
	"fmt"

	"stargate/lm"
	"stargate/lm/local"
)

// Tokenized reads rows of input_ids, labels and attention_mask, which axolotl takes with an
// empty type (docs/dataset-formats/tokenized.qmd), TRL as a processed dataset, Together as
// Parquet, and transformers' Trainer as they are.
func Tokenized(_ *local.Text, row []byte) (Row, error) {
	var r struct {
		IDs       []int32 `json:"input_ids"`
		Labels    []int32 `json:"labels"`
		Attention []int   `json:"attention_mask"`
	}
	if err := decode(row, &r); err != nil {
		return Row{}, err
	}
	if len(r.IDs) == 0 || r.Labels == nil {
		return Row{}, errors.New("a tokenised row needs input_ids and labels")
	}
	if r.Attention != nil && len(r.Attention) != len(r.IDs) {
		return Row{}, fmt.Errorf("%w: attention_mask has %d entries for %d tokens", ErrRefused, len(r.Attention), len(r.IDs))
	}
	for i, a := range r.Attention {
		if a == 0 { // an end-of-turn token taken for padding is a known bug of collators
			return Row{}, fmt.Errorf("attention_mask hides token %d (%d) from training; in use the model sees it", i, r.IDs[i])
		}
	}
	out, err := ofLabels(r.IDs, r.Labels)
	if err != nil {
		return Row{}, err
	}
	return out.cut(0)
}

// OpenAI reads rows of messages in which an assistant message with "weight": 0 is not trained,
// and any other is. The provider has its own template; what can be compared is which messages
// are trained, so the tokens are those that the model at hand makes of them.
func OpenAI(t *local.Text, row []byte) (Row, error) {
	var r struct {
		Messages []struct {
			lm.Message
			Weight *float64 `json:"weight"`
		} `json:"messages"`
	}
	if err := decode(row, &r); err != nil {
		return Row{}, err
	}
	var chat lm.Chat
	var loss []int
	for i, m := range r.Messages {
		switch {
		case m.Weight != nil && m.Role != lm.Assistant:
			return Row{}, fmt.Errorf("%w: message %d has a weight and is no assistant message", ErrRefused, i)
		case m.Weight != nil && *m.Weight != 0 && *m.Weight != 1:
			return Row{}, fmt.Errorf("%w: message %d has the weight %g; only 0 and 1 are allowed", ErrRefused, i, *m.Weight)
		case m.Role == lm.Assistant && (m.Weight == nil || *m.Weight == 1):
			loss = append(loss, i)
		}
		chat = append(chat, m.Message)
	}
	if len(loss) == 0 {
		return Row{}, fmt.Errorf("%w: no assistant message has a weight", ErrRefused)
	}
	ids, mask, err := t.Encode(chat, loss)
	if err != nil {
		return Row{}, err
	}
	return ofMask(ids, mask), nil
}
