package jinja

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is what a token is. Operators and brackets are their own text.
type kind uint8

const (
	endOfSource kind = iota
	data             // text outside of tags
	blockBegin
	blockEnd
	outputBegin
	outputEnd
	name
	text
	integer
	float
	operator
)

type token struct {
	kind kind
	text string
	line int
}

type lexer struct {
	source string
	at     int
	line   int
	tokens []token
	fresh  bool // the last tag took the end of its line
}

// lex cuts a template into tokens, with white space as trim_blocks and lstrip_blocks leave it.
func lex(source string, line *int) []token {
	if len(source) > maxSource {
		fail("%w: %d bytes, the limit is %d", ErrLimit, len(source), maxSource)
	}
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	l := &lexer{source: strings.TrimSuffix(source, "\n"), line: 1, fresh: true}
	*line = 1
	defer func() { *line = l.line }()
	for l.at < len(l.source) {
		open := l.nextTag(l.at)
		if open < 0 {
			l.emit(data, l.source[l.at:])
			break
		}
		l.tag(open)
	}
	return append(l.tokens, token{endOfSource, "", l.line})
}

// nextTag is where the next {{, {% or {# begins.
func (l *lexer) nextTag(from int) int {
	for i := from; ; i++ {
		j := strings.IndexByte(l.source[i:], '{')
		if j < 0 || i+j+1 >= len(l.source) {
			return -1
		}
		i += j
		switch l.source[i+1] {
		case '{', '%', '#':
			return i
		}
	}
}

func (l *lexer) emit(k kind, s string) {
	if k != data || s != "" {
		l.tokens = append(l.tokens, token{k, s, l.line})
	}
	if k == data {
		l.line += strings.Count(s, "\n")
	}
}

// before emits the text before a tag, whose sign is -, + or nothing.
func (l *lexer) before(s string, sign byte, lstrip bool) {
	kept := s
	switch {
	case sign == '-':
		kept = strings.TrimRightFunc(s, isSpace)
	case sign != '+' && lstrip:
		start := strings.LastIndexByte(s, '\n') + 1
		if (start > 0 || l.fresh) && strings.TrimLeftFunc(s[start:], isSpace) == "" {
			kept = s[:start]
		}
	}
	l.emit(data, kept)
	l.line += strings.Count(s[len(kept):], "\n")
}

// sign is the - or + at a place of the source, and the place behind.
func (l *lexer) sign(at int) (sign byte, behind int) {
	if at < len(l.source) && (l.source[at] == '-' || l.source[at] == '+') {
		return l.source[at], at + 1
	}
	return 0, at
}

// close goes behind the end of a tag and the white space that goes with it.
func (l *lexer) close(trim bool) {
	start := l.at
	sign, at := l.sign(l.at)
	l.at = at + 2
	switch {
	case sign == '-':
		l.at = len(l.source) - len(strings.TrimLeftFunc(l.source[l.at:], isSpace))
	case sign == 0 && trim && l.at < len(l.source) && l.source[l.at] == '\n':
		l.at++
	}
	l.line += strings.Count(l.source[start:l.at], "\n")
	l.fresh = l.source[l.at-1] == '\n'
}

func (l *lexer) tag(open int) {
	kind := l.source[open+1]
	sign, at := l.sign(open + 2)
	l.before(l.source[l.at:open], sign, kind != '{')
	l.at, l.fresh = at, false
	switch kind {
	case '#':
		n := strings.Index(l.source[l.at:], "#}")
		if n < 0 {
			fail("a comment has no end")
		}
		if n > 0 && (l.source[l.at+n-1] == '-' || l.source[l.at+n-1] == '+') {
			n--
		}
		l.line += strings.Count(l.source[l.at:l.at+n], "\n")
		l.at += n
		l.close(true)
	case '%':
		if l.raw() {
			return
		}
		l.emit(blockBegin, "{%")
		l.code('%')
	default:
		l.emit(outputBegin, "{{")
		l.code('}')
	}
}

// raw reads {% raw %} … {% endraw %}; false for other tags.
func (l *lexer) raw() bool {
	at := l.skipSpace(l.at)
	if !strings.HasPrefix(l.source[at:], "raw") {
		return false
	}
	at = l.skipSpace(at + len("raw"))
	if sign, end := l.sign(at); sign == '+' || !strings.HasPrefix(l.source[end:], "%}") {
		return false
	}
	l.line += strings.Count(l.source[l.at:at], "\n")
	l.at = at
	l.close(false)
	for from := l.at; ; {
		n := strings.Index(l.source[from:], "{%")
		if n < 0 {
			fail("a raw block has no end")
		}
		open := from + n
		from = open + 2
		sign, at := l.sign(from)
		if at = l.skipSpace(at); !strings.HasPrefix(l.source[at:], "endraw") {
			continue
		}
		at = l.skipSpace(at + len("endraw"))
		if _, end := l.sign(at); !strings.HasPrefix(l.source[end:], "%}") {
			continue
		}
		l.before(l.source[l.at:open], sign, true)
		l.line += strings.Count(l.source[open:at], "\n")
		l.at = at
		l.close(true)
		return true
	}
}

