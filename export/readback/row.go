package readback

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"stargate/lm"
	"stargate/lm/local"
)

// Row is what a trainer makes of one row of a file.
type Row struct {
	IDs     []int32
	Weights []float32 // of the loss at each token; as long as IDs
}

// Rules are how a trainer reads one row of a file, JSON, with the tokenizer and the chat
// template of the model that it trains.
type Rules func(*local.Text, []byte) (Row, error)

// Errors of rows that are not trained on.
var (
	// ErrDropped: the trainer leaves this row out, with a warning at most.
	ErrDropped = errors.New("the trainer would leave this row out")
	// ErrRefused: the trainer stops with an error at this row.
	ErrRefused = errors.New("the trainer would stop here")
)

// ignored is the label that trainers built on PyTorch's cross_entropy leave out of the loss.
const ignored = -100

// ofLabels makes a row of labels: the loss at token i compares label i with the prediction from
// the tokens before it, so the first label is never used (transformers, loss/loss_utils.py).
func ofLabels(ids []int32, labels []int32) (Row, error) {
	if len(labels) != len(ids) {
		return Row{}, fmt.Errorf("%w: %d labels of %d tokens", ErrRefused, len(labels), len(ids))
	}
	row := Row{IDs: ids, Weights: make([]float32, len(ids))}
	for i, l := range labels {
		switch {
		case l == ignored || i == 0:
		case l != ids[i]:
			return Row{}, fmt.Errorf("label %d is %d, but the token there is %d: the model would learn a text that is not its input", i, l, ids[i])
		default:
			row.Weights[i] = 1
		}
	}
	return row, nil
}

// ofMask makes a row of which tokens are trained.
func ofMask(ids []int32, mask []bool) Row {
	row := Row{IDs: ids, Weights: make([]float32, len(ids))}
	for i := 1; i < len(ids); i++ {
		if mask[i] {
			row.Weights[i] = 1
		}
	}
	return row
}

// from is a row whose tokens behind the first n are trained.
func from(ids []int32, n int) Row {
	mask := make([]bool, len(ids))
	for i := n; i < len(ids); i++ {
		mask[i] = true
	}
	return ofMask(ids, mask)
}

// cut keeps the first most tokens; 0 keeps all. A row that is left without loss is dropped.
func (r Row) cut(most int) (Row, error) {
	if most > 0 && len(r.IDs) > most {
		r = Row{r.IDs[:most], r.Weights[:most]}
	}
	if !slices.ContainsFunc(r.Weights, func(w float32) bool { return w != 0 }) {
		return Row{}, fmt.Errorf("%w: no token of it carries loss", ErrDropped)
	}
	return r, nil
}

// Trained is the number of tokens with loss.
func (r Row) Trained() int {
	n := 0
	for _, w := range r.Weights {
		if w != 0 {
			n++
		}
	}
	return n
}

// decode reads a row; columns that the trainer does not know are its business, and ignored.
func decode(row []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(row))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("not a row of this format: %w", err)
	}
	return nil
}

// chatTokens are apply_chat_template(tokenize=True): the rendering, and nothing around it.
func chatTokens(t *local.Text, chat lm.Chat, turn bool) ([]int32, error) {
	text, err := t.Render(chat, turn)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	ids, _ := t.Tokens(text)
	return ids, nil
}

// plainTokens are tokenizer(text): what the tokenizer puts around every text comes too.
func plainTokens(t *local.Text, text string) []int32 {
	before, after := t.Around()
	ids, _ := t.Tokens(text)
	return slices.Concat(before, ids, after)
}
