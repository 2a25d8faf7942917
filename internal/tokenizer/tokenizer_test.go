package tokenizer

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func trained(t testing.TB) *Tokenizer {
	t.Helper()
	texts := []string{"the cat sat on the mat", "the dog's bowl isn't on the mat", "Ask me. What is your favourite colour?"}
	tok, err := Train(slices.Values(texts), Options{VocabSize: 320, Special: []string{"<|user|>", "<|end|>"}})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"Hello world":     {"Hello", " world"},
		"a  b":            {"a", " ", " b"},
		"a \n b":          {"a", " \n", " b"},
		"tail  ":          {"tail", "  "},
		"it's we'll 'x'":  {"it", "'s", " we", "'ll", " '", "x", "'"},
		"v1.5, été 3½":    {"v", "1", ".", "5", ",", " été", " 3½"},
		" \u00a0x":        {" ", "\u00a0", "x"},
		"\n\nParis? Yes!": {"\n", "\n", "Paris", "?", " Yes", "!"},
	} {
		var got []string
		for s := text; s != ""; {
			n := nextWord(s)
			got, s = append(got, s[:n]), s[n:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", text, got, want)
		}
	}
}

func TestRoundTripAndFile(t *testing.T) {
	tok := trained(t)
	data, err := tok.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		special := rapid.Bool().Draw(t, "special")
		ids := tok.Encode(text, special)
		if got := tok.Decode(ids, false); got != text {
			t.Fatalf("%q becomes %q", text, got)
		}
		if !reflect.DeepEqual(ids, loaded.Encode(text, special)) {
			t.Fatalf("the loaded tokenizer encodes %q differently", text)
		}
	})
}

func TestSpecialTokens(t *testing.T) {
	tok := trained(t)
	marked := tok.Encode("<|user|>the cat<|end|>", true)
	if marked[0] != 0 || marked[len(marked)-1] != 1 {
		t.Errorf("markers are %v", marked)
	}
	if plain := tok.Encode("<|user|>", false); slices.Contains(plain, 0) {
		t.Error("a user's text became a marker")
	}
	if got := tok.Decode(marked, true); got != "the cat" {
		t.Errorf("decoded %q", got)
	}
}

func TestTrainIsDeterministic(t *testing.T) {
	a, b := trained(t), trained(t)
	if !slices.Equal(a.tokens, b.tokens) {
		t.Error("two trainings differ")
	}
	if ids := a.Encode("the mat", false); len(ids) > 3 {
		t.Errorf("\"the mat\" is %d tokens; nothing was learnt", len(ids))
	}
}

func TestLoadErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"not json":   {"{", "unexpected end"},
		"wordpiece":  {`{"model":{"type":"WordPiece"}}`, `model type "WordPiece"`},
		"fallback":   {`{"model":{"type":"BPE","byte_fallback":true}}`, "byte_fallback"},
		"normalizer": {`{"normalizer":{"type":"NFC"},"model":{"type":"BPE"}}`, "normalizer"},
		"pattern":    {`{"pre_tokenizer":{"type":"Split"},"model":{"type":"BPE"}}`, "pre_tokenizer"},
		"merge":      {`{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, "merge 0"},
	} {
		if _, err := Load([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	data, err := trained(f).MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := Load(data); err == nil {
			tok.Decode(tok.Encode("Hello, <|end|> world", true), true)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	tok := trained(b)
	text := strings.Repeat("the cat sat on the dog's mat. What is your favourite colour? ", 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text, true)
	}
}
