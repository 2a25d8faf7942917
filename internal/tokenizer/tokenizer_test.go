package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func trained(t testing.TB) *Tokenizer {
	t.Helper()
	texts := []string{"the cat sat on the mat", "the dog's bowl isn't on the mat", "Ask me. What is your favourite colour?"}
	tok, err := Train(slices.Values(texts), Options{VocabSize: 320, Special: []string{"<|user|>", "<|end|>"}})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Any bytes, valid UTF-8 or not, are themselves after a round trip.
func TestRoundTrip(t *testing.T) {
	tok := trained(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			rapid.StringMatching(`(<\|user\|>|<\|end\|>|<\||the mat| |\n)*`)).Draw(t, "text")
		ids := tok.Encode(text, rapid.Bool().Draw(t, "special"))
		if got := tok.Decode(ids, false); got != text {
			t.Fatalf("%q becomes %q", text, got)
		}
		var pieces strings.Builder
		for _, id := range ids {
			pieces.WriteString(tok.Decode([]int32{id}, false))
		}
		if pieces.String() != text {
			t.Fatalf("token by token %q becomes %q", text, pieces.String())
		}
	})
}

func TestSpecialTokens(t *testing.T) {
	tok := trained(t)
	marked := tok.Encode("<|user|>the cat<|end|>", true)
	if marked[0] != 0 || marked[len(marked)-1] != 1 {
		t.Errorf("markers are %v", marked)
	}
	if plain := tok.Encode("<|user|>", false); slices.Contains(plain, 0) {
		t.Error("a user's text became a marker")
	}
	if got := tok.Decode(marked, true); got != "the cat" {
		t.Errorf("decoded %q", got)
	}
	if got := tok.Decode([]int32{-1, 1 << 20}, false); got != "" {
		t.Errorf("unknown ids are %q", got)
	}
}

func TestTokens(t *testing.T) {
	tok := trained(t)
	for id := range int32(tok.VocabSize()) {
		if back, ok := tok.TokenID(tok.Token(id)); !ok || back != id {
			t.Errorf("token %d is spelled %q, which is token %d", id, tok.Token(id), back)
		}
	}
	if tok.Token(-1) != "" || tok.Token(int32(tok.VocabSize())) != "" {
		t.Error("a token outside the vocabulary has a spelling")
	}
}

// Many goroutines get what one gets.
func TestConcurrent(t *testing.T) {
	tok, alone := trained(t), trained(t)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 500 {
				text := fmt.Sprintf("the cat%d sat on %d mats", i, g*i)
				if !slices.Equal(tok.Encode(text, false), alone.Encode(text, false)) {
					t.Errorf("%q is encoded differently", text)
				}
			}
		})
	}
	group.Wait()
}

func TestCacheIsBounded(t *testing.T) {
	c := wordCache{}
	for i := range cacheWords + 10 {
		c.put(fmt.Sprint(i), []int32{int32(i)})
	}
	c.put(strings.Repeat("x", cacheWord+1), nil)
	if n := len(c); n > cacheWords || n == 0 {
		t.Errorf("%d words are kept", n)
	}
	if ids := c[fmt.Sprint(cacheWords+9)]; len(ids) != 1 || ids[0] != cacheWords+9 {
		t.Error("the last word is not kept")
	}
}

func BenchmarkEncode(b *testing.B) {
	tok := trained(b)
	text := strings.Repeat("the cat sat on the dog's mat. What is your favourite colour? ", 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text, true)
	}
}

func BenchmarkEncodeParallel(b *testing.B) {
	tok := trained(b)
	text := strings.Repeat("the cat sat on the dog's mat. What is your favourite colour? ", 100)
	b.SetBytes(int64(len(text)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tok.Encode(text, true)
		}
	})
}

// Words never seen before: every one is merged anew.
func BenchmarkEncodeUncached(b *testing.B) {
	tok := trained(b)
	var text strings.Builder
	for i := range 2 * cacheWords {
		fmt.Fprintf(&text, " %c%c%cfavourite%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576%26)
	}
	s := text.String()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		tok.Encode(s, true)
	}
}
