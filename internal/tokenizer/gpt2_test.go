package tokenizer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	strings, err := ggufStrings(data)
	if err != nil {
		t.Fatal(err)
	}
	vocab := map[string]int{}
	for id, token := range strings["tokenizer.ggml.tokens"] {
		vocab[token] = id
	}
	text, err := json.Marshal(map[string]any{
		"pre_tokenizer": json.RawMessage(gpt2ByteLevel), "decoder": json.RawMessage(gpt2ByteLevel),
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": strings["tokenizer.ggml.merges"]},
	})
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

// ggufStrings reads the arrays of strings in a GGUF file's metadata.
func ggufStrings(data []byte) (map[string][]string, error) {
	r := bytes.NewReader(data)
	failed := error(nil)
	number := func(size int) uint64 {
		var b [8]byte
		if _, err := r.Read(b[:size]); err != nil && failed == nil {
			failed = err
		}
		return binary.LittleEndian.Uint64(b[:])
	}
	text := func() string {
		b := make([]byte, min(number(8), uint64(len(data))))
		if _, err := r.Read(b); err != nil && failed == nil && len(b) > 0 {
			failed = err
		}
		return string(b)
	}
	const stringType, arrayType = 8, 9
	sizes := []int{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}
	number(4) // magic
	number(4) // version
	number(8) // tensors
	arrays := map[string][]string{}
	for range number(8) {
		key, kind := text(), number(4)
		switch kind {
		case stringType:
			text()
		case arrayType:
			kind, n := number(4), number(8)
			for range n {
				if kind == stringType {
					arrays[key] = append(arrays[key], text())
				} else {
					number(sizes[kind])
				}
			}
		default:
			number(sizes[kind])
		}
		if failed != nil {
			return nil, fmt.Errorf("gguf: %s: %w", key, failed)
		}
	}
	return arrays, nil
}

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
