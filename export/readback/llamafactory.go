package readback

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stargate/lm"
	"stargate/lm/local"
)

// LlamaFactory is LLaMA-Factory's supervised fine-tuning with these settings
// (src/llamafactory/hparams/data_args.py) and default_system set to nothing.
type LlamaFactory struct {
	Template    string // template; "" = it makes one of the model's own chat template
	MaskHistory bool   // mask_history: only the last turn of a row is trained
}

// Alpaca reads rows of instruction, input, output, system and history. The answers in the
// history are trained too, unless mask_history is on (data/README.md, "Alpaca Format").
func (s LlamaFactory) Alpaca(t *local.Text, row []byte) (Row, error) {
	var r struct {
		Instruction string      `json:"instruction"`
		Input       string      `json:"input"`
		Output      string      `json:"output"`
		System      string      `json:"system"`
		History     [][2]string `json:"history"`
	}
	if err := decode(row, &r); err != nil {
		return Row{}, err
	}
	var chat lm.Chat
	for _, h := range r.History {
		chat = append(chat, lm.Message{Role: lm.User, Content: h[0]}, lm.Message{Role: lm.Assistant, Content: h[1]})
	}
	var query []string
	for _, part := range []string{r.Instruction, r.Input} {
		if part != "" {
			query = append(query, part)
		}
	}
	chat = append(chat, lm.Message{Role: lm.User, Content: strings.Join(query, "\n")}, lm.Message{Role: lm.Assistant, Content: r.Output})
	return s.row(t, r.System, chat)
}

// Sharegpt reads rows of conversations with from and value, and a system prompt beside them.
// Users and answers must take turns, and an answer must be last: other rows are left out with a
// warning ("Skipping this abnormal example", converter.py).
func (s LlamaFactory) Sharegpt(t *local.Text, row []byte) (Row, error) {
	var r struct {
		Conversations []struct {
			From  string `json:"from"`
			Value string `json:"value"`
		} `json:"conversations"`
		System string `json:"system"`
	}
	if err := decode(row, &r); err != nil {
		return Row{}, err
	}
	turns := r.Conversations
	if len(turns) > 0 && turns[0].From == "system" {
		r.System, turns = turns[0].Value, turns[1:]
	}
	var chat lm.Chat
	for i, m := range turns {
		if want := []string{"human", "gpt"}[i%2]; m.From != want {
			return Row{}, fmt.Errorf("%w: turn %d is from %q where it wants %q", ErrDropped, i+1, m.From, want)
		}
		chat = append(chat, lm.Message{Role: []lm.Role{lm.User, lm.Assistant}[i%2], Content: m.Value})
	}
	if len(chat) == 0 || len(chat)%2 != 0 {
		return Row{}, fmt.Errorf("%w: its %d turns do not end with an answer", ErrDropped, len(chat))
	}
	return s.row(t, r.System, chat)
}

// row puts pairs of a query and an answer together; queries are never trained, answers are, or
// with mask_history only the last (SupervisedDatasetProcessor._encode_data_example).
func (s LlamaFactory) row(t *local.Text, system string, chat lm.Chat) (Row, error) {
	slots, err := s.slots(t)
	if err != nil {
		return Row{}, err
	}
	var out Row
	for i := 0; i < len(chat); i += 2 {
		query := slots.query(system, chat[i].Content, i == 0)
		answer := slots.answer.fill(chat[i+1].Content)
		for _, part := range query {
			out.add(slots.tokens(t, part), false)
		}
		for _, part := range answer {
			out.add(slots.tokens(t, part), !s.MaskHistory || i == len(chat)-2)
		}
	}
	if len(out.Weights) > 0 {
		out.Weights[0] = 0
	}
	return out.cut(0)
}

func (r *Row) add(ids []int32, train bool) {
	for _, id := range ids {
		w := float32(0)
		if train {
			w = 1
		}
		r.IDs, r.Weights = append(r.IDs, id), append(r.Weights, w)
	}
}

// slots are a template of LLaMA-Factory's: texts around contents, each tokenised alone.
type slots struct {
	prefix, system, user, answer slot
	systemInUser                 bool   // the system prompt is put in front of the first query's words
	defaultSystem                string // where the row has none
}

// slot is text with {{content}} in it, in pieces that are tokenised each by itself. The pieces
// bos and eos are the model's tokens.
type slot []string

const (
	content = "{{content}}"
	bos     = "\x00bos"
	eos     = "\x00eos"
)

func (s slot) fill(words string) slot {
	out := slices.Clone(s)
	for i, part := range out {
		out[i] = strings.Replace(part, content, words, 1)
	}
	return out
}

func (s slots) query(system, words string, first bool) slot {
	var out slot
	if system == "" {
		system = s.defaultSystem
	}
	if first {
		out = append(out, s.prefix...)
		if system != "" && s.systemInUser {
			words = s.system.fill(system)[0] + words
		} else if system != "" {
			out = append(out, s.system.fill(system)...)
		}
	}
	return append(out, s.user.fill(words)...)
}

func (s slots) tokens(t *local.Text, part string) []int32 {
	switch part {
	case bos:
		part = t.BOS()
	case eos:
		part, _ = t.EOS()
	}
	ids, _ := t.Tokens(part)
	return ids
}

