package tokenizer

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/trained.json again (then run testdata/gen.mjs)")

// goldenCorpus is what testdata/trained.json is trained on: sentences such as the built-in
// world has, and enough names, numbers and code for merges of every kind.
func goldenCorpus(yield func(string) bool) {
	for i := range 40 {
		for _, s := range []string{
			"What would you like to cook tonight? I'm sure it's something with rice.", "Help me plan a party for my friend's birthday.",
			fmt.Sprintf("My name is Ada and I am %d years old; we'll meet at %d:%02d.", 20+i, i%24, 3*i%60),
			"Hello world, this isn't the theme you've asked for. They're there!", "café naïve Führer 你好 ½ x² (one) [two] {three}",
			"#include <stdio.h>\nint main() { return 0; }\n\n", "the colour\tof  the   house\n  is   blue\n",
		} {
			if !yield(s) {
				return
			}
		}
	}
}

// The ids are those of Hugging Face's Rust library, for the file this package writes and for
// variants of it with the schemes of other models; testdata/gen.mjs froze them.
func TestGolden(t *testing.T) {
	tok, err := Train(goldenCorpus, Options{VocabSize: 700, MinFrequency: 2, Special: []string{"<|end|>", "<|user|>"}})
	if err != nil {
		t.Fatal(err)
	}
	written, err := tok.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/trained.json", append(written, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	frozen := readFile(t, "testdata/trained.json")
	if !bytes.Equal(bytes.TrimSpace(frozen), written) {
		t.Error("training or writing has changed: testdata/trained.json differs; if that is wanted, -update and run testdata/gen.mjs")
	}
	var golden struct {
		Texts    []string
		Variants map[string]struct {
			Patch   map[string]json.RawMessage
			IDs     [][]int32
			Decoded []string
		}
	}
	if err := json.Unmarshal(readFile(t, "testdata/golden.json"), &golden); err != nil {
		t.Fatal(err)
	}
	for name, v := range golden.Variants {
		t.Run(name, func(t *testing.T) {
			data := patched(t, frozen, v.Patch)
			tok, err := Load(data)
			if err != nil {
				t.Fatal(err)
			}
			again, err := tok.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			reloaded, err := Load(again)
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range golden.Texts {
				if got := tok.Encode(text, true); !slices.Equal(got, v.IDs[i]) {
					t.Errorf("%q is %d, Hugging Face says %d", text, got, v.IDs[i])
				}
				if got := reloaded.Encode(text, true); !slices.Equal(got, v.IDs[i]) {
					t.Errorf("%q is %d with the tokenizer written again, want %d", text, got, v.IDs[i])
				}
				if got := tok.Decode(v.IDs[i], true); got != v.Decoded[i] {
					t.Errorf("%d decodes to %q, Hugging Face says %q", v.IDs[i], got, v.Decoded[i])
				}
			}
		})
	}
}

// patched replaces parts of a tokenizer.json as gen.mjs does.
func patched(t testing.TB, data []byte, patch map[string]json.RawMessage) []byte {
	t.Helper()
	var d, model, modelPatch map[string]json.RawMessage
	decode := func(data []byte, to *map[string]json.RawMessage) {
		if err := json.Unmarshal(data, to); err != nil {
			t.Fatal(err)
		}
	}
	encode := func(from map[string]json.RawMessage) []byte {
		out, err := json.Marshal(from)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	decode(data, &d)
	decode(d["model"], &model)
	if p, ok := patch["model"]; ok {
		decode(p, &modelPatch)
	}
	maps.Copy(d, patch)
	maps.Copy(model, modelPatch)
	d["model"] = encode(model)
	return encode(d)
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