func (l *lexer) skipSpace(at int) int {
	return len(l.source) - len(strings.TrimLeftFunc(l.source[at:], isSpace))
}

// code reads what is inside a tag, up to end followed by }.
func (l *lexer) code(end byte) {
	var open []byte // the brackets that would close what is open
	for first := len(l.tokens); ; {
		if len(l.tokens)-first > maxTokens {
			fail("%w: more than %d tokens in a tag", ErrLimit, maxTokens)
		}
		next := l.skipSpace(l.at)
		l.line += strings.Count(l.source[l.at:next], "\n")
		if l.at = next; l.at == len(l.source) {
			fail("a tag has no end")
		}
		rest := l.source[l.at:]
		if len(open) == 0 {
			sign, at := l.sign(l.at)
			if at+1 < len(l.source) && l.source[at] == end && l.source[at+1] == '}' && (sign != '+' || end == '%') {
				if end == '%' {
					l.emit(blockEnd, "%}")
				} else {
					l.emit(outputEnd, "}}")
				}
				l.close(end == '%')
				return
			}
		}
		c, size := utf8.DecodeRuneInString(rest)
		switch {
		case c == '\'' || c == '"':
			l.quoted(byte(c))
		case c >= '0' && c <= '9':
			l.number()
		case c == '_' || unicode.IsLetter(c):
			n := strings.IndexFunc(rest, func(c rune) bool { return c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) })
			if n < 0 {
				n = len(rest)
			}
			l.emit(name, rest[:n])
			l.at += n
		default:
			size = 1
			if len(rest) > 1 && strings.Contains("== != >= <= // **", rest[:2]) && rest[1] != ' ' && rest[0] != ' ' {
				size = 2
			}
			op := rest[:size]
			if size == 1 && !strings.Contains("+-*/%~()[]{}.,:|=<>", op) {
				fail("unexpected %q", c)
			}
			switch op {
			case "(":
				open = append(open, ')')
			case "[":
				open = append(open, ']')
			case "{":
				open = append(open, '}')
			case ")", "]", "}":
				if len(open) == 0 || open[len(open)-1] != op[0] {
					fail("unexpected %q", op)
				}
				open = open[:len(open)-1]
			}
			l.emit(operator, op)
			l.at += size
		}
	}
}

// number reads an integer or a float.
func (l *lexer) number() {
	s := l.source[l.at:]
	digits := func(i int) int {
		for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '_' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9') {
			i++
		}
		return i
	}
	n, k := digits(0), integer
	attribute := l.at > 0 && l.source[l.at-1] == '.' // messages.0.content
	if !attribute && n+1 < len(s) && s[n] == '.' && s[n+1] >= '0' && s[n+1] <= '9' {
		n, k = digits(n+1), float
	}
	if !attribute && n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		i := n + 1
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if j := digits(i); j > i {
			n, k = j, float
		}
	}
	l.emit(k, strings.ReplaceAll(s[:n], "_", ""))
	l.at += n
}

// quoted reads a string with Python's escapes.
func (l *lexer) quoted(quote byte) {
	var b strings.Builder
	s := l.source
	i := l.at + 1
	for {
		n := strings.IndexAny(s[min(i, len(s)):], `\`+string(quote))
		if n < 0 || i+n+1 > len(s) {
			fail("a string has no end")
		}
		b.WriteString(s[i : i+n])
		if i += n; s[i] == quote {
			break
		}
		if i++; i >= len(s) {
			fail("a string has no end")
		}
		i += escaped(&b, s[i:])
	}
	l.emit(text, b.String())
	l.line += strings.Count(s[l.at:i], "\n")
	l.at = i + 1
}

// escaped writes what stands behind a backslash and tells its length.
func escaped(b *strings.Builder, s string) int {
	const names, values = `\'"abfnrtv`, "\\'\"\a\b\f\n\r\t\v"
	if i := strings.IndexByte(names, s[0]); i >= 0 {
		b.WriteByte(values[i])
		return 1
	}
	length, base := 0, 16
	switch c := s[0]; {
	case c == '\n':
		return 1
	case c == 'x':
		length = 2
	case c == 'u':
		length = 4
	case c == 'U':
		length = 8
	case c == 'N':
		fail("characters by name are not supported")
	case c >= '0' && c <= '7':
		n := 1
		for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(s[:n], 8, 32)
		b.WriteRune(rune(v))
		return n
	default: // Python keeps a backslash that escapes nothing
		b.WriteByte('\\')
		return 0
	}
	if len(s) < 1+length {
		fail("a string has half an escape")
	}
	v, err := strconv.ParseUint(s[1:1+length], base, 32)
	if err != nil || v > unicode.MaxRune {
		fail("a string has the escape \\%s, which is no character", s[:1+length])
	}
	b.WriteRune(rune(v))
	return 1 + length
}

// isSpace is Python's str.isspace of one character.
func isSpace(c rune) bool {
	return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f
}
