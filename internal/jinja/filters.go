package jinja

import (
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// filter is what a value goes through.
type filter func(r *rendering, in any, a args) any

// filters are those of Jinja that chat templates use. Some need others, so init fills the table.
var filters map[string]filter

func init() {
	filters = map[string]filter{
		"abs": absolute, "attr": attr, "capitalize": capitalize, "count": lengthOf, "d": defaultValue, "default": defaultValue, "dictsort": dictSort,
		"e": escape, "escape": escape, "first": first, "float": toFloat, "forceescape": escape, "indent": indent, "int": toInt, "items": items, "join": join,
		"last": last, "length": lengthOf, "list": toList, "lower": textFilter(lower), "map": mapped, "max": extreme(false), "min": extreme(true),
		"reject": selected(false, false), "rejectattr": selected(false, true), "replace": replace, "reverse": reverse, "round": round, "safe": textFilter(same),
		"select": selected(true, false), "selectattr": selected(true, true), "sort": sorted, "string": textFilter(same), "sum": sum, "title": title,
		"tojson": toJSON, "trim": trim, "unique": unique, "upper": textFilter(upper),
	}
}

func same(s string) string { return s }

// textFilter is a filter without arguments that makes a text of a text of about the same length.
func textFilter(f func(string) string) filter {
	return func(r *rendering, in any, a args) any {
		a.bind("the filter")
		s := r.str(in)
		r.touch(len(s))
		return f(s)
	}
}

func absolute(_ *rendering, in any, _ args) any {
	i, f, isInt, ok := number(defined(in))
	if !ok {
		fail("abs of a %s", kindOf(in))
	}
	if isInt {
		return max(i, -i)
	}
	return math.Abs(f)
}

func attr(r *rendering, in any, a args) any {
	name := textArgument(a.bind("attr", "name")[0], "attr's name", "")
	if v, ok := r.attribute(in, name); ok {
		return v
	}
	return undefined{name}
}

func textArgument(v any, what, otherwise string) string {
	s, ok := defined(given(v, otherwise)).(string)
	if !ok {
		fail("%s must be a str, not %s", what, kindOf(v))
	}
	return s
}

func capitalize(r *rendering, in any, _ args) any {
	s := r.str(in)
	r.touch(2 * len(s))
	return capitalized(s)
}

func defaultValue(_ *rendering, in any, a args) any {
	b := a.bind("default", "default_value", "boolean")
	if _, missing := in.(undefined); missing || truth(given(b[1], false)) && !truth(in) {
		return given(b[0], "")
	}
	return in
}

func lengthOf(r *rendering, in any, _ args) any { return r.length(in) }

func escape(r *rendering, in any, _ args) any {
	s := html.EscapeString(r.str(in))
	r.touch(len(s))
	return s
}

func first(r *rendering, in any, _ args) any {
	if l, ok := in.(*List); ok && len(l.items) > 0 {
		v := l.items[0]
		if l.kind == isGenerator {
			l.items = l.items[1:]
		}
		return v
	}
	if all := r.elements(in); len(all) > 0 {
		return all[0]
	}
	return undefined{"the first of nothing"}
}

func last(r *rendering, in any, _ args) any {
	if l, ok := in.(*List); ok && l.kind == isGenerator {
		fail("last of a generator; the filter list makes a list")
	}
	if all := r.elements(in); len(all) > 0 {
		return all[len(all)-1]
	}
	return undefined{"the last of nothing"}
}

func toFloat(r *rendering, in any, a args) any {
	b := a.bind("float", "default")
	if _, f, _, ok := number(in); ok {
		return f
	}
	if s, ok := in.(string); ok {
		r.touch(len(s))
		if f, err := strconv.ParseFloat(strings.TrimFunc(s, isSpace), 64); err == nil {
			return f
		}
	}
	return given(b[0], 0.0)
}

func toInt(r *rendering, in any, a args) any {
	b := a.bind("int", "default", "base")
	if base := given(b[1], 10); base != 10 {
		fail("int with another base than 10 is not supported")
	}
	if i, f, isInt, ok := number(in); isInt {
		return i
	} else if ok {
		return truncated(f, b[0])
	}
	if s, ok := in.(string); ok {
		r.touch(len(s))
		s = strings.TrimFunc(s, isSpace)
		if i, err := strconv.Atoi(s); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return truncated(f, b[0])
		}
	}
	return given(b[0], 0)
}

