package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stargate/export/readback"
	"stargate/lm"
)

// probe is a conversation to see what a template does.
var probe = lm.Chat{{Role: lm.User, Content: "a"}, {Role: lm.Assistant, Content: "b"}}

// trained are the messages up to the last that is trained: what follows has no part in the loss.
func trained(e Example) lm.Chat {
	if len(e.Loss) == 0 {
		return e.Messages
	}
	return e.Messages[:e.Loss[len(e.Loss)-1]+1]
}

// trains tells whether message i of an example is trained.
func trains(e Example, i int) bool {
	for _, l := range e.Loss {
		if l == i {
			return true
		}
	}
	return false
}

func canonicalRows(_ *job, e Example) ([]any, error) { return []any{e}, nil }

func canonicalColumns(_ *job, e Example) ([]any, error) { return []any{rowOfExample(e)}, nil }

type tokenizedRow struct {
	IDs       []int32 `json:"input_ids" parquet:"input_ids,list"`
	Attention []int32 `json:"attention_mask" parquet:"attention_mask,list"`
	Labels    []int32 `json:"labels" parquet:"labels,list"`
}

const ignored = -100

// tokenizedRows have −100 as the label of what is not trained (axolotl,
// docs/dataset-formats/tokenized.qmd). No other columns: axolotl wants exactly these.
func tokenizedRows(_ *job, e Example) ([]any, error) {
	r := tokenizedRow{e.IDs, make([]int32, len(e.IDs)), make([]int32, len(e.IDs))}
	for i, id := range e.IDs {
		r.Attention[i], r.Labels[i] = 1, ignored
		if e.Weights[i] != 0 {
			r.Labels[i] = id
		}
	}
	return []any{r}, nil
}

type completionRow struct {
	Prompt     any `json:"prompt"`
	Completion any `json:"completion"`
}

// trlRows are TRL's conversational prompt-completion type: the loss is on the completion alone,
// so every trained turn is a row (docs/source/dataset_formats.md).
func trlRows(_ *job, e Example) ([]any, error) {
	var rows []any
	for _, i := range e.Loss {
		rows = append(rows, completionRow{e.Messages[:i], e.Messages[i : i+1]})
	}
	return rows, nil
}

// trlTextRows are the same in the standard format: the text is in the model's template already,
// and ends with the token that ends the turn. What the tokenizer puts in front of every text is
// left out of the prompt, else it would be there twice.
func trlTextRows(j *job, e Example) ([]any, error) {
	before, _ := j.text.Around()
	begin := j.text.Decode(before)
	var rows []any
	for _, i := range e.Loss {
		prompt, completion, err := j.turn(e, i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, completionRow{strings.TrimPrefix(prompt, begin), completion})
	}
	return rows, nil
}

// turn is the text that is in front of a trained message, and the text that is trained.
func (j *job) turn(e Example, i int) (prompt, completion string, err error) {
	if prompt, err = j.text.Render(e.Messages[:i], true); err != nil {
		return "", "", err
	}
	whole, err := j.text.Render(e.Messages[:i+1], false)
	if err != nil {
		return "", "", err
	}
	completion, ok := strings.CutPrefix(whole, prompt)
	if !ok {
		return "", "", errors.New("the chat template renders the prompt differently before an answer")
	}
	_, ends := j.text.Tokens(whole)
	for k := min(len(ends), len(e.Weights)) - 1; k >= 0; k-- { // behind the last trained token
		if e.Weights[k] != 0 {
			completion = completion[:max(0, ends[k]-len(prompt))]
			// A token that swallows the space behind it (rstrip) ends with the space; its
			// spelling ends before.
			if mark := j.text.Piece(e.IDs[k]); slices.Contains(j.text.Ends(), e.IDs[k]) && strings.Contains(completion, mark) {
				completion = completion[:strings.LastIndex(completion, mark)+len(mark)]
			}
			break
		}
	}
	return prompt, completion, nil
}

func trlRules(j *job) readback.Rules { return readback.TRL{EOS: j.otherEnd()}.Read }

func trlMessageRules(*job) readback.Rules { return readback.TRL{AssistantOnlyLoss: true}.Read }

type messageRow struct {
	Messages any `json:"messages"`
}

func messageRows(_ *job, e Example) ([]any, error) { return []any{messageRow{trained(e)}}, nil }

