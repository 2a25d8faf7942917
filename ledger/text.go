package ledger

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Postgres' TEXT holds valid UTF-8 without the character NUL; a model may say anything.
// What does not fit is escaped with the control character DLE, so that ordinary text stays
// as it is and can be read with SQL:
//
//	DLE itself      DLE DLE
//	NUL             DLE 0
//	a stray byte    DLE x and two hexadecimal digits
const dle = '\x10'

// EscapeText makes any bytes fit a TEXT column.
func EscapeText(s string) string {
	if utf8.ValidString(s) && !strings.ContainsAny(s, "\x00\x10") {
		return s
	}
	const digits = "0123456789abcdef"
	b := make([]byte, 0, len(s)+8)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == dle:
			b = append(b, dle, dle)
		case r == 0:
			b = append(b, dle, '0')
		case r == utf8.RuneError && n == 1:
			b = append(b, dle, 'x', digits[s[0]>>4], digits[s[0]&15])
		default:
			b = append(b, s[:n]...)
		}
		s = s[n:]
	}
	return string(b)
}

// UnescapeText is the inverse of EscapeText; what EscapeText cannot have written stays.
func UnescapeText(s string) string {
	if strings.IndexByte(s, dle) < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for len(s) > 0 {
		if s[0] != dle || len(s) < 2 {
			b, s = append(b, s[0]), s[1:]
			continue
		}
		switch s[1] {
		case dle:
			b, s = append(b, dle), s[2:]
			continue
		case '0':
			b, s = append(b, 0), s[2:]
			continue
		case 'x':
			if len(s) >= 4 {
				if v, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
					b, s = append(b, byte(v)), s[4:]
					continue
				}
			}
		}
		b, s = append(b, s[0]), s[1:]
	}
	return string(b)
}
