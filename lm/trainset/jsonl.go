package trainset

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"stargate/lm"
)

// Masked is the label of a token without loss: what PyTorch's cross entropy ignores, and with
// it transformers, TRL, axolotl and LLaMA-Factory.
const Masked = -100

// line is a row as the frameworks read it.
type line struct {
	Key       string  `json:"key,omitempty"`
	InputIDs  []int32 `json:"input_ids"`
	Attention []int32 `json:"attention_mask,omitempty"`
	Labels    []int32 `json:"labels"`
}

// WriteTokens writes rows as JSON lines. Keys are left out: axolotl wants no other columns.
// Weights are not written: a label trains a token or does not.
func WriteTokens(w io.Writer, rows []Row) error { return write(w, rows, false) }

// WriteKeyed is WriteTokens with the rows' keys in a column "key".
func WriteKeyed(w io.Writer, rows []Row) error { return write(w, rows, true) }

func write(w io.Writer, rows []Row, keyed bool) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	for _, r := range rows {
		key := ""
		if keyed {
			key = r.Key
		}
		l := line{Key: key, InputIDs: r.Tokens, Attention: make([]int32, len(r.Tokens)), Labels: make([]int32, len(r.Tokens))}
		for t, id := range r.Tokens {
			l.Attention[t], l.Labels[t] = 1, Masked
			if r.Loss[t] {
				l.Labels[t] = id
			}
		}
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return b.Flush()
}

// mostLine bounds a line: some millions of tokens.
const mostLine = 64 << 20

// ReadTokens reads what [WriteTokens] wrote, or another program in its format. A row without a
// key is called after its line. Labels must be the row's own tokens or −100, and every position
// one to attend to: padding is not for files.
func ReadTokens(r io.Reader) ([]Row, error) { return read(r, parse) }

// ReadMessages reads chats as JSON lines: {"messages": [{"role", "content"}, …]}, in which every
// assistant message is trained but those with "train": false (axolotl's flag) or "weight": 0
// (OpenAI's). "key" names the example, else its line does; "loss", a list of indices, says
// outright which messages are trained, as [lm.Example] has it.
func ReadMessages(r io.Reader) ([]lm.Example, error) { return read(r, parseMessages) }

// read reads JSON lines.
func read[T any](r io.Reader, parse func(line []byte, n int) (T, error)) ([]T, error) {
	var all []T
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, mostLine)
	n := 1
	for ; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		x, err := parse(lines.Bytes(), n)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, x)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("line %d is longer than %d MiB", n, mostLine>>20)
		}
		return nil, err
	}
	return all, nil
}

func parseMessages(data []byte, n int) (lm.Example, error) {
	var l struct {
		Key      string `json:"key"`
		Messages []struct {
			Role    lm.Role  `json:"role"`
			Content *string  `json:"content"`
			Train   *bool    `json:"train"`
			Weight  *float64 `json:"weight"`
		} `json:"messages"`
		Loss []int `json:"loss"`
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return lm.Example{}, err
	}
	x := lm.Example{Key: l.Key, Loss: l.Loss}
	if x.Key == "" {
		x.Key = fmt.Sprintf("line %d", n)
	}
	if len(l.Messages) == 0 {
		return x, errors.New("there are no messages")
	}
	for i, m := range l.Messages {
		switch {
		case m.Role != lm.System && m.Role != lm.User && m.Role != lm.Assistant:
			return x, fmt.Errorf("message %d has the role %q, want system, user or assistant", i, m.Role)
		case m.Content == nil:
			return x, fmt.Errorf("message %d has no content", i)
		case m.Weight != nil && *m.Weight != 0 && *m.Weight != 1:
			return x, fmt.Errorf("message %d has the weight %g, want 0 or 1", i, *m.Weight)
		}
		x.Messages = append(x.Messages, lm.Message{Role: m.Role, Content: *m.Content})
		masked := m.Train != nil && !*m.Train || m.Weight != nil && *m.Weight == 0
		if l.Loss == nil && m.Role == lm.Assistant && !masked {
			x.Loss = append(x.Loss, i)
		}
	}
	if len(x.Loss) == 0 {
		return x, lm.ErrNoLoss
	}
	return x, nil
}

func parse(data []byte, n int) (Row, error) {
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return Row{}, err
	}
	switch {
	case len(l.InputIDs) == 0:
		return Row{}, errors.New("there are no input_ids")
	case len(l.Labels) != len(l.InputIDs):
		return Row{}, fmt.Errorf("%d input_ids but %d labels", len(l.InputIDs), len(l.Labels))
	case l.Attention != nil && len(l.Attention) != len(l.InputIDs):
		return Row{}, fmt.Errorf("%d input_ids but an attention_mask of %d", len(l.InputIDs), len(l.Attention))
	}
	r := Row{Key: l.Key, Tokens: l.InputIDs, Loss: make([]bool, len(l.InputIDs))}
	if r.Key == "" {
		r.Key = fmt.Sprintf("line %d", n)
	}
	for t, label := range l.Labels {
		switch {
		case l.Attention != nil && l.Attention[t] != 1:
			return Row{}, fmt.Errorf("position %d has attention_mask %d: rows are not padded", t, l.Attention[t])
		case label == Masked:
		case label == l.InputIDs[t]:
			r.Loss[t] = true
		default:
			return Row{}, fmt.Errorf("position %d holds token %d but its label is %d: labels are the row's own tokens, or %d", t, l.InputIDs[t], label, Masked)
		}
	}
	return r, r.Check()
}