type flaggedMessage struct {
	lm.Message
	Train bool `json:"train"`
}

// axolotlRows have a flag on every message, for message_field_training
// (docs/dataset-formats/conversation.qmd).
func axolotlRows(_ *job, e Example) ([]any, error) {
	var out []flaggedMessage
	for i, m := range trained(e) {
		out = append(out, flaggedMessage{m, trains(e, i)})
	}
	return []any{messageRow{out}}, nil
}

func axolotlRules(j *job) readback.Rules {
	a := readback.Axolotl{}
	if end := j.otherEnd(); end != "" {
		a.EOTTokens = []string{end}
	}
	return a.Read
}

type weighedMessage struct {
	lm.Message
	Weight *int `json:"weight,omitempty"`
}

// openaiRows have a weight on every assistant message: 1 is the default, and said all the same
// (API reference, FineTuneChatRequestInput).
func openaiRows(_ *job, e Example) ([]any, error) {
	var out []weighedMessage
	for i, m := range trained(e) {
		w := weighedMessage{Message: m}
		if m.Role == lm.Assistant {
			weight := 0
			if trains(e, i) {
				weight = 1
			}
			w.Weight = &weight
		}
		out = append(out, w)
	}
	return []any{messageRow{out}}, nil
}

type saidBy struct {
	From  string `json:"from"`
	Value string `json:"value"`
}

type sharegptRow struct {
	Conversations []saidBy `json:"conversations"`
	System        string   `json:"system"`
}

// sharegptRows are whole conversations: LLaMA-Factory trains every answer in them
// (data/README.md, "Sharegpt Format").
func sharegptRows(_ *job, e Example) ([]any, error) {
	return []any{sharegpt(trained(e))}, nil
}

// sharegptLastRows are for mask_history, which trains the last answer of a row alone.
func sharegptLastRows(_ *job, e Example) ([]any, error) {
	var rows []any
	for _, i := range e.Loss {
		rows = append(rows, sharegpt(e.Messages[:i+1]))
	}
	return rows, nil
}

func sharegpt(chat lm.Chat) sharegptRow {
	r := sharegptRow{Conversations: []saidBy{}}
	for i, m := range chat {
		if i == 0 && m.Role == lm.System {
			r.System = m.Content
			continue
		}
		r.Conversations = append(r.Conversations, saidBy{map[lm.Role]string{lm.System: "system", lm.User: "human", lm.Assistant: "gpt"}[m.Role], m.Content})
	}
	return r
}

func sharegptRules(j *job) readback.Rules {
	return readback.LlamaFactory{Template: j.options.LlamaFactoryTemplate}.Sharegpt
}

func sharegptLastRules(j *job) readback.Rules {
	return readback.LlamaFactory{Template: j.options.LlamaFactoryTemplate, MaskHistory: true}.Sharegpt
}

type alpacaRow struct {
	Instruction string      `json:"instruction"`
	Input       string      `json:"input"`
	Output      string      `json:"output"`
	System      string      `json:"system"`
	History     [][2]string `json:"history"`
}

// alpacaRows have the turns before the last one in the history, whose answers are trained too
// (data/README.md, "Alpaca Format").
func alpacaRows(_ *job, e Example) ([]any, error) {
	r := alpacaRow{History: [][2]string{}}
	chat := trained(e)
	if len(chat) > 0 && chat[0].Role == lm.System {
		r.System, chat = chat[0].Content, chat[1:]
	}
	for i, m := range chat {
		if m.Role != []lm.Role{lm.User, lm.Assistant}[i%2] {
			return nil, fmt.Errorf("%w: users and answers do not take turns, and alpaca rows are pairs of them", readback.ErrDropped)
		}
	}
	if len(chat) < 2 || len(chat)%2 != 0 {
		return nil, fmt.Errorf("%w: the conversation does not end with an answer, and alpaca rows are pairs", readback.ErrDropped)
	}
	for i := 0; i < len(chat)-2; i += 2 {
		r.History = append(r.History, [2]string{chat[i].Content, chat[i+1].Content})
	}
	r.Instruction, r.Output = chat[len(chat)-2].Content, chat[len(chat)-1].Content
	return []any{r}, nil
}

func alpacaRules(j *job) readback.Rules {
	return readback.LlamaFactory{Template: j.options.LlamaFactoryTemplate}.Alpaca
}
