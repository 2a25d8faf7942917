package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stargate/internal/tokenizer"
)

const vocabularies = "../../../shared/data/tokenizers"

// real opens one of llama.cpp's vocabularies, which lie beside the checkout; tests that need
// them are skipped without.
func real(t testing.TB, name string) (*File, *tokenizer.Tokenizer) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vocabularies, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no vocabularies beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.TokenizerJSON()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	return f, tok
}

// llama.cpp's test vectors.
func TestVocabularies(t *testing.T) {
	for _, name := range []string{"gpt-2.gguf", "llama-spm.gguf", "phi-3.gguf"} {
		t.Run(name, func(t *testing.T) {
			_, tok := real(t, name)
			read := func(suffix string) string {
				data, err := os.ReadFile(filepath.Join(vocabularies, name+suffix))
				if err != nil {
					t.Fatal(err)
				}
				return string(data)
			}
			texts := strings.Split(read(".inp"), "\n__ggml_vocab_test__\n")
			wants := strings.Split(read(".out"), "\n")
			exact := 0
			for i, text := range texts {
				ids := tok.Encode(text, false)
				if got, want := strings.Trim(fmt.Sprint(ids), "[]"), strings.TrimSpace(wants[i]); got != want {
					t.Errorf("%q is %s, want %s", text, got, want)
				} else {
					exact++
				}
				if back := tok.Decode(ids, false); back != text {
					t.Errorf("%q becomes %q", text, back)
				}
			}
			t.Logf("%d of %d texts are exact", exact, len(texts))
		})
	}
}

// definition is SentencePiece's own algorithm: of all neighbours that make a token, join those
// that make the one of the highest score, the leftmost first; what is no token then is bytes.
func definition(v *vocabulary, ids map[string]int, text string) (out []int32) {
	symbols := strings.Split(marker+strings.ReplaceAll(text, " ", marker), "")
	for {
		best, at := float32(0), -1
		for i := range len(symbols) - 1 {
			id, ok := ids[symbols[i]+symbols[i+1]]
			if ok && v.kind(id) == tokenNormal && (at < 0 || v.scores[id] > best) {
				best, at = v.scores[id], i
			}
		}
		if at < 0 {
			break
		}
		symbols[at] += symbols[at+1]
		symbols = slices.Delete(symbols, at+1, at+2)
	}
	for _, s := range symbols {
		if id, ok := ids[s]; ok && v.kind(id) == tokenNormal {
			out = append(out, int32(id))
			continue
		}
		for i := range len(s) {
			out = append(out, int32(ids[fmt.Sprintf("<0x%02X>", s[i])]))
		}
	}
	return out
}

// Merges made of scores give what the scores mean.
func TestScoredMerges(t *testing.T) {
	f, tok := real(t, "llama-spm.gguf")
	v, err := f.vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := v.ids()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	const texts = 3000
	for range texts {
		var text strings.Builder
		for range 1 + random.IntN(8) {
			switch random.IntN(5) {
			case 0: // a token, with its spaces
				if id := random.IntN(len(v.tokens)); v.kind(id) == tokenNormal {
					text.WriteString(strings.ReplaceAll(v.tokens[id], marker, " "))
				}
			case 1:
				text.WriteString(strings.Repeat(" ", random.IntN(20)))
			case 2:
				text.WriteString(strings.Repeat(string(rune('a'+random.IntN(26))), 1+random.IntN(9)))
			case 3:
				text.WriteRune(rune(random.IntN(0x3000)))
			default:
				text.WriteString([]string{"\n", "\t", "你好", "🙂", "===", "...", "1234", "<s>", "\u00a0"}[random.IntN(9)])
			}
		}
		if text.Len() == 0 {
			continue
		}
		if got, want := tok.Encode(text.String(), false), definition(&v, ids, text.String()); !slices.Equal(got, want) {
			t.Errorf("%q is %d, by SentencePiece's definition %d", text.String(), got, want)
		}
	}
}

// A text of prose at the speed of one core.
func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"gpt-2.gguf", "llama-spm.gguf"} {
		_, tok := real(b, name)
		var text strings.Builder
		files, err := filepath.Glob("../*/*.go")
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				b.Fatal(err)
			}
			text.Write(data)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				tok.Encode(text.String(), false)
			}
		})
	}
}
