package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The tokenizers of real models, where they are at hand: testdata/foreign.mjs says how.
func TestForeign(t *testing.T) {
	dir := os.Getenv("STARGATE_TOKENIZERS")
	if dir == "" {
		t.Skip("STARGATE_TOKENIZERS names no folder with the tokenizers of models")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*", "golden.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden.json (%v)", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(filepath.Dir(name)), func(t *testing.T) {
			tok, err := Load(readFile(t, filepath.Join(filepath.Dir(name), File)))
			if err != nil {
				t.Fatal(err)
			}
			var golden struct {
				Texts       []string
				IDs, Framed [][]int32
				Decoded     []string
			}
			if err := json.Unmarshal(readFile(t, name), &golden); err != nil {
				t.Fatal(err)
			}
			before, after := tok.Around()
			exact, texts := 0, 0
			for i, text := range golden.Texts {
				ids := tok.Encode(text, true)
				if slices.Equal(ids, golden.IDs[i]) && slices.Equal(slices.Concat(before, ids, after), golden.Framed[i]) {
					exact++
				} else {
					t.Errorf("%q is %d (%q), Hugging Face says %d (%q)", text, ids, spellings(tok, ids), golden.IDs[i], spellings(tok, golden.IDs[i]))
				}
				checkOffsets(t, tok, text)
				if got := lossy(tok, golden.IDs[i], true); got == golden.Decoded[i] {
					texts++
				} else {
					t.Errorf("%d decodes to %q, Hugging Face says %q", golden.IDs[i], got, golden.Decoded[i])
				}
			}
			t.Logf("ids of %d and decoded texts of %d out of %d are exact", exact, texts, len(golden.Texts))
		})
	}
}
