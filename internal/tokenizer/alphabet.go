package tokenizer

import "unicode/utf8"

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

// spell writes text in the alphabet.
func spell(text string) string {
	out := make([]byte, 0, 2*len(text))
	for i := range len(text) {
		out = append(out, alphabet[text[i]]...)
	}
	return string(out)
}

// unspell is the text a token stands for. A token with a character outside the alphabet
// stands for itself, as in Hugging Face's decoder.
func unspell(token string) string {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := unalphabet[r]
		if !ok {
			return token
		}
		out = append(out, b)
	}
	return string(out)
}
