package local

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stargate/internal/chattemplate"
	"stargate/internal/gguf"
	"stargate/internal/llama"
	"stargate/internal/tokenizer"
	"stargate/lm"
)

// Text is the side of a model that is about text, its tokenizer and its chat template, without
// the weights: what it takes to prepare data for a model that is too large to open, or of a
// family whose weights this engine does not know. It is safe for concurrent use.
type Text struct {
	codec    *codec
	settings tokenizer.Config
	template string
	digests  [2]string // of tokenizer.json and of the template
	before   []int32   // around a text that is no chat
	after    []int32
}

// Span is a part of a rendering, in bytes.
type Span = chattemplate.Range

// ErrNoGeneration: the chat template does not say which words are the assistant's.
var ErrNoGeneration = chattemplate.ErrNoGeneration

// OpenText reads the text side of a Hugging Face directory or of a GGUF file.
func OpenText(dir string) (*Text, error) {
	open := func() (*Text, error) { return OpenTextFS(os.DirFS(dir)) }
	if strings.EqualFold(filepath.Ext(dir), ".gguf") {
		open = func() (*Text, error) { return openTextGGUF(dir) }
	}
	t, err := open()
	if err != nil {
		return nil, fmt.Errorf("tokenizer and template of %s: %w", dir, err)
	}
	return t, nil
}

// OpenTextFS reads tokenizer.json and tokenizer_config.json, and where they are there
// chat_template.jinja, generation_config.json and config.json.
func OpenTextFS(dir fs.FS) (*Text, error) {
	files := map[string][]byte{}
	for _, name := range []string{tokenizer.File, tokenizer.ConfigFile, tokenizer.GenerationFile, templateFile, llama.ConfigFile} {
		data, err := fs.ReadFile(dir, name)
		required := name == tokenizer.File || name == tokenizer.ConfigFile
		switch {
		case err == nil:
			files[name] = data
		case required || !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("model directory: %w", err)
		}
	}
	return newText(files)
}

func openTextGGUF(path string) (*Text, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := gguf.Read(data)
	if err != nil {
		return nil, err
	}
	m, err := file.Model()
	if err != nil {
		return nil, err
	}
	return newText(m.Files)
}

func newText(files map[string][]byte) (*Text, error) {
	// Only what the text side needs: a family that the engine cannot run is welcome here.
	var model struct {
		VocabSize int           `json:"vocab_size"`
		EOS       tokenizer.IDs `json:"eos_token_id"`
	}
	if data, ok := files[llama.ConfigFile]; ok {
		if err := json.Unmarshal(data, &model); err != nil {
			return nil, fmt.Errorf("%s: %w", llama.ConfigFile, err)
		}
	}
	if model.VocabSize == 0 { // newer families nest it
		model.VocabSize = 1 << 30
	}
	c, err := newCodec(llama.Config{VocabSize: model.VocabSize, EOSTokenIDs: model.EOS}, files)
	if err != nil {
		return nil, err
	}
	settings, err := tokenizer.ReadConfig(files[tokenizer.ConfigFile])
	if err != nil {
		return nil, err
	}
	t := &Text{codec: c, settings: settings, template: settings.ChatTemplate}
	if t.template == "" {
		t.template = string(files[templateFile])
	}
	t.before = beginning(c.tokens, files)
	_, t.after = c.tokens.Around()
	t.digests = [2]string{sha256Hex(files[tokenizer.File]), sha256Hex([]byte(t.template))}
	return t, nil
}

// Encode is [Model.Encode].
func (t *Text) Encode(chat lm.Chat, loss []int) (ids []int32, mask []bool, err error) {
	return t.codec.masked(chat, loss)
}

// Render is the text of a chat; with turn it ends where the assistant's next message begins.
func (t *Text) Render(chat lm.Chat, turn bool) (string, error) {
	return t.codec.template.Render(chat, turn)
}

// Generated is the text of a chat and the parts of it that the template marks as the
// assistant's words, as transformers' return_assistant_tokens_mask finds them. It fails with
// [ErrNoGeneration] for a template that marks none.
func (t *Text) Generated(chat lm.Chat) (text string, parts []Span, err error) {
	return t.codec.template.Generated(chat)
}

// Tokens are those of a rendered chat, and where in the text each ends: special tokens in it are
// recognised, and nothing is put around it.
func (t *Text) Tokens(text string) (ids []int32, ends []int) {
	return t.codec.tokens.EncodeOffsets(text, true)
}

// Around is what the tokenizer by itself puts before and behind a text that is no chat.
func (t *Text) Around() (before, after []int32) {
	return slices.Clone(t.before), slices.Clone(t.after)
}

// Decode is the text of tokens, special ones included.
func (t *Text) Decode(ids []int32) string { return t.codec.tokens.Decode(ids, false) }

// Piece is the text that a token adds in the middle of a text.
func (t *Text) Piece(id int32) string { return t.codec.tokens.Piece(id, false) }

// Token is the spelling of an id in the vocabulary, "" of an unknown id.
func (t *Text) Token(id int32) string { return t.codec.tokens.Token(id) }

// Special tells whether a token is a marker rather than text.
func (t *Text) Special(id int32) bool {
	return t.codec.tokens.Piece(id, false) != "" && t.codec.tokens.Piece(id, true) == ""
}

// Size is the number of ids: every id is below it.
func (t *Text) Size() int { return t.codec.tokens.VocabSize() }

// Ends are the tokens that end a turn.
func (t *Text) Ends() []int32 { return append([]int32(nil), t.codec.ends...) }

// EOS is tokenizer_config.json's eos_token with its id; "" and -1 if there is none.
func (t *Text) EOS() (spelling string, id int32) {
	if id, ok := t.codec.tokens.TokenID(string(t.settings.EOSToken)); ok {
		return string(t.settings.EOSToken), id
	}
	return "", -1
}

// Template is the chat template's source.
func (t *Text) Template() string { return t.template }

// BOS is tokenizer_config.json's bos_token, "" if there is none.
func (t *Text) BOS() string { return string(t.settings.BOSToken) }

// TokenizerDigest is the SHA-256 of tokenizer.json, in hexadecimal.
func (t *Text) TokenizerDigest() string { return t.digests[0] }

// TemplateDigest is the SHA-256 of the chat template's source, in hexadecimal.
func (t *Text) TemplateDigest() string { return t.digests[1] }

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