func truncated(f float64, otherwise any) any {
	if math.Abs(f) >= 1<<63 || math.IsNaN(f) {
		return given(otherwise, 0)
	}
	return int(f)
}

func indent(r *rendering, in any, a args) any {
	b := a.bind("indent", "width", "first", "blank")
	by, ok := given(b[0], 4).(string)
	if !ok {
		by = r.repeated(" ", whole(given(b[0], 4), "indent's width"))
	}
	text, ok := defined(in).(string)
	if !ok {
		fail("indent of a %s", kindOf(in))
	}
	lines := splitLines(text+"\n", false)
	r.touch(product(len(lines), len(by)))
	var out strings.Builder
	for i, line := range lines {
		if i > 0 {
			out.WriteByte('\n')
		}
		if i == 0 && truth(given(b[1], false)) || i > 0 && (line != "" || truth(given(b[2], false))) {
			out.WriteString(by)
		}
		out.WriteString(line)
	}
	r.touch(out.Len())
	return out.String()
}

func items(r *rendering, in any, _ args) any {
	switch d := in.(type) {
	case undefined:
		return &List{kind: isGenerator}
	case *Dict:
		l := r.pairs(d)
		l.kind = isGenerator
		return l
	}
	fail("items of a %s", kindOf(in))
	return nil
}

// pairs is a dict as tuples of key and value.
func (r *rendering) pairs(d *Dict) *List {
	r.spend(1 + len(d.keys))
	pairs := make([]any, len(d.keys))
	for i, k := range d.keys {
		pairs[i] = &List{[]any{k, d.values[i]}, isTuple}
	}
	return &List{items: pairs}
}

func join(r *rendering, in any, a args) any {
	b := a.bind("join", "d", "attribute")
	return r.joined(r.str(given(b[0], "")), r.path(r.elements(in), b[1]))
}

func (r *rendering) joined(between string, all []any) string {
	var out strings.Builder
	for i, v := range all {
		s := r.str(v)
		r.touch(len(between) + len(s))
		if i > 0 {
			out.WriteString(between)
		}
		out.WriteString(s)
	}
	return out.String()
}

// path is an attribute of every element, such as function.name or 0, or the elements themselves.
func (r *rendering) path(all []any, attribute any) []any {
	if attribute == absent || attribute == nil {
		return all
	}
	made := make([]any, len(all))
	for i, v := range all {
		made[i] = r.reach(v, attribute)
	}
	return made
}

func (r *rendering) reach(v, attribute any) any {
	path := r.str(attribute)
	r.touch(len(path))
	for part := range strings.SplitSeq(path, ".") {
		r.spend(1)
		var key any = part
		if n, err := strconv.Atoi(part); err == nil {
			key = n
		}
		v = (&item{constant{v}, constant{key}}).eval(r)
	}
	return v
}

func toList(r *rendering, in any, _ args) any {
	return r.list(slices.Clone(r.elements(in)), isList)
}

// mapped applies a filter, or takes an attribute.
func mapped(r *rendering, in any, a args) any {
	all := r.elementsOf(in)
	made := make([]any, len(all))
	if at := slices.Index(a.names, "attribute"); at >= 0 && len(a.positional) == 0 {
		b := a.bind("map", "attribute", "default")
		for i, v := range all {
			made[i] = r.reach(v, b[0])
			if _, missing := made[i].(undefined); missing {
				made[i] = given(b[1], made[i])
			}
		}
		return r.list(made, isGenerator)
	}
	if len(a.positional) == 0 {
		fail("map wants a filter or an attribute")
	}
	name := textArgument(a.positional[0], "map's filter", "")
	f, ok := filters[name]
	if !ok {
		fail("there is no filter %q", name)
	}
	a.positional = a.positional[1:]
	for i, v := range all {
		made[i] = r.nested(func() any { return f(r, v, a) })
	}
	return r.list(made, isGenerator)
}

// elementsOf is elements, of what is false too: it has none.
func (r *rendering) elementsOf(v any) []any {
	if !truth(v) {
		return nil
	}
	return r.elements(v)
}

// nested counts a filter or a test in another one.
func (r *rendering) nested(f func() any) any {
	r.spend(1)
	r.enter()
	v := f()
	r.leave()
	return v
}

