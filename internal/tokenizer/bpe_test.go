package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// bpeDefinition looks at all pairs for every merge.
func bpeDefinition(parts []int32, ranks ranks) []int32 {
	for {
		best, at := never, -1
		for i := range len(parts) - 1 {
			if m, ok := ranks.find(pair{parts[i], parts[i+1]}); ok && m.rank < best.rank {
				best, at = m, i
			}
		}
		if at < 0 {
			return parts
		}
		parts[at] = best.id
		parts = slices.Delete(parts, at+1, at+2)
	}
}

// Both fast ways give what the definition gives, whatever the table of merges.
func TestMergesAreTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var merges []pair
		tokens := int32(3)
		for range rapid.IntRange(0, 30).Draw(t, "merges") {
			merges = append(merges, pair{rapid.Int32Range(0, tokens-1).Draw(t, "left"), rapid.Int32Range(0, tokens-1).Draw(t, "right")})
			tokens++
		}
		ranks := newRanks(merges, func(p pair) int32 { return 3 + int32(slices.Index(merges, p)) })
		word := rapid.SliceOfN(rapid.Int32Range(0, 2), 0, 80).Draw(t, "word")
		want := bpeDefinition(slices.Clone(word), ranks)
		if scan, queue := bpeScan(slices.Clone(word), ranks), bpeHeap(slices.Clone(word), ranks); !slices.Equal(scan, want) || !slices.Equal(queue, want) {
			t.Fatalf("%v: want %v, scan %v, heap %v", word, want, scan, queue)
		}
	})
}

// A pair is found with the rank of its first place in the list, and no other pair is.
func TestRanks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.Int32Range(0, 40)
		pairs := rapid.SliceOf(rapid.Custom(func(t *rapid.T) pair { return pair{token.Draw(t, "left"), token.Draw(t, "right")} })).Draw(t, "pairs")
		r := newRanks(pairs, func(p pair) int32 { return p.left + p.right })
		for left := range int32(41) {
			for right := range int32(41) {
				p := pair{left, right}
				got, ok := r.find(p)
				if want := slices.Index(pairs, p); ok != (want >= 0) || ok && got != (merge{int32(want), left + right}) {
					t.Fatalf("%v: %v, %t; want rank %d", p, got, ok, want)
				}
			}
		}
	})
}

// A word of a megabyte takes seconds, not hours.
func TestLongWord(t *testing.T) {
	tok := trained(t)
	word := strings.Repeat("colour", 1<<20/6)
	if got := tok.Decode(tok.Encode(word, false), false); got != word {
		t.Error("a long word is not itself after a round trip")
	}
}

func BenchmarkWord(b *testing.B) {
	tok := trained(b)
	for _, n := range []int{8, 32, 64, 96} {
		word := strings.Repeat("colourfavourite ", n)[:n]
		parts := make([]int32, n)
		spelled := func() []int32 {
			for i := range n {
				parts[i] = tok.symbols.bytes[word[i]]
			}
			return parts
		}
		b.Run(fmt.Sprint("scan/", n), func(b *testing.B) {
			for b.Loop() {
				bpeScan(spelled(), tok.ranks)
			}
		})
		b.Run(fmt.Sprint("heap/", n), func(b *testing.B) {
			for b.Loop() {
				bpeHeap(spelled(), tok.ranks)
			}
		})
	}
}
