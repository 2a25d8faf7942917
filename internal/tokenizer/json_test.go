package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
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
		"not json":       {"{", "unexpected EOF", false},
		"two documents":  {`{` + pre + `"model":{"type":"BPE"}} {}`, "text behind", false},
		"wordpiece":      {`{"model":{"type":"WordPiece","max_input_chars_per_word":3}}`, `model type "WordPiece"`, true},
		"unigram":        {`{"model":{"type":"Unigram","vocab":[["a",1]]}}`, `model type "Unigram"`, true},
		"model field":    {`{"model":{"type":"BPE","magic":true}}`, `field "magic"`, true},
		"field":          {`{"magic":true}`, `field "magic"`, true},
		"inner field":    {`{"normalizer":{"type":"Prepend","prepend":"x","magic":1},"model":{"type":"BPE"}}`, `Prepend: json: unknown field "magic"`, true},
		"dropout":        {`{"model":{"type":"BPE","dropout":0.1}}`, "dropout 0.1", true},
		"suffix":         {`{"model":{"type":"BPE","end_of_word_suffix":"</w>"}}`, "end_of_word_suffix", true},
		"normalizer":     {`{"normalizer":{"type":"Nmt"},"model":{"type":"BPE"}}`, `normalizer "Nmt"`, true},
		"no type":        {`{"normalizer":"NFC","model":{"type":"BPE"}}`, "normalizer without a type", true},
		"replace":        {`{"normalizer":{"type":"Replace","pattern":{"Regex":"x+"},"content":""},"model":{"type":"BPE"}}`, `Replace with the pattern "x+"`, true},
		"no decoder":     {`{"model":{"type":"BPE"}}`, "no decoder", true},
		"metaspace":      {`{"pre_tokenizer":{"type":"Metaspace","replacement":"__"},"model":{"type":"BPE"}}`, `replacement "__"`, true},
		"scheme":         {`{"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"last"},"model":{"type":"BPE"}}`, `prepend_scheme "last"`, true},
		"whitespace":     {`{"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"BPE"}}`, `pre_tokenizer "Whitespace"`, true},
		"pattern":        {`{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"x+"},"behavior":"Isolated"},"model":{"type":"BPE"}}`, "x+", true},
		"behavior":       {`{"pre_tokenizer":{"type":"Split","pattern":{"String":"x"},"behavior":"Removed"},"model":{"type":"BPE"}}`, `behavior "Removed"`, true},
		"spelled once":   {`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"Fuse"},"model":{"type":"BPE"}}`, "only one of", true},
		"after bytes":    {`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]},"model":{"type":"BPE"}}`, `"Digits" behind ByteLevel`, true},
		"decoder":        {`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"BPEDecoder"},"model":{"type":"BPE"}}`, `decoder "BPEDecoder"`, true},
		"decoders":       {`{"decoder":{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"ByteFallback"}]},"model":{"type":"BPE"}}`, "ByteFallback behind Fuse", true},
		"post-processor": {`{"post_processor":{"type":"Magic"},"model":{"type":"BPE"}}`, `post_processor "Magic"`, true},
		"template":       {`{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}}],"special_tokens":{}},"model":{"type":"BPE"}}`, `"<s>" has no ids`, false},
		"template text":  {`{"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}]},"model":{"type":"BPE"}}`, "one sequence A", true},
		"unknown":        {`{"decoder":{"type":"Fuse"},"model":{"type":"BPE","unk_token":"<unk>","vocab":{"a":0}}}`, `unk_token "<unk>"`, false},
		"merge":          {`{` + pre + `"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, "merge 0", false},
		"same id":        {`{` + pre + `"model":{"type":"BPE","vocab":{"a":0,"b":0}}}`, `"a" and "b" have the same id 0`, false},
		"huge id":        {`{` + pre + `"model":{"type":"BPE","vocab":{"a":2147483647}}}`, "ids are 0 to", false},
		"added twice":    {`{` + pre + `"added_tokens":[{"id":0,"content":"x"},{"id":1,"content":"x"}],"model":{"type":"BPE"}}`, "contradicts", false},
		"added moved":    {`{` + pre + `"added_tokens":[{"id":1,"content":"a"}],"model":{"type":"BPE","vocab":{"a":0}}}`, "contradicts", false},
	} {
		_, err := Load([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrUnsupported) != c.unsupported {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
}

// Whatever loads can be used and written, and what was written means the same.
func FuzzLoad(f *testing.F) {
	longNumber := regexp.MustCompile(`[0-9]{6}`)
	f.Add([]byte(`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},"added_tokens":[{"id":3,"content":"x","normalized":true}],"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}`), "abxa")
	f.Add([]byte(`{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},{"type":"StripAccents"},{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},"added_tokens":[{"id":9,"content":"x","normalized":true,"lstrip":true},{"id":10,"content":"y","rstrip":true,"single_word":true}],"model":{"type":"BPE","unk_token":"<unk>","byte_fallback":true,"fuse_unk":true,"vocab":{"<unk>":0,"▁":1,"a":2,"▁a":3,"<0x41>":4,"é":5},"merges":["▁ a"]}}`), " a xé A y")
	f.Add([]byte(`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},{"type":"Split","pattern":{"String":"b"},"behavior":"MergedWithNext"}]},"decoder":{"type":"Metaspace","replacement":"▁"},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"s":{"id":"s","ids":[0],"tokens":["s"]}}},"model":{"type":"BPE","ignore_merges":true,"vocab":{"a":0,"▁":1,"▁a":2},"merges":[["▁","a"]]}}`), "a bb 12a")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		if len(data) > 4<<10 || len(text) > 1<<8 {
			return // small inputs find as much, and sooner
		}
		if longNumber.Match(data) {
			return // an id in the millions has a table of as many entries, every time
		}
		tok, err := Load(data)
		if err != nil {
			return
		}
		ids := tok.Encode(text, true)
		tok.Decode(ids, true)
		checkOffsets(t, tok, text)
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