// selected keeps the elements for which a test holds, or does not; of themselves or of an attribute.
func selected(keep, ofAttribute bool) filter {
	return func(r *rendering, in any, a args) any {
		all, rest := r.elementsOf(in), a.positional
		subject := func(v any) any { return v }
		if ofAttribute {
			if len(rest) == 0 {
				fail("want an attribute")
			}
			path := rest[0]
			subject, rest = func(v any) any { return r.reach(v, path) }, rest[1:]
		}
		holds := func(v any) bool { return truth(v) }
		if len(rest) > 0 {
			name := textArgument(rest[0], "a test's name", "")
			t, ok := tests[name]
			if !ok {
				fail("there is no test %q", name)
			}
			holds = func(v any) bool { return t(r, v, rest[1:]) }
		}
		var kept []any
		for _, v := range all {
			if r.nested(func() any { return holds(subject(v)) }) == keep {
				kept = append(kept, v)
			}
		}
		return r.list(kept, isGenerator)
	}
}

func replace(r *rendering, in any, a args) any {
	b := a.bind("replace", "old", "new", "count")
	if b[1] == absent {
		fail("replace wants what to replace, and by what")
	}
	n := given(b[2], nil)
	if n == nil {
		n = -1
	}
	return r.replaced(r.str(in), r.str(b[0]), r.str(b[1]), whole(n, "replace's count"))
}

func (r *rendering) replaced(s, old, new string, n int) string {
	r.touch(len(s))
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	r.touch(product(count, len(new)))
	return strings.Replace(s, old, new, n)
}

func reverse(r *rendering, in any, _ args) any {
	if s, ok := in.(string); ok {
		runes := r.runes(s)
		slices.Reverse(runes)
		return string(runes)
	}
	all := slices.Clone(r.elements(in))
	slices.Reverse(all)
	return r.list(all, isGenerator)
}

func round(_ *rendering, in any, a args) any {
	b := a.bind("round", "precision", "method")
	digits := whole(given(b[0], 0), "round's precision")
	i, f, isInt, ok := number(defined(in))
	if !ok || digits < 0 || digits > 15 {
		fail("round wants a number and up to 15 digits")
	}
	power := math.Pow(10, float64(digits))
	switch given(b[1], "common") {
	case "common":
		if isInt {
			return i
		}
		rounded, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
		return rounded
	case "ceil":
		return math.Ceil(f*power) / power
	case "floor":
		return math.Floor(f*power) / power
	}
	fail("round's method is common, ceil or floor")
	return nil
}

func sum(r *rendering, in any, a args) any {
	b := a.bind("sum", "attribute", "start")
	total := given(b[1], 0)
	for _, v := range r.path(r.elements(in), b[0]) {
		total = r.compute("+", defined(total), defined(v))
	}
	return total
}

// title makes the first letter of each word large, where words begin at white space and brackets.
func title(r *rendering, in any, _ args) any {
	s := r.str(in)
	r.touch(2 * len(s))
	var b strings.Builder
	for s != "" {
		n := strings.IndexFunc(s, func(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) })
		if n < 0 {
			n = len(s)
		}
		rest := strings.TrimLeftFunc(s[n:], func(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) })
		b.WriteString(capitalized(s[:n]))
		b.WriteString(s[n : len(s)-len(rest)])
		s = rest
	}
	return b.String()
}

func toJSON(r *rendering, in any, a args) any {
	b := a.bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys")
	style := jsonStyle{ascii: truth(given(b[0], false)), sorted: truth(given(b[3], false)), comma: ", ", colon: ": "}
	switch by := given(b[1], nil).(type) {
	case nil:
	case string:
		style.pretty, style.indent, style.comma = true, by, ","
	default:
		style.pretty, style.indent, style.comma = true, r.repeated(" ", whole(by, "tojson's indent")), ","
	}
	if pair, ok := given(b[2], nil).(*List); ok && len(pair.items) == 2 {
		style.comma, style.colon = r.str(pair.items[0]), r.str(pair.items[1])
	}
	var out strings.Builder
	r.json(&out, defined(in), style, 0)
	return out.String()
}

func trim(r *rendering, in any, a args) any {
	s := r.str(in)
	r.touch(len(s))
	return r.stripped(s, given(a.bind("trim", "chars")[0], nil), true, true)
}
