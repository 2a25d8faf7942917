package readback

import (
	"fmt"
	"slices"
	"strings"

	"stargate/lm"
	"stargate/lm/local"
)

// Axolotl is its dataset type chat_template with these settings, of which train_on_eos and
// train_on_eot are "turn", their default: the end of a turn is trained where the turn is
// (docs/dataset-formats/conversation.qmd).
type Axolotl struct {
	RolesToTrain []string // roles_to_train: messages without a flag; the default is assistant
	EOTTokens    []string // eot_tokens; none = the tokenizer's eos_token
}

// dummy is what axolotl puts in the place of a message to see where its words begin and end.
const dummy = "[[dummy_message]]"

// reach is how far behind the words axolotl looks for the end of a turn, in tokens.
const reach = 3

// Read is what axolotl makes of messages with a field train each (message_field_training: train).
func (s Axolotl) Read(t *local.Text, row []byte) (Row, error) {
	var r struct {
		Messages []struct {
			lm.Message
			Train *bool `json:"train"`
		} `json:"messages"`
	}
	if err := decode(row, &r); err != nil {
		return Row{}, err
	}
	if len(r.Messages) == 0 {
		return Row{}, fmt.Errorf("%w: the row has no messages", ErrRefused)
	}
	var chat lm.Chat
	for _, m := range r.Messages {
		chat = append(chat, m.Message)
	}
	ids, err := chatTokens(t, chat, false)
	if err != nil {
		return Row{}, err
	}
	ends, err := s.turnEnds(t)
	if err != nil {
		return Row{}, err
	}
	mask := make([]bool, len(ids))
	for i, m := range r.Messages {
		train := slices.Contains(s.RolesToTrain, string(m.Role))
		if m.Train != nil {
			train = *m.Train
		}
		if !train {
			continue
		}
		start, end, err := findTurn(t, chat, i)
		if err != nil {
			return Row{}, err
		}
		if start < 0 { // "Could not find content boundary": the words are not trained
			continue
		}
		for j := start; j < min(end, len(mask)); j++ {
			mask[j] = true
		}
		for _, marks := range ends {
			if at := slices.IndexFunc(ids[min(end, len(ids)):], func(id int32) bool { return slices.Contains(marks, id) }); at >= 0 && at <= reach {
				mask[end+at] = true
			}
		}
	}
	return ofMask(ids, mask).cut(0)
}

// turnEnds are the tokens that axolotl takes for the end of a turn, and those for the end of a
// sequence: it looks for the first of each kind.
func (s Axolotl) turnEnds(t *local.Text) (kinds [2][]int32, err error) {
	eos, id := t.EOS()
	if id >= 0 {
		kinds[1] = []int32{id}
	}
	marks := s.EOTTokens
	if len(marks) == 0 {
		marks = []string{eos}
	}
	for _, m := range marks {
		if m == "" || m != eos && !strings.Contains(t.Template(), m) { // "EOT token not found in chat_template"
			continue
		}
		ids, _ := t.Tokens(m)
		if len(ids) != 1 {
			return kinds, fmt.Errorf("%w: the end-of-turn token %q is %d tokens", ErrRefused, m, len(ids))
		}
		kinds[0] = append(kinds[0], ids[0])
	}
	return kinds, nil
}

// findTurn is where the words of a message are among the tokens, or -1: from the first token in
// which the rendering up to it differs from one with other words, to the last
// (ChatTemplateStrategy.find_turn). A message that begins or ends with the same token as the
// other words is found short; that is what axolotl does.
func findTurn(t *local.Text, chat lm.Chat, i int) (start, end int, err error) {
	other := append(slices.Clone(chat[:i]), lm.Message{Role: chat[i].Role, Content: dummy})
	a, err := chatTokens(t, other, false)
	if err != nil {
		return 0, 0, err
	}
	b, err := chatTokens(t, chat[:i+1], false)
	if err != nil {
		return 0, 0, err
	}
	least := min(len(a), len(b))
	start, end = -1, -1
	for j := range least {
		if a[j] != b[j] {
			start = j
			break
		}
	}
	for j := range least {
		if a[len(a)-1-j] != b[len(b)-1-j] {
			end = len(b) - j
			break
		}
	}
	if start < 0 || end <= start {
		return -1, -1, nil
	}
	return start, end, nil
}
