package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A written tokenizer is the same when loaded, and written again the same bytes.
func TestFileRoundTrip(t *testing.T) {
	tok := trained(t)
	data, err := tok.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := loaded.MarshalJSON(); err != nil || !bytes.Equal(data, again) {
		t.Errorf("written again it differs (%v)", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if !slices.Equal(tok.Encode(text, true), loaded.Encode(text, true)) {
			t.Fatalf("the loaded tokenizer encodes %q differently", text)
		}
	})
}

// Hugging Face's library gives an added token that model.vocab does not name another id.
func TestFileNamesAddedTokensInVocab(t *testing.T) {
	data, err := json.Marshal(trained(t))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	for _, a := range d.AddedTokens {
		if id, ok := d.Model.Vocab[a.Content]; !ok || id != a.ID {
			t.Errorf("%s has id %d, in model.vocab %d", a.Content, a.ID, id)
		}
	}
}

func TestMergesAsPairs(t *testing.T) {
	with := func(merges string) *Tokenizer {
		tok, err := Load([]byte(`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":` + merges + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	if a, b := with(`["a b"]`).Encode("aba", false), with(`[["a","b"]]`).Encode("aba", false); !slices.Equal(a, []int32{2, 0}) || !slices.Equal(a, b) {
		t.Errorf("%v and %v, want [2 0]", a, b)
	}
}

func TestLoadErrors(t *testing.T) {
	pre := `"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},`
	for name, c := range map[string]struct {
		text, want  string
		unsupported bool
	}{
		"not json":     {"{", "unexpected end", false},
		"wordpiece":    {`{"model":{"type":"WordPiece"}}`, `model type "WordPiece"`, true},
		"fallback":     {`{"model":{"type":"BPE","byte_fallback":true}}`, "byte_fallback", true},
		"dropout":      {`{"model":{"type":"BPE","dropout":0.1}}`, "dropout 0.1", true},
		"suffix":       {`{"model":{"type":"BPE","end_of_word_suffix":"</w>"}}`, "end_of_word_suffix", true},
		"normalizer":   {`{"normalizer":{"type":"Lowercase"},"model":{"type":"BPE"}}`, `normalizer "Lowercase"`, true},
		"no pre":       {`{"model":{"type":"BPE"}}`, `pre_tokenizer ""`, true},
		"metaspace":    {`{"pre_tokenizer":{"type":"Metaspace"},"model":{"type":"BPE"}}`, `pre_tokenizer "Metaspace"`, true},
		"prefix space": {`{"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},"model":{"type":"BPE"}}`, "add_prefix_space", true},
		"pattern":      {`{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"x+"},"behavior":"Isolated"},"model":{"type":"BPE"}}`, "x+", true},
		"no bytes":     {`{"pre_tokenizer":{"type":"Digits"},"model":{"type":"BPE"}}`, "without ByteLevel", true},
		"decoder":      {`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"BPEDecoder"},"model":{"type":"BPE"}}`, `decoder "BPEDecoder"`, true},
		"merge":        {`{` + pre + `"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, "merge 0", false},
		"same id":      {`{` + pre + `"model":{"type":"BPE","vocab":{"a":0,"b":0}}}`, `"a" and "b" have the same id 0`, false},
		"huge id":      {`{` + pre + `"model":{"type":"BPE","vocab":{"a":2147483647}}}`, "ids are 0 to", false},
		"added twice":  {`{` + pre + `"added_tokens":[{"id":0,"content":"x"},{"id":1,"content":"x"}],"model":{"type":"BPE"}}`, "contradicts", false},
		"added moved":  {`{` + pre + `"added_tokens":[{"id":1,"content":"a"}],"model":{"type":"BPE","vocab":{"a":0}}}`, "contradicts", false},
		"strip":        {`{` + pre + `"added_tokens":[{"id":1,"content":"a","lstrip":true}],"model":{"type":"BPE"}}`, "lstrip", true},
	} {
		_, err := Load([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrUnsupported) != c.unsupported {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
}

// Whatever loads can be used and written, and what was written means the same.
func FuzzLoad(f *testing.F) {
	data, err := trained(f).MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, "Hello, <|end|> world")
	f.Add([]byte(`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},"added_tokens":[{"id":3,"content":"x","normalized":true}],"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}`), "abxa")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := Load(data)
		if err != nil {
			return
		}
		ids := tok.Encode(text, true)
		tok.Decode(ids, true)
		written, err := tok.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(written)
		if err != nil {
			t.Fatalf("what was written does not load: %v", err)
		}
		if !slices.Equal(ids, again.Encode(text, true)) {
			t.Fatal("what was written encodes differently")
		}
	})
}
