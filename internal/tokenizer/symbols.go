package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// symbols are the tokens that merging begins with: one for each byte of a word, or one for
// each character.
type symbols struct {
	bytes    [256]int32 // of a byte: its spelling, or its fallback; -1 where the vocabulary lacks it
	ascii    [utf8.RuneSelf]int32
	runes    map[rune]int32
	spelled  bool
	fallback bool
	unknown  int32 // -1: none
	fuse     bool
	drops    bool // characters may be left out
}

func newSymbols(vocab map[string]int32, s *scheme) (symbols, error) {
	m := symbols{runes: map[rune]int32{}, spelled: s.spelled, fallback: s.byteFallback, unknown: -1, fuse: s.fuseUnknown}
	for i := range m.ascii {
		m.ascii[i] = -1
	}
	for token, id := range vocab {
		if r, n := utf8.DecodeRuneInString(token); n == len(token) {
			m.runes[r] = id
			if r < utf8.RuneSelf {
				m.ascii[r] = id
			}
		}
	}
	all := s.spelled || s.byteFallback // every character has a symbol
	for b := range m.bytes {
		token := alphabet[b]
		if !s.spelled {
			token = fmt.Sprintf("<0x%02X>", b)
		}
		id, ok := vocab[token]
		if !ok {
			id, all = -1, false
		}
		m.bytes[b] = id
	}
	if s.unknown != nil && !all {
		id, ok := vocab[*s.unknown]
		if !ok {
			return m, fmt.Errorf("unk_token %q is not in the vocabulary", *s.unknown)
		}
		m.unknown = id
	}
	if s.spelled && s.byteFallback && !all {
		return m, fmt.Errorf("%w: byte_fallback for a spelling that lacks bytes", ErrUnsupported)
	}
	m.drops = m.unknown < 0 && !all
	return m, nil
}

// of appends the symbols of a word to parts, and how many of its bytes each stands for to
// sizes unless that is nil. What the vocabulary has no token for is left out.
func (m *symbols) of(word string, parts []int32, sizes *[]int) []int32 {
	add := func(id int32, size int) {
		parts = append(parts, id)
		if sizes != nil {
			*sizes = append(*sizes, size)
		}
	}
	unknown := 0 // bytes of an unknown symbol that is not added yet
	for i := 0; i < len(word); {
		id, n := m.at(word[i:])
		switch {
		case id >= 0:
			if unknown > 0 {
				add(m.unknown, unknown)
				unknown = 0
			}
			add(id, n)
		case m.fallback && m.falls(word[i:i+n]):
			// An unknown symbol before it stays pending, as in Hugging Face's library.
			for j := range n {
				add(m.bytes[word[i+j]], 1)
			}
		case m.unknown >= 0:
			if unknown > 0 && !m.fuse {
				add(m.unknown, unknown)
				unknown = 0
			}
			unknown += n
		}
		i += n
	}
	if unknown > 0 {
		add(m.unknown, unknown)
	}
	return parts
}

// at is the symbol that a text begins with, -1 if there is none, and its size.
func (m *symbols) at(text string) (id int32, size int) {
	if m.spelled {
		return m.bytes[text[0]], 1
	}
	if text[0] < utf8.RuneSelf {
		return m.ascii[text[0]], 1
	}
	r, n := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && n == 1 {
		return -1, 1
	}
	if id, ok := m.runes[r]; ok {
		return id, n
	}
	return -1, n
}

// falls tells whether all bytes of a character have a token.
func (m *symbols) falls(character string) bool {
	for i := range len(character) {
		if m.bytes[character[i]] < 0 {
			return false
		}
	}
	return true
}
