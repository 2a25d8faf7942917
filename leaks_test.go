package stargate

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// Words in a row are looked for in the text; what that stands for are the sets of all runs of
// words.
func TestLeaksAreRunsOfWords(t *testing.T) {
	runs := func(text string) map[string]bool {
		words, set := wordsOf(text), map[string]bool{}
		for i := 0; i+leakWords <= len(words); i++ {
			set[strings.Join(words[i:i+leakWords], " ")] = true
		}
		return set
	}
	r := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString([]string{"a", "aa", "B-", " b", "c,"}[r.IntN(5)] + " ")
		}
		return b.String()
	}
	leaked := 0
	for range 20000 {
		p := Pair{Task: Task{Text: text(10)}, Persona: Persona{Text: text(12)}}
		so := []Turn{{Answer: text(8)}, {Answer: text(8)}}
		q := text(12)
		known, secret, want := runs(p.Task.Text+" . "+so[0].Answer+" . "+so[1].Answer), runs(p.Persona.Text), false
		for g := range runs(q) {
			want = want || secret[g] && !known[g]
		}
		if got := leaks(q, p, so); got != want {
			t.Fatalf("%q of persona %q: %v, want %v", q, p.Persona.Text, got, want)
		}
		if want {
			leaked++
		}
	}
	if leaked == 0 {
		t.Error("nothing leaked")
	}
}