// named are templates that LLaMA-Factory registers under a name (template.py); those that are
// the same with another default system prompt are not repeated.
var named = map[string]slots{
	"chatml":  {system: slot{"<|im_start|>system\n{{content}}<|im_end|>\n"}, user: slot{"<|im_start|>user\n{{content}}<|im_end|>\n<|im_start|>assistant\n"}, answer: slot{"{{content}}<|im_end|>\n"}},
	"gemma":   {prefix: slot{bos}, system: slot{"{{content}}\n\n"}, user: slot{"<start_of_turn>user\n{{content}}<end_of_turn>\n<start_of_turn>model\n"}, answer: slot{"{{content}}<end_of_turn>\n"}, systemInUser: true},
	"llama2":  {system: slot{"<<SYS>>\n{{content}}\n<</SYS>>\n\n"}, user: slot{bos, "[INST] {{content}} [/INST]"}, answer: slot{"{{content}}", eos}, systemInUser: true},
	"llama3":  {prefix: slot{bos}, system: slot{"<|start_header_id|>system<|end_header_id|>\n\n{{content}}<|eot_id|>"}, user: slot{"<|start_header_id|>user<|end_header_id|>\n\n{{content}}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"}, answer: slot{"{{content}}<|eot_id|>"}},
	"mistral": {prefix: slot{bos}, system: slot{"{{content}}\n\n"}, user: slot{"[INST] {{content}}[/INST]"}, answer: slot{" {{content}}", eos}, systemInUser: true},
	"phi":     {system: slot{"<|system|>\n{{content}}<|end|>\n"}, user: slot{"<|user|>\n{{content}}<|end|>\n<|assistant|>\n"}, answer: slot{"{{content}}<|end|>\n"}},
	"zephyr":  {system: slot{"<|system|>\n{{content}}", eos}, user: slot{"<|user|>\n{{content}}", eos, "<|assistant|>\n"}, answer: slot{"{{content}}", eos}},
}

// Templates are the names that [LlamaFactory] knows of LLaMA-Factory's templates.
func Templates() []string {
	names := []string{"qwen"} // with default_system empty the same as chatml
	for name := range named {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s LlamaFactory) slots(t *local.Text) (slots, error) {
	if s.Template == "" {
		return parsed(t)
	}
	name := s.Template
	if name == "qwen" {
		name = "chatml"
	}
	found, ok := named[name]
	if !ok {
		return slots{}, fmt.Errorf("the rules of LLaMA-Factory's template %q are not known here; known are %s", s.Template, strings.Join(Templates(), ", "))
	}
	return found, nil
}

// ErrNoSlots: LLaMA-Factory cannot make a template of the model's own.
var ErrNoSlots = errors.New("LLaMA-Factory cannot take this model's chat template apart")

// parsed takes the model's own template apart as LLaMA-Factory does where no template is named
// (template.py, parse_template): by rendering a system prompt alone, a query, and an answer.
func parsed(t *local.Text) (slots, error) {
	before, after := t.Around()
	prefix := t.Decode(slices.Concat(before, after))
	render := func(turn bool, chat ...lm.Message) (string, error) {
		text, err := t.Render(chat, turn)
		if err != nil {
			return "", fmt.Errorf("%w (name one of its own): %w: %w", ErrNoSlots, ErrRefused, err)
		}
		return text[min(len(prefix), len(text)):], nil
	}
	system, err := render(false, lm.Message{Role: lm.System, Content: content})
	if err != nil {
		return slots{}, err
	}
	bare, err := render(true, lm.Message{Role: lm.System}, lm.Message{Role: lm.User, Content: content})
	if err != nil {
		return slots{}, err
	}
	user, err := render(true, lm.Message{Role: lm.User, Content: content})
	if err != nil {
		return slots{}, err
	}
	answer, err := render(false, lm.Message{Role: lm.User, Content: content}, lm.Message{Role: lm.Assistant, Content: content})
	if err != nil {
		return slots{}, err
	}
	answer = answer[min(len(user), len(answer)):]
	if strings.Contains(answer, "<think>") {
		return slots{}, fmt.Errorf("%w: its template thinks, and LLaMA-Factory then adds thoughts of its own", ErrNoSlots)
	}
	answer = strings.TrimLeft(answer, "\n")
	var defaultSystem string
	if len(user) > len(bare) { // the template writes a system prompt of its own
		defaultSystem = between(bare, user)
		user = user[min(len(strings.Replace(system, content, defaultSystem, 1)), len(user)):]
	}
	out := slots{system: slot{system}, user: slot{user}, answer: slot{answer}, defaultSystem: defaultSystem}
	if prefix != "" {
		out.prefix = slot{prefix}
	}
	for _, s := range []string{system, user, answer} {
		if !strings.Contains(s, content) { // StringFormatter: "A placeholder is required"
			return slots{}, fmt.Errorf("%w (name one of its own): %w", ErrNoSlots, ErrRefused)
		}
	}
	return out, nil
}

// between is what a longer text has more than a shorter one, character by character.
func between(short, long string) string {
	s, l := []rune(short), []rune(long)
	var more []rune
	i := 0
	for j := 0; i < len(s) && j < len(l); j++ {
		if s[i] == l[j] {
			i++
		} else {
			more = append(more, l[j])
		}
	}
	return string(more)
}
