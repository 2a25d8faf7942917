package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Added is a token outside the merges, such as "<|end|>".
type Added struct {
	ID         int32
	Content    string
	Special    bool // recognised only when Encode is asked to, left out by Decode when asked
	Normalized bool // looked for after normalization, and after the tokens that are not
	SingleWord bool // not within a word
	LStrip     bool // with the white space before it
	RStrip     bool // with the white space behind it
}

// matcher finds added tokens: the leftmost, and of those the longest.
type matcher struct {
	byFirst [256]lengths
	tokens  map[string]Added // by what they look like in the text
}

// lengths are those of the tokens that begin with a certain byte, the longest first.
type lengths []int

// newMatcher gives nil if no token is to be found. spelled is how a token looks in the text.
func newMatcher(added []Added, keep func(Added) bool, spelled func(Added) string) *matcher {
	m := &matcher{tokens: map[string]Added{}}
	for _, a := range added {
		content := spelled(a)
		if !keep(a) || content == "" {
			continue
		}
		m.tokens[content] = a
		if l := &m.byFirst[content[0]]; !slices.Contains(*l, len(content)) {
			*l = append(*l, len(content))
		}
	}
	if len(m.tokens) == 0 {
		return nil
	}
	for _, l := range m.byFirst {
		slices.SortFunc(l, func(a, b int) int { return cmp.Compare(b, a) })
	}
	return m
}

// next is the first token in text from a byte on, and where it stands.
func (m *matcher) next(text string, at int) (a Added, from, to int, ok bool) {
	for i := at; i < len(text); i++ {
		for _, n := range m.byFirst[text[i]] {
			if i+n > len(text) {
				continue
			}
			if a, ok := m.tokens[text[i:i+n]]; ok {
				return a, i, i + n, true
			}
		}
	}
	return a, 0, 0, false
}

// each calls token for the added tokens in p, and between for what lies between them.
func (m *matcher) each(p piece, token func(a Added, p piece), between func(p piece)) {
	done := 0 // bytes given to one of the two
	for at := 0; m != nil; {
		a, from, to, ok := m.next(p.text, at)
		if !ok {
			break
		}
		at = to
		if a.SingleWord && (endsWithWord(p.text[:from]) || beginsWithWord(p.text[to:])) {
			continue
		}
		if a.LStrip {
			from = len(strings.TrimRightFunc(p.text[:from], unicode.IsSpace))
		}
		from = max(from, done)
		if a.RStrip {
			to = len(p.text) - len(strings.TrimLeftFunc(p.text[to:], unicode.IsSpace))
		}
		to = max(to, from)
		if done < from {
			between(p.cut(done, from))
		}
		token(a, p.cut(from, to))
		done = to
	}
	if done < len(p.text) {
		between(p.cut(done, len(p.text)))
	}
}

func endsWithWord(text string) bool {
	r, n := utf8.DecodeLastRuneInString(text)
	return n > 0 && isWord(r)
}

func beginsWithWord(text string) bool {
	r, n := utf8.DecodeRuneInString(text)
	return n > 0 && isWord(r)
}

// isWord is \w of Unicode's regular expressions (UTS #18).
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
}
