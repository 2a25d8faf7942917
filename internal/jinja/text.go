package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str of a value.
func (r *rendering) str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case undefined:
		return ""
	}
	var b strings.Builder
	r.repr(&b, v)
	return b.String()
}

// repr writes Python's repr of a value.
func (r *rendering) repr(b *strings.Builder, v any) {
	r.enter()
	defer r.leave()
	r.spend(1)
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case undefined:
		b.WriteString("Undefined")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int:
		b.WriteString(strconv.Itoa(v))
	case float64:
		b.WriteString(floatText(v))
	case string:
		r.touch(2 * len(v))
		quoteText(b, v)
	case *List:
		r.reprList(b, v)
	case *Dict:
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			r.repr(b, k)
			b.WriteString(": ")
			r.repr(b, v.values[i])
		}
		b.WriteByte('}')
	default:
		fail("a %s has no text", kindOf(v))
	}
}

func (r *rendering) reprList(b *strings.Builder, l *List) {
	brackets := "[]"
	switch l.kind {
	case isGenerator:
		fail("a generator has no text; the filters list and join make one")
	case isTuple:
		brackets = "()"
	}
	b.WriteByte(brackets[0])
	for i, v := range l.items {
		if i > 0 {
			b.WriteString(", ")
		}
		r.repr(b, v)
	}
	if l.kind == isTuple && len(l.items) == 1 {
		b.WriteByte(',')
	}
	b.WriteByte(brackets[1])
}

// floatText is Python's repr of a float.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, 64), "+"))
	case f != 0 && (math.Abs(f) < 1e-4 || math.Abs(f) >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quoteText writes a string between the quotes that Python chooses.
func quoteText(b *strings.Builder, s string) {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b.WriteRune(quote)
	for _, c := range s {
		switch {
		case c == quote || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(b, `\u%04x`, c)
		default:
			fmt.Fprintf(b, `\U%08x`, c)
		}
	}
	b.WriteRune(quote)
}

// jsonStyle is how json.dumps writes.
type jsonStyle struct {
	ascii, sorted bool
	indent        string // of a level; pretty tells whether there are lines at all
	pretty        bool
	comma, colon  string
}

// json writes a value as json.dumps does.
func (r *rendering) json(b *strings.Builder, v any, style jsonStyle, level int) {
	r.enter()
	defer r.leave()
	r.spend(1)
	line := func(level int) {
		if style.pretty {
			r.touch(level * len(style.indent))
			b.WriteByte('\n')
			b.WriteString(strings.Repeat(style.indent, level))
		}
	}
	sequence := func(brackets string, n int, element func(int)) {
		b.WriteByte(brackets[0])
		for i := range n {
			r.touch(len(style.comma) + len(style.colon))
			if i > 0 {
				b.WriteString(style.comma)
			}
			line(level + 1)
			element(i)
		}
		if n > 0 {
			line(level)
		}
		b.WriteByte(brackets[1])
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case float64:
		b.WriteString(jsonFloat(v))
	case string:
		r.touch(2 * len(v))
		jsonString(b, v, style.ascii)
	case *List:
		if v.kind == isGenerator {
			fail("JSON has no generators")
		}
		sequence("[]", len(v.items), func(i int) { r.json(b, v.items[i], style, level+1) })
	case *Dict:
		keys, values := v.keys, v.values
		if style.sorted {
			keys, values = r.sortedByKey(v)
		}
		sequence("{}", len(keys), func(i int) {
			jsonString(b, jsonKey(keys[i]), style.ascii)
			b.WriteString(style.colon)
			r.json(b, values[i], style, level+1)
		})
	default:
		fail("JSON has no %s", kindOf(v))
	}
}

func jsonFloat(f float64) string {
	switch s := floatText(f); s {
	case "nan":
		return "NaN"
	case "inf":
		return "Infinity"
	case "-inf":
		return "-Infinity"
	default:
		return s
	}
}

func jsonKey(k any) string {
	switch k := k.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(k)
	case int:
		return strconv.Itoa(k)
	case float64:
		return jsonFloat(k)
	}
	return k.(string) // no other value is a key
}

func jsonString(b *strings.Builder, s string, ascii bool) {
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c >= 0x20 && c < 0x7f || !ascii && c >= 0x7f:
			b.WriteRune(c)
		case c < 0x20 && strings.ContainsRune("\b\t\n\f\r", c):
			b.WriteByte('\\')
			b.WriteByte("btn.fr"[c-'\b'])
		case c >= 0x10000:
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+(c-0x10000)>>10, 0xdc00+(c-0x10000)&0x3ff)
		default:
			fmt.Fprintf(b, `\u%04x`, c)
		}
	}
	b.WriteByte('"')
}
