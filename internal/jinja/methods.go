package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// attribute is a method, or what else a value has by name besides a dict's keys.
func (r *rendering) attribute(of any, name string) (any, bool) {
	switch of := of.(type) {
	case *iteration:
		return of.attribute(r, name), true
	case *namespace:
		v, ok := of.get(name)
		if !ok {
			v = undefined{"namespace." + name}
		}
		return v, true
	case string:
		if m, ok := textMethods[name]; ok {
			return &function{name, func(r *rendering, a args) any {
				r.touch(len(of))
				return m(r, of, a)
			}}, true
		}
	case *Dict:
		if m, ok := dictMethods[name]; ok {
			return &function{name, func(r *rendering, a args) any { return m(r, of, a) }}, true
		}
	case *List:
		if m, ok := listMethods[name]; ok && of.kind != isGenerator {
			return &function{name, func(r *rendering, a args) any { return m(r, of, a) }}, true
		}
	}
	return nil, false
}

// immutable is a method that would change its value.
func immutable[V any](r *rendering, _ V, _ args) any {
	fail("the method would change its value; templates may change namespaces only, as in transformers' sandbox")
	return nil
}

var dictMethods = map[string]func(*rendering, *Dict, args) any{
	"get": func(_ *rendering, d *Dict, a args) any {
		b := a.bind("get", "key", "default")
		if v, ok := d.get(defined(b[0])); ok {
			return v
		}
		return given(b[1], nil)
	},
	"items":  func(r *rendering, d *Dict, _ args) any { return r.pairs(d) },
	"keys":   func(r *rendering, d *Dict, _ args) any { return r.list(slices.Clone(d.keys), isList) },
	"values": func(r *rendering, d *Dict, _ args) any { return r.list(slices.Clone(d.values), isList) },
	"copy":   func(_ *rendering, d *Dict, _ args) any { return d },
	"clear":  immutable[*Dict], "pop": immutable[*Dict], "popitem": immutable[*Dict], "setdefault": immutable[*Dict], "update": immutable[*Dict],
}

var listMethods = map[string]func(*rendering, *List, args) any{
	"copy": func(_ *rendering, l *List, _ args) any { return l },
	"count": func(r *rendering, l *List, a args) any {
		n := 0
		for _, v := range r.elements(l) {
			if r.equal(v, a.bind("count", "value")[0]) {
				n++
			}
		}
		return n
	},
	"index": func(r *rendering, l *List, a args) any {
		for i, v := range r.elements(l) {
			if r.equal(v, a.bind("index", "value")[0]) {
				return i
			}
		}
		fail("index: the list has no such element")
		return nil
	},
	"append": immutable[*List], "clear": immutable[*List], "extend": immutable[*List], "insert": immutable[*List], "pop": immutable[*List], "remove": immutable[*List], "reverse": immutable[*List], "sort": immutable[*List],
}

