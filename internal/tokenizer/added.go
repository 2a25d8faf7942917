package tokenizer

import (
	"slices"
	"strings"
)

// Added is a token outside the merges, such as "<|end|>".
type Added struct {
	ID         int32
	Content    string
	Special    bool // recognised only when Encode is asked to, left out by Decode when asked
	Normalized bool // looked for after normalization, and after the tokens that are not
}

// matcher finds added tokens: the leftmost, and of those the longest.
type matcher struct {
	tokens []Added // longest first
	first  [256]bool
}

func newMatcher(added []Added, keep func(Added) bool) *matcher {
	m := &matcher{}
	for _, a := range added {
		if keep(a) {
			m.tokens = append(m.tokens, a)
			m.first[a.Content[0]] = true
		}
	}
	slices.SortStableFunc(m.tokens, func(a, b Added) int { return len(b.Content) - len(a.Content) })
	return m
}

// next is the first added token in text and where it begins; ok is false if there is none.
func (m *matcher) next(text string) (at int, a Added, ok bool) {
	if len(m.tokens) == 0 {
		return 0, Added{}, false
	}
	for i := range len(text) {
		if !m.first[text[i]] {
			continue
		}
		for _, a := range m.tokens {
			if strings.HasPrefix(text[i:], a.Content) {
				return i, a, true
			}
		}
	}
	return 0, Added{}, false
}
