package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// sentencePiece is the small vocabulary in the manner of Llama 2's, with parts replaced.
func sentencePiece(t testing.TB, patch map[string]json.RawMessage) *Tokenizer {
	t.Helper()
	tok, err := Load(patched(t, readFile(t, "testdata/sentencepiece.json"), patch))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Ids, texts and what is put around them are those of Hugging Face's Rust library;
// testdata/gen_sentencepiece.mjs froze them.
func TestSentencePieceGolden(t *testing.T) {
	var golden struct {
		Texts    []string
		Variants map[string]struct {
			Patch          map[string]json.RawMessage
			IDs, Around    [][]int32
			Decoded, Whole []string
		}
	}
	if err := json.Unmarshal(readFile(t, "testdata/sentencepiece_golden.json"), &golden); err != nil {
		t.Fatal(err)
	}
	for name, v := range golden.Variants {
		t.Run(name, func(t *testing.T) {
			tok := sentencePiece(t, v.Patch)
			written, err := tok.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			reloaded, err := Load(written)
			if err != nil {
				t.Fatal(err)
			}
			before, after := tok.Around()
			if !slices.Equal(before, v.Around[0]) || !slices.Equal(after, v.Around[1]) {
				t.Errorf("%d and %d are put around a text, want %d", before, after, v.Around)
			}
			for i, text := range golden.Texts {
				want := v.IDs[i]
				got := tok.Encode(text, true)
				if !slices.Equal(got, want) {
					t.Errorf("%q is %d, Hugging Face says %d (%q, %q)", text, got, want, spellings(tok, got), spellings(tok, want))
				}
				if got := reloaded.Encode(text, true); !slices.Equal(got, want) {
					t.Errorf("%q is %d with the tokenizer written again, want %d", text, got, want)
				}
				checkOffsets(t, tok, text)
				if got := lossy(tok, want, true); got != v.Decoded[i] {
					t.Errorf("%d decodes to %q, Hugging Face says %q", want, got, v.Decoded[i])
				}
				if got := lossy(tok, slices.Concat(before, want, after), false); got != v.Whole[i] {
					t.Errorf("%d with what is around it decodes to %q, Hugging Face says %q", want, got, v.Whole[i])
				}
			}
		})
	}
}

func spellings(tok *Tokenizer, ids []int32) (s []string) {
	for _, id := range ids {
		s = append(s, tok.Token(id))
	}
	return s
}

// lossy is Decode with U+FFFD for every byte of a run of byte tokens that is no valid UTF-8,
// as Hugging Face's library has it.
func lossy(tok *Tokenizer, ids []int32, skipSpecial bool) string {
	replacement, ok := tok.TokenID("\ufffd")
	var run string
	var out []int32
	flush := func() {
		for i := range len(run) {
			if b := tok.symbols.bytes[run[i]]; utf8.ValidString(run) || !ok {
				out = append(out, b)
			} else {
				out = append(out, replacement)
			}
		}
		run = ""
	}
	for _, id := range ids {
		if b, is := fallbackByte(tok.Token(id)); is {
			run += string([]byte{b})
			continue
		}
		flush()
		out = append(out, id)
	}
	flush()
	return tok.Decode(out, skipSpecial)
}

// checkOffsets holds EncodeOffsets to Encode: the same ids, ends that grow and end with the
// text.
func checkOffsets(t interface {
	Helper()
	Errorf(string, ...any)
}, tok *Tokenizer, text string) {
	t.Helper()
	ids, ends := tok.EncodeOffsets(text, true)
	if !slices.Equal(ids, tok.Encode(text, true)) || len(ends) != len(ids) {
		t.Errorf("%q is %d with %d offsets, but %d without", text, ids, len(ends), tok.Encode(text, true))
	}
	if !slices.IsSorted(ends) || len(ends) > 0 && (ends[0] < 0 || ends[len(ends)-1] > len(text)) {
		t.Errorf("tokens of %q end at %d", text, ends)
	}
}

func TestEncodeOffsets(t *testing.T) {
	tok := sentencePiece(t, nil)
	for text, want := range map[string]string{
		"Hello world": "Hello| world", "  the": "  the", "</s>the é": "</s>|the| |é", "a你b": "a|你|b", "you\nare": "you|\n|are",
	} {
		ids, ends := tok.EncodeOffsets(text, true)
		var words []string
		start := 0
		for i, id := range ids {
			if tok.Decode([]int32{id}, false) != "" || ends[i] > start {
				words = append(words, text[start:ends[i]])
			}
			start = ends[i]
		}
		if got := strings.Join(words, "|"); strings.ReplaceAll(got, "|", "") != text || !covers(got, want) {
			t.Errorf("%q is cut into %q, want at least the cuts of %q", text, got, want)
		}
	}
}

// covers tells whether got has all cuts of want.
func covers(got, want string) bool {
	i := 0
	for _, c := range want {
		for c != '|' && i < len(got) && got[i] == '|' {
			i++
		}
		if !strings.HasPrefix(got[i:], string(c)) {
			return false
		}
		i += utf8.RuneLen(c)
	}
	return i == len(got)
}

// What is encoded is decoded, up to what the scheme says it changes: Llama 2's writes a marker
// for a space, so a marker becomes one; added tokens begin texts of their own, which get a
// space.
func TestSentencePieceRoundTrip(t *testing.T) {
	tok := sentencePiece(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			rapid.StringMatching(`(the|colour| |\n|é|你|1|<0x41>|<s)*`)).Draw(t, "text")
		ids := tok.Encode(text, false)
		if got, want := tok.Decode(ids, false), strings.ReplaceAll(text, marker, " "); got != want {
			t.Fatalf("%q becomes %q", text, got)
		}
		var pieces strings.Builder
		for _, id := range ids {
			pieces.WriteString(tok.Piece(id, false))
		}
		if text != "" && pieces.String() != " "+strings.ReplaceAll(text, marker, " ") {
			t.Fatalf("piece by piece %q becomes %q", text, pieces.String())
		}
		checkOffsets(t, tok, text)
	})
}

// Cutting before markers, so that words can be remembered, changes nothing.
func TestWordsBeginWithMarker(t *testing.T) {
	tok := sentencePiece(t, nil)
	if !tok.wordsBeginWithMarker() {
		t.Fatal("text is not cut into words")
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`(the|colour|wor|ld|ing|▁|▁▁|a|s|\.|你|-)*`).Draw(t, "text")
		if text == "" {
			return
		}
		cut := tok.Encode(strings.ReplaceAll(text, marker, " "), false)
		uncut := tok.split(marker + text)
		if !slices.Equal(cut, uncut) {
			t.Fatalf("%q is %d cut, %d as a whole", text, cut, uncut)
		}
	})
}

// This package's own sources, which repeat words as text does; and the same with nothing
// remembered from before.
func BenchmarkSentencePiece(b *testing.B) {
	tok := sentencePiece(b, nil)
	text := sources(b)
	b.Run("cached", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			tok.Encode(text, false)
		}
	})
	b.Run("cold", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			tok.caches.Put(wordCache{}) // taken next: a pool gives back what was put last
			tok.Encode(text, false)
		}
	})
	b.Run("one word", func(b *testing.B) {
		word := strings.ReplaceAll(text, " ", "")
		b.SetBytes(int64(len(word)))
		for b.Loop() {
			tok.Encode(word, false)
		}
	})
	b.Run("offsets", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			tok.EncodeOffsets(text, false)
		}
	})
	b.Run("decode", func(b *testing.B) {
		ids := tok.Encode(text, false)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			tok.Decode(ids, false)
		}
	})
}