// textMethods are Python's methods of str. What they read is paid for by the caller, what they
// make beyond that by themselves.
var textMethods = map[string]func(*rendering, string, args) any{
	"capitalize": plain(capitalized), "casefold": plain(func(s string) string { return cased(s, strings.ToLower, fold) }), "lower": plain(lower), "title": plain(pythonTitle), "upper": plain(upper),
	"isalnum": all(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }), "isalpha": all(unicode.IsLetter), "isdecimal": all(unicode.IsDigit),
	"isdigit": all(unicode.IsDigit), "isnumeric": all(unicode.IsNumber), "isspace": all(isSpace),
	"islower": func(_ *rendering, s string, _ args) any { return isLower(s) }, "isupper": func(_ *rendering, s string, _ args) any { return isUpper(s) },
	"isascii": func(_ *rendering, s string, _ args) any {
		return strings.IndexFunc(s, func(c rune) bool { return c >= 0x80 }) < 0
	},
	"strip": strip(true, true), "lstrip": strip(true, false), "rstrip": strip(false, true),
	"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
	"removeprefix": func(_ *rendering, s string, a args) any { return strings.TrimPrefix(s, single(a)) },
	"removesuffix": func(_ *rendering, s string, a args) any { return strings.TrimSuffix(s, single(a)) },
	"count":        func(_ *rendering, s string, a args) any { return strings.Count(s, single(a)) },
	"find":         find(strings.Index), "rfind": find(strings.LastIndex),
	"index": found(find(strings.Index)), "rindex": found(find(strings.LastIndex)),
	"join": func(r *rendering, s string, a args) any {
		all := r.elements(a.bind("join", "iterable")[0])
		for _, v := range all {
			if _, ok := v.(string); !ok {
				fail("join of a %s", kindOf(v))
			}
		}
		return r.joined(s, all)
	},
	"replace": func(r *rendering, s string, a args) any {
		b := a.bind("replace", "old", "new", "count")
		return r.replaced(s, textArgument(b[0], "what to replace", ""), textArgument(b[1], "the replacement", ""), whole(given(b[2], -1), "replace's count"))
	},
	"split": func(r *rendering, s string, a args) any { return r.split(s, a, false) }, "rsplit": func(r *rendering, s string, a args) any { return r.split(s, a, true) },
	"splitlines": func(r *rendering, s string, a args) any {
		return r.texts(splitLines(s, truth(given(a.bind("splitlines", "keepends")[0], false))), isList)
	},
	"partition": func(r *rendering, s string, a args) any {
		if before, after, ok := strings.Cut(s, separator(single(a))); ok {
			return r.texts([]string{before, single(a), after}, isTuple)
		}
		return r.texts([]string{s, "", ""}, isTuple)
	},
	"rpartition": func(r *rendering, s string, a args) any {
		if at := strings.LastIndex(s, separator(single(a))); at >= 0 {
			return r.texts([]string{s[:at], single(a), s[at+len(single(a)):]}, isTuple)
		}
		return r.texts([]string{"", "", s}, isTuple)
	},
}

func plain(f func(string) string) func(*rendering, string, args) any {
	return func(r *rendering, s string, a args) any {
		a.bind("the method")
		r.touch(2 * len(s))
		return f(s)
	}
}

func all(is func(rune) bool) func(*rendering, string, args) any {
	return func(_ *rendering, s string, _ args) any {
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !is(c) }) < 0
	}
}

// single is the one argument of a method, a text.
func single(a args) string { return textArgument(a.bind("the method", "text")[0], "the argument", "") }

func separator(s string) string {
	if s == "" {
		fail("an empty separator")
	}
	return s
}

func strip(left, right bool) func(*rendering, string, args) any {
	return func(r *rendering, s string, a args) any {
		return r.stripped(s, given(a.bind("strip", "chars")[0], nil), left, right)
	}
}

