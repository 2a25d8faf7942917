package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// alphabet spells each byte as a printable character (GPT-2's bytes_to_unicode): printable
// Latin-1 as itself, the rest from U+0100 on.
var alphabet = func() (a [256]string) {
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if !(r >= '!' && r <= '~' || r >= 0xa1 && r <= 0xac || r >= 0xae) {
			r, next = next, next+1
		}
		a[b] = string(r)
	}
	return a
}()

var unalphabet = func() map[rune]byte {
	m := make(map[rune]byte, 256)
	for b, s := range alphabet {
		r, _ := utf8.DecodeRuneInString(s)
		m[r] = byte(b)
	}
	return m
}()

// nextWord is the length of the first match of GPT-2's pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// written by hand: Go's regexp has no look-ahead.
func nextWord(s string) int {
	if s[0] == '\'' {
		for _, c := range [...]string{"s", "t", "re", "ve", "m", "ll", "d"} {
			if len(s) > len(c) && s[1:1+len(c)] == c {
				return 1 + len(c)
			}
		}
	}
	start := 0
	if s[0] == ' ' && len(s) > 1 {
		start = 1
	}
	r, n := utf8.DecodeRuneInString(s[start:])
	if class := classOf(r); class != space {
		return start + n + run(s[start+n:], class)
	}
	// Only white space: all of it, but for the last character when a word follows.
	end, last := 0, 0
	for end < len(s) {
		r, n := utf8.DecodeRuneInString(s[end:])
		if classOf(r) != space {
			break
		}
		last, end = end, end+n
	}
	if end < len(s) && last > 0 {
		return last
	}
	return end
}

type class int

const (
	space class = iota
	letter
	number
	other
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			return letter
		case r >= '0' && r <= '9':
			return number
		case r == ' ' || r >= '\t' && r <= '\r':
			return space
		}
		return other
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// run is the length of the prefix of s whose characters are of class c.
func run(s string, c class) int {
	n := 0
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		if classOf(r) != c {
			break
		}
		n += size
	}
	return n
}
