package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate/internal/gguf"
)

// gpt2 is the vocabulary of GPT-2, from a GGUF file beside the checkout; tests that need it
// are skipped without.
func gpt2(t testing.TB) *Tokenizer {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(gpt2Dir, "gpt-2.gguf"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no GPT-2 vocabulary beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.TokenizerJSON()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Load(text)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

const gpt2Dir = "../../../shared/data/tokenizers"

// llama.cpp's test vectors for GPT-2's vocabulary.
func TestGPT2(t *testing.T) {
	tok := gpt2(t)
	texts := strings.Split(string(readFile(t, filepath.Join(gpt2Dir, "gpt-2.gguf.inp"))), "\n__ggml_vocab_test__\n")
	wants := strings.Split(string(readFile(t, filepath.Join(gpt2Dir, "gpt-2.gguf.out"))), "\n")
	if len(texts) < 40 {
		t.Fatalf("%d vectors", len(texts))
	}
	for i, text := range texts {
		ids := tok.Encode(text, false)
		if got, want := strings.Trim(fmt.Sprint(ids), "[]"), strings.TrimSpace(wants[i]); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
		if back := tok.Decode(ids, false); back != text {
			t.Errorf("%q becomes %q", text, back)
		}
	}
}

// sources is this package's own.
func sources(b *testing.B) string {
	b.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		b.Fatal(err)
	}
	var text []byte
	for _, n := range names {
		text = append(text, readFile(b, n)...)
	}
	return string(text)
}

// Prose: this package's own sources, which repeat words as text does.
func BenchmarkGPT2(b *testing.B) {
	tok := gpt2(b)
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
}