// stripped is a text without white space, or some characters, at its ends.
func (r *rendering) stripped(s string, characters any, left, right bool) string {
	cut := isSpace
	if characters != nil {
		set := textArgument(characters, "the characters to strip", "")
		r.touch(product(len(s), len(set)))
		cut = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s
}

// affix tests for a text, or one of a tuple of them.
func affix(has func(s, affix string) bool) func(*rendering, string, args) any {
	return func(r *rendering, s string, a args) any {
		v := a.bind("the method", "text")[0]
		if l, ok := v.(*List); ok && l.kind == isTuple {
			for _, v := range r.elements(l) {
				if has(s, textArgument(v, "the text", "")) {
					return true
				}
			}
			return false
		}
		return has(s, textArgument(v, "the text", ""))
	}
}

// find tells where a text begins in another, in characters, or -1.
func find(at func(s, part string) int) func(*rendering, string, args) any {
	return func(_ *rendering, s string, a args) any {
		if n := at(s, single(a)); n > 0 {
			return utf8.RuneCountInString(s[:n])
		} else {
			return n
		}
	}
}

func found(find func(*rendering, string, args) any) func(*rendering, string, args) any {
	return func(r *rendering, s string, a args) any {
		n := find(r, s, a)
		if n == -1 {
			fail("the text has no such part")
		}
		return n
	}
}

// split cuts at a separator, or at white space, so many times, from the left or from the right.
func (r *rendering) split(s string, a args, fromRight bool) any {
	b := a.bind("split", "sep", "maxsplit")
	times := whole(given(b[1], -1), "split's maxsplit")
	sep := given(b[0], nil)
	if times < 0 {
		times = len(s) + 1
	}
	var parts []string
	if sep != nil {
		by := separator(textArgument(sep, "split's separator", ""))
		for ; times > 0; times-- {
			r.spend(1)
			var at int
			if fromRight {
				at = strings.LastIndex(s, by)
			} else {
				at = strings.Index(s, by)
			}
			if at < 0 {
				break
			}
			if fromRight {
				parts, s = append(parts, s[at+len(by):]), s[:at]
			} else {
				parts, s = append(parts, s[:at]), s[at+len(by):]
			}
		}
		parts = append(parts, s)
	} else {
		parts = fields(s, times, fromRight)
	}
	if fromRight {
		slices.Reverse(parts)
	}
	return r.texts(parts, isList)
}

// fields cuts at white space, so many times.
func fields(s string, times int, fromRight bool) []string {
	notSpace := func(c rune) bool { return !isSpace(c) }
	var parts []string
	if fromRight {
		for s = strings.TrimRightFunc(s, isSpace); s != ""; s = strings.TrimRightFunc(s, isSpace) {
			at := len(strings.TrimRightFunc(s, notSpace))
			if times--; times < 0 {
				at = 0
			}
			parts, s = append(parts, s[at:]), s[:at]
		}
		return parts
	}
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
		at := strings.IndexFunc(s, isSpace)
		if times--; times < 0 || at < 0 {
			at = len(s)
		}
		parts, s = append(parts, s[:at]), s[at:]
	}
	return parts
}

// texts makes a list of strings.
func (r *rendering) texts(parts []string, k listKind) *List {
	r.spend(1 + len(parts))
	items := make([]any, len(parts))
	for i, p := range parts {
		items[i] = p
	}
	return &List{items, k}
}

// splitLines is Python's str.splitlines.
func splitLines(s string, keepEnds bool) []string {
	var lines []string
	for s != "" {
		n := strings.IndexFunc(s, func(c rune) bool { return strings.ContainsRune("\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029", c) })
		if n < 0 {
			return append(lines, s)
		}
		_, size := utf8.DecodeRuneInString(s[n:])
		if strings.HasPrefix(s[n:], "\r\n") {
			size = 2
		}
		if keepEnds {
			lines = append(lines, s[:n+size])
		} else {
			lines = append(lines, s[:n])
		}
		s = s[n+size:]
	}
	return lines
}

func lower(s string) string { return cased(s, strings.ToLower, cases.Lower) }
func upper(s string) string { return cased(s, strings.ToUpper, cases.Upper) }

// cased is a text in other letters: as Unicode has them, where the text is not ASCII.
func cased(s string, ascii func(string) string, full func(language.Tag, ...cases.Option) cases.Caser) string {
	if strings.IndexFunc(s, func(c rune) bool { return c >= 0x80 }) < 0 {
		return ascii(s)
	}
	c := full(language.Und)
	return c.String(s)
}

func fold(_ language.Tag, o ...cases.Option) cases.Caser { return cases.Fold(o...) }

// capitalized has one large letter, the first.
func capitalized(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.Map(unicode.ToTitle, s[:n]) + lower(s[n:])
}

// pythonTitle is str.title: letters behind anything but a letter are large.
func pythonTitle(s string) string {
	inside := false
	return strings.Map(func(c rune) rune {
		was := inside
		inside = unicode.IsLetter(c)
		if was {
			return unicode.ToLower(c)
		}
		return unicode.ToTitle(c)
	}, s)
}

func isLower(s string) bool { return hasCase(s, unicode.IsLower, unicode.IsUpper) }
func isUpper(s string) bool { return hasCase(s, unicode.IsUpper, unicode.IsLower) }

// hasCase: there is one such letter, and none of the others.
func hasCase(s string, want, other func(rune) bool) bool {
	return strings.IndexFunc(s, want) >= 0 && strings.IndexFunc(s, func(c rune) bool { return other(c) || unicode.IsTitle(c) }) < 0
}
