package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// trainByCounting is the definition: count all pairs anew for every merge.
func trainByCounting(texts []string, o Options) (tokens []string, merges []pair) {
	ids := map[string]int32{}
	token := func(s string) int32 {
		if _, ok := ids[s]; !ok {
			ids[s] = int32(len(tokens))
			tokens = append(tokens, s)
		}
		return ids[s]
	}
	for _, s := range o.Special {
		token(s)
	}
	for _, s := range alphabet {
		token(s)
	}
	var words [][]int32
	for _, text := range texts {
		for _, s := range cut(splitGPT2, text) {
			var w []int32
			for i := range len(s) {
				w = append(w, ids[alphabet[s[i]]])
			}
			words = append(words, w)
		}
	}
	for len(tokens) < o.VocabSize {
		counts := map[pair]int{}
		for _, w := range words {
			for i := range len(w) - 1 {
				counts[pair{w[i], w[i+1]}]++
			}
		}
		best, most := pair{}, 0
		for p, n := range counts {
			if slices.Contains(o.Special, tokens[p.left]+tokens[p.right]) {
				continue
			}
			if n > most || n == most && spelledBefore(tokens, p, best) {
				best, most = p, n
			}
		}
		if most < max(1, o.MinFrequency) {
			break
		}
		id := token(tokens[best.left] + tokens[best.right])
		merges = append(merges, best)
		for i := range words {
			w := word{parts: words[i]}
			w.merge(best, id)
			words[i] = w.parts
		}
	}
	return tokens, merges
}

func TestTrainIsCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringMatching(`[abc ]{0,20}`), 0, 12).Draw(t, "texts")
		o := Options{VocabSize: 256 + 2 + rapid.IntRange(0, 40).Draw(t, "merges"), MinFrequency: rapid.IntRange(0, 3).Draw(t, "least"), Special: []string{"ab", "caa"}}
		got, err := Train(slices.Values(texts), o)
		if err != nil {
			t.Fatal(err)
		}
		tokens, merges := trainByCounting(texts, o)
		if diff := cmp.Diff(tokens, got.tokens); diff != "" {
			t.Fatalf("tokens (-counting +trained):\n%s", diff)
		}
		if !slices.Equal(merges, got.merges) {
			t.Fatalf("merges %v, want %v", got.merges, merges)
		}
	})
}

// What is learnt does not depend on the order of the texts, and no text is ever encoded as
// a special token unless that is asked for.
func TestTrainProperties(t *testing.T) {
	texts := strings.Fields(strings.Repeat("banana bandana cabana <|end|> ", 5))
	o := Options{VocabSize: 290, Special: []string{"<|end|>", "ban"}}
	a, err := Train(slices.Values(texts), o)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(texts)
	b, err := Train(slices.Values(texts), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.tokens, b.tokens); diff != "" {
		t.Errorf("another order of texts:\n%s", diff)
	}
	for _, text := range []string{"ban", "<|end|>", "bandana"} {
		if ids := a.Encode(text, false); slices.Contains(ids, 0) || slices.Contains(ids, 1) {
			t.Errorf("%q is encoded as a special token: %v", text, ids)
		}
	}
	if ids := a.Encode("bandana", false); len(ids) > 3 {
		t.Errorf("\"bandana\" is %d tokens; little was learnt", len(ids))
	}
}

func TestTrainErrors(t *testing.T) {
	for want, o := range map[string]Options{
		"vocabulary of 200": {VocabSize: 200},
		"given twice":       {VocabSize: 300, Special: []string{"<a>", "<a>"}},
		"is empty":          {VocabSize: 300, Special: []string{""}},
		"spells a byte":     {VocabSize: 300, Special: []string{"x"}},
	} {
		if _, err := Train(slices.Values([]string{"text"}), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	var texts []string
	for i := range 4000 {
		texts = append(texts, fmt.Sprintf("word%d%d of document %d", i*i%997, i, i%71))
	}
	for b.Loop() {
		if _, err := Train(slices.Values(texts), Options{VocabSize: 2048}); err != nil {
			b.Fatal(err)
		}
	}
}
