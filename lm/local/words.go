package local

import (
	"encoding/json"
	"fmt"

	"stargate/internal/tokenizer"
	"stargate/lm"
)

// Tokenize is the tokens of a plain text; special tokens that the text spells out are
// recognised. With begin, what the tokenizer's own settings put in front of a text (a
// beginning-of-sequence token) comes first.
func (m *Model) Tokenize(text string, begin bool) []int32 {
	ids := m.codec.tokens.Encode(text, true)
	if begin {
		return append(m.beginning(), ids...)
	}
	return ids
}

// Prompt is the tokens of a chat in the model's template; with turn they end where the
// assistant's next message begins.
func (m *Model) Prompt(chat lm.Chat, turn bool) ([]int32, error) {
	text, err := m.codec.template.Render(chat, turn)
	if err != nil {
		return nil, err
	}
	return m.codec.tokens.Encode(text, true), nil
}

// Target is the tokens of a chat and of target as the assistant's answer to it, without what
// the template puts behind an answer; the first context of them are the prompt. It is what
// [Model.LogProb] scores, and fails as it does.
func (m *Model) Target(chat lm.Chat, target string) (ids []int32, context int, err error) {
	return m.codec.target(chat, target)
}

// Token is the spelling of an id in the vocabulary, "" of an unknown id.
func (m *Model) Token(id int32) string { return m.codec.tokens.Token(id) }

// Ends are the tokens that end a turn.
func (m *Model) Ends() []int32 { return append([]int32(nil), m.codec.ends...) }

// beginning is the tokens in front of every plain text: those that the post-processor of
// tokenizer.json names before the text, or the beginning-of-sequence token if
// tokenizer_config.json asks for it.
func (m *Model) beginning() []int32 {
	m.codec.begin.Do(func() { m.codec.first = beginning(m.codec.tokens, m.files) })
	return append([]int32(nil), m.codec.first...)
}

func beginning(t *tokenizer.Tokenizer, files map[string][]byte) []int32 {
	settings, err := tokenizer.ReadConfig(files[tokenizer.ConfigFile])
	if err != nil {
		panic(fmt.Sprintf("a tokenizer configuration that was read before: %v", err))
	}
	bos, known := t.TokenID(string(settings.BOSToken))
	if settings.AddBOSToken != nil {
		if *settings.AddBOSToken && known {
			return []int32{bos}
		}
		return nil
	}
	var file struct {
		PostProcessor processor `json:"post_processor"`
	}
	if json.Unmarshal(files[tokenizer.File], &file) != nil {
		return nil // a shape of post-processor that puts nothing in front
	}
	var ids []int32
	for _, name := range file.PostProcessor.before() {
		if id, ok := t.TokenID(name); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// processor is the part of a post-processor of tokenizer.json that adds tokens: a
// TemplateProcessing, alone or in a Sequence (Hugging Face tokenizers, processors/template.rs).
type processor struct {
	Type       string      `json:"type"`
	Processors []processor `json:"processors"`
	Single     []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		} `json:"SpecialToken"`
	} `json:"single"`
}

// before names the tokens in front of the text.
func (p processor) before() (names []string) {
	for _, inner := range p.Processors {
		names = append(inner.before(), names...)
	}
	for _, part := range p.Single {
		if part.SpecialToken == nil {
			break
		}
		names = append(names, part.SpecialToken.ID)
	}
	return names
}
