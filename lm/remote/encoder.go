package remote

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"stargate/lm"
	"stargate/lm/local"
)

// encoder turns chats into the tokens that the server's model was trained to read.
type encoder interface {
	// prompt is the tokens that the model continues with the assistant's next message.
	prompt(ctx context.Context, chat lm.Chat) ([]int32, error)
	// target is the tokens of chat and of target as the assistant's answer, without what the
	// template puts behind it.
	target(ctx context.Context, chat lm.Chat, target string) (sequence, error)
	// whole is the tokens of a chat that ends with an answer, with what is behind it.
	whole(ctx context.Context, chat lm.Chat) ([]int32, error)
	// decode is the text of tokens, special ones included.
	decode(ctx context.Context, ids []int32) (string, error)
	// name is what it is, for reports.
	name() string
}

// serverEncoder asks the server: POST /tokenize with messages
// (vllm/entrypoints/serve/tokenize/protocol.py; SGLang where it has learnt that form).
type serverEncoder struct{ c *Client }

func (serverEncoder) name() string { return "the server's /tokenize" }

func (e serverEncoder) prompt(ctx context.Context, chat lm.Chat) ([]int32, error) {
	return e.tokenize(ctx, chat, true, false)
}

func (e serverEncoder) target(ctx context.Context, chat lm.Chat, target string) (sequence, error) {
	before, err := e.tokenize(ctx, chat, true, false)
	if err != nil {
		return sequence{}, err
	}
	ids, err := e.tokenize(ctx, append(slices.Clip(chat), lm.Message{Role: lm.Assistant, Content: target}), false, true)
	if err != nil {
		return sequence{}, err
	}
	return continues(before, ids)
}

// continues checks that a prompt's tokens are the beginning of those with the answer.
func continues(before, ids []int32) (sequence, error) {
	if len(before) > len(ids) || !slices.Equal(before, ids[:len(before)]) {
		same := 0
		for same < min(len(before), len(ids)) && before[same] == ids[same] {
			same++
		}
		return sequence{}, fmt.Errorf("the prompt's %d tokens are not the first of prompt and answer together (only %d are): the chat template renders the prompt differently before an answer, or the tokenizer merges across the border: %w", len(before), same, lm.ErrCannotScore)
	}
	return sequence{ids: ids, from: len(before)}, nil
}

func (e serverEncoder) whole(ctx context.Context, chat lm.Chat) ([]int32, error) {
	return e.tokenize(ctx, chat, false, false)
}

func (e serverEncoder) tokenize(ctx context.Context, chat lm.Chat, turn, continued bool) ([]int32, error) {
	b := newBody()
	if m := e.c.wireModel(); m != "" {
		b.add("model", m)
	}
	b.add("messages", chat).add("add_generation_prompt", turn)
	if continued {
		b.add("continue_final_message", true)
	}
	b.add("add_special_tokens", false)
	for _, name := range []string{"chat_template", "chat_template_kwargs"} {
		if v, ok := e.c.role.Extra[name]; ok {
			b.add(name, v)
		}
	}
	data, err := b.bytes()
	if err != nil {
		return nil, err
	}
	var ids []int32
	err = e.c.post(ctx, "/tokenize", data, func(answer []byte) error {
		var a struct {
			Tokens tokenIDs `json:"tokens"`
			Count  *int     `json:"count"`
		}
		if err := decode(answer, &a); err != nil {
			return err
		}
		if len(a.Tokens) == 0 || a.Count != nil && *a.Count != len(a.Tokens) {
			return fmt.Errorf("%w: %d tokens for a chat: %s", ErrGarbage, len(a.Tokens), oneLine(answer))
		}
		ids = a.Tokens
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("tokenize: %w", err)
	}
	return ids, nil
}

func (e serverEncoder) decode(ctx context.Context, ids []int32) (string, error) {
	b := newBody()
	if m := e.c.wireModel(); m != "" {
		b.add("model", m)
	}
	b.add("tokens", ids)
	if e.c.facts.Server == SGLang {
		b.add("skip_special_tokens", false)
	}
	data, err := b.bytes()
	if err != nil {
		return "", err
	}
	var text string
	err = e.c.post(ctx, "/detokenize", data, func(answer []byte) error {
		var a struct {
			Prompt *string `json:"prompt"` // vLLM
			Text   *string `json:"text"`   // SGLang
		}
		if err := decode(answer, &a); err != nil {
			return err
		}
		switch {
		case a.Prompt != nil:
			text = *a.Prompt
		case a.Text != nil:
			text = *a.Text
		default:
			return fmt.Errorf("%w: it has no text: %s", ErrGarbage, oneLine(answer))
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("detokenize: %w", err)
	}
	return text, nil
}

// post asks for something that is no work of the model's, so it costs nothing and loads the
// server with no tokens. An answer that read does not understand is asked for again.
func (c *Client) post(ctx context.Context, path string, data []byte, read func(answer []byte) error) error {
	for try := 1; ; try++ {
		answer, _, err := c.transport.Post(ctx, path, data, 0)
		if err != nil {
			return c.explain(err)
		}
		err = read(answer)
		c.recycle(answer)
		if err == nil || try == tries {
			return err
		}
		c.counts.again(outcomeOf(err))
	}
}

// directoryEncoder reads the tokenizer and the chat template of a Hugging Face directory.
type directoryEncoder struct {
	dir  string
	text *local.Text
}

func newDirectoryEncoder(dir string) (*directoryEncoder, error) {
	text, err := local.OpenText(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: tokenizer: %w", ErrRole, err)
	}
	return &directoryEncoder{dir, text}, nil
}

func (e *directoryEncoder) name() string { return "the tokenizer directory" }

func (e *directoryEncoder) prompt(_ context.Context, chat lm.Chat) ([]int32, error) {
	return e.text.Prompt(chat)
}

func (e *directoryEncoder) target(_ context.Context, chat lm.Chat, target string) (sequence, error) {
	ids, from, err := e.text.Target(chat, target)
	return sequence{ids: ids, from: from, text: e.bare(ids)}, err
}

// bare is the text of tokens for a server that puts the tokenizer's own beginning in front of
// every text: without that beginning, if the tokens have it.
func (e *directoryEncoder) bare(ids []int32) string {
	before, _ := e.text.Around()
	if len(ids) >= len(before) && slices.Equal(ids[:len(before)], before) {
		ids = ids[len(before):]
	}
	return e.text.Decode(ids)
}

func (e *directoryEncoder) whole(_ context.Context, chat lm.Chat) ([]int32, error) {
	text, err := e.text.Render(chat, false)
	if err != nil {
		return nil, err
	}
	ids, _ := e.text.Tokens(text)
	return ids, nil
}

func (e *directoryEncoder) decode(_ context.Context, ids []int32) (string, error) {
	return e.text.Decode(ids), nil
}

// answer is the text of drawn tokens without markers, as a server shows it.
func (e *directoryEncoder) answer(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if !e.text.Special(id) {
			b.WriteString(e.text.Piece(id))
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// ends says whether a token ends a turn.
func (e *directoryEncoder) ends(id int32) bool { return slices.Contains(e.text.Ends(), id) }

// cutAt is a text up to the first of the stop strings in it.
func cutAt(text string, stop []string) (string, bool) {
	at := -1
	for _, s := range stop {
		if i := strings.Index(text, s); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	if at < 0 {
		return text, false
	}
	return text[:at], true
}
