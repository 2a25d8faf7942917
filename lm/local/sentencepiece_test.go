package local

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate/internal/tokenizer"
	"stargate/lm"
)

// newSentencePieceModel has a vocabulary and a template in the manner of Llama 2: a text begins
// with a space that nobody wrote, and a template puts spaces around what is said.
func newSentencePieceModel(t *testing.T) *Model {
	t.Helper()
	vocabulary, err := os.ReadFile(filepath.Join("..", "..", "internal", "tokenizer", "testdata", "sentencepiece.json"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{tokenizer.File: vocabulary,
		tokenizer.ConfigFile: []byte(`{"bos_token": "<s>", "eos_token": "</s>", "chat_template": "{% for m in messages %}{% if m.role == 'user' %}<s>[INST] {{ m.content }} [/INST]{% else %} {{ m.content }} </s>{% endif %}{% endfor %}"}`)}
	m, err := New(testWeights(t, 600), files, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// Loss falls on the words of the assistant and the token that ends them; a score's tokens spell
// the target. Both hold where characters are made of bytes.
func TestSentencePieceSpans(t *testing.T) {
	m := newSentencePieceModel(t)
	for _, answer := range []string{"the theme there", "ê 😀", "a  b", "x"} {
		chat := append(user("hi"), lm.Message{Role: lm.Assistant, Content: answer})
		ids, mask, err := m.Encode(chat, []int{1})
		if err != nil {
			t.Fatal(err)
		}
		var spoken strings.Builder
		for i, id := range ids {
			if mask[i] {
				spoken.WriteString(m.Piece(id))
			}
		}
		if got := strings.TrimLeft(spoken.String(), " "); got != answer+" </s>" {
			t.Errorf("loss on %q, want %q with its end", got, answer)
		}
		score, err := m.LogProb(t.Context(), user("hi"), answer)
		if err != nil {
			t.Fatal(err)
		}
		var target strings.Builder
		for _, x := range score.Tokens {
			target.WriteString(m.Piece(x.ID))
		}
		if got := strings.TrimLeft(target.String(), " "); got != answer {
			t.Errorf("the score is that of %q, want %q", got, answer)
		}
	}
}

// The text of a completion is that of its tokens together, spaces included.
func TestSentencePieceText(t *testing.T) {
	m := newSentencePieceModel(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		c, err := m.Generate(t.Context(), user("hi"), lm.Sampling{Temperature: 1, MaxTokens: 30, Seed: r.Uint64()})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, id := range c.Tokens {
			text.WriteString(m.codec.tokens.Piece(id, true))
		}
		if want := strings.ToValidUTF8(text.String(), "\uFFFD"); c.Text != want { // a random model spells no characters
			t.Errorf("%q is not %q", c.Text, want)
		}
	}
}
