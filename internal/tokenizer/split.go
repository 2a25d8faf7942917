package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// A splitter is one stage of pre-tokenization: the length in bytes of the first piece of s,
// which is not empty. Tokens never span two pieces.
//
// The patterns are written out by hand because Go's regexp has no look-ahead, and because
// this is the inner loop of encoding.
type splitter func(s string) int

// gpt2Pattern is what splitGPT2 matches.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

func splitGPT2(s string) int {
	if n := contraction(s, false); n > 0 {
		return n
	}
	start := 0
	if s[0] == ' ' && len(s) > 1 {
		start = 1
	}
	r, n := utf8.DecodeRuneInString(s[start:])
	if c := classOf(r); c != space {
		return start + n + run(s[start+n:], c)
	}
	return spaces(s)
}

// llama3Pattern and qwen2Pattern are what splitTiktoken(3) and splitTiktoken(1) match: the
// pattern of OpenAI's cl100k with runs of at most three digits, or with single ones.
const (
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

func splitTiktoken(digits int) splitter {
	return func(s string) int {
		if n := contraction(s, true); n > 0 {
			return n
		}
		r, size := utf8.DecodeRuneInString(s)
		first := classOf(r)
		if first == letter {
			return size + run(s[size:], letter)
		}
		// One character that is no line break may lead a word: "(word", " word", "\tword".
		if first != number && r != '\r' && r != '\n' {
			if n := run(s[size:], letter); n > 0 {
				return size + n
			}
		}
		if first == number {
			n := size
			for range digits - 1 {
				r, size := utf8.DecodeRuneInString(s[n:])
				if size == 0 || classOf(r) != number {
					break
				}
				n += size
			}
			return n
		}
		start := 0
		if s[0] == ' ' {
			start = 1
		}
		if n := run(s[start:], other); n > 0 {
			for n += start; n < len(s) && (s[n] == '\r' || s[n] == '\n'); n++ {
			}
			return n
		}
		// White space: up to its last line break if it has one.
		blank := s[:run(s, space)]
		for n := len(blank); n > 0; n-- {
			if blank[n-1] == '\r' || blank[n-1] == '\n' {
				return n
			}
		}
		return spaces(s)
	}
}

// splitDigits separates digits from other text: each alone, or runs of them.
func splitDigits(alone bool) splitter {
	return func(s string) int {
		r, size := utf8.DecodeRuneInString(s)
		if classOf(r) == number {
			if alone {
				return size
			}
			return run(s, number)
		}
		n := size
		for n < len(s) {
			r, size := utf8.DecodeRuneInString(s[n:])
			if classOf(r) == number {
				break
			}
			n += size
		}
		return n
	}
}

// contraction is the length of an English contraction at the start of s, or 0.
func contraction(s string, foldCase bool) int {
	if s[0] != '\'' || len(s) < 2 {
		return 0
	}
	at := func(i int) byte {
		if i >= len(s) {
			return 0
		}
		c := s[i]
		if foldCase && c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	switch a, b := at(1), at(2); {
	case a == 's', a == 't', a == 'm', a == 'd':
		return 2
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	case foldCase && len(s) >= 3 && s[1:3] == "\u017f": // the long s is an s when case is folded
		return 3
	}
	return 0
}

// spaces matches \s+(?!\S)|\s+: all the white space s begins with, but for the last
// character when something follows.
func spaces(s string) int {
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
