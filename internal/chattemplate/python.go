package chattemplate

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// What templates of models rely on and gonja does otherwise than Python.

// list is a list whose last element is [-1] also when it is the only one.
type list []any

// GetItem is indexing; ok is false outside the list.
func (l list) GetItem(key any) (item *exec.Value, ok bool) {
	i, isNumber := key.(int)
	if i < 0 {
		i += len(l)
	}
	if !isNumber || i < 0 || i >= len(l) {
		return exec.AsValue(nil), false
	}
	return exec.AsValue(l[i]), true
}

// filters are gonja's, with Python's tojson.
var filters = exec.NewFilterSet(map[string]exec.FilterFunction{}).Update(builtins.Filters).Update(exec.NewFilterSet(map[string]exec.FilterFunction{"tojson": toJSON}))

// methods are gonja's, with Python's str.split.
var methods = func() exec.Methods {
	m := builtins.Methods
	text := map[string]exec.Method[string]{"split": split}
	for _, name := range []string{"capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "islower",
		"isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rjust", "rpartition", "rsplit",
		"rstrip", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill"} {
		if method, ok := builtins.Methods.Str.Get(name); ok {
			text[name] = method
		}
	}
	m.Str = exec.NewMethodSet(text)
	return m
}()

// split cuts at a separator, at most so many times; without one, at runs of white space.
func split(text string, _ *exec.Value, arguments *exec.VarArgs) (any, error) {
	var separator string
	var times int
	if err := arguments.Take(
		exec.PositionalArgument("sep", exec.AsValue(""), exec.StringArgument(&separator)),
		exec.PositionalArgument("maxsplit", exec.AsValue(-1), exec.IntArgument(&times)),
	); err != nil {
		return nil, exec.ErrInvalidCall(err)
	}
	var parts []string
	switch {
	case separator != "" && times < 0:
		parts = strings.Split(text, separator)
	case separator != "":
		parts = strings.SplitN(text, separator, times+1)
	case times < 0:
		parts = strings.Fields(text)
	default:
		return nil, errors.New("split at white space with a limit is not supported")
	}
	l := make(list, len(parts))
	for i, p := range parts {
		l[i] = p
	}
	return l, nil
}

// toJSON is the filter as transformers defines it: json.dumps without escaping other than
// JSON's, in the order of the keys. Go's maps have none; theirs is the alphabet's.
func toJSON(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	indent := 0
	var ascii, sorted bool
	if err := params.Take(
		exec.KeywordArgument("indent", exec.AsValue(0), exec.IntArgument(&indent)),
		exec.KeywordArgument("ensure_ascii", exec.AsValue(false), exec.BoolArgument(&ascii)),
		exec.KeywordArgument("sort_keys", exec.AsValue(false), exec.BoolArgument(&sorted)),
	); err != nil {
		return exec.AsValue(exec.ErrInvalidCall(err))
	}
	if ascii || sorted {
		return exec.AsValue(errors.New("tojson with ensure_ascii or sort_keys is not supported"))
	}
	w := jsonWriter{indent: indent}
	if err := w.write(in, 1); err != nil {
		return exec.AsValue(err)
	}
	return exec.AsSafeValue(w.String())
}

type jsonWriter struct {
	strings.Builder
	indent int // 0: all on one line
}

func (w *jsonWriter) write(v *exec.Value, depth int) error {
	switch {
	case v.IsError():
		return v
	case v.IsNil():
		w.WriteString("null")
	case v.IsBool():
		w.WriteString(strconv.FormatBool(v.Bool()))
	case v.IsInteger():
		w.WriteString(strconv.Itoa(v.Integer()))
	case v.IsFloat():
		text := strconv.FormatFloat(v.Float(), 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		w.WriteString(text)
	case v.IsString():
		return w.string(v.String())
	case v.IsDict():
		keys, values := entries(v)
		return w.sequence("{", "}", len(keys), depth, func(i int) error {
			if err := w.string(keys[i]); err != nil {
				return err
			}
			w.WriteString(": ")
			return w.write(values[i], depth+1)
		})
	case v.IsList():
		var items []*exec.Value
		v.Iterate(func(_, _ int, item, _ *exec.Value) bool { items = append(items, item); return true }, func() {})
		return w.sequence("[", "]", len(items), depth, func(i int) error { return w.write(items[i], depth+1) })
	default:
		return errors.New("tojson of a value that JSON does not have")
	}
	return nil
}

// entries are a dict's keys and values.
func entries(v *exec.Value) (keys []string, values []*exec.Value) {
	switch d := v.Interface().(type) {
	case *exec.Dict:
		for _, p := range d.Pairs {
			keys, values = append(keys, p.Key.String()), append(values, p.Value)
		}
		return keys, values
	case exec.Dict:
		for _, p := range d.Pairs {
			keys, values = append(keys, p.Key.String()), append(values, p.Value)
		}
		return keys, values
	}
	all := map[string]*exec.Value{}
	for it := reflect.ValueOf(v.Interface()).MapRange(); it.Next(); {
		all[exec.AsValue(it.Key().Interface()).String()] = exec.AsValue(it.Value().Interface())
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		keys, values = append(keys, k), append(values, all[k])
	}
	return keys, values
}

// sequence writes n items between brackets.
func (w *jsonWriter) sequence(open, closing string, n, depth int, item func(int) error) error {
	w.WriteString(open)
	line := func(depth int) {
		if w.indent > 0 && n > 0 {
			w.WriteString("\n" + strings.Repeat(" ", w.indent*depth))
		}
	}
	for i := range n {
		if i > 0 {
			w.WriteString(",")
			if w.indent == 0 {
				w.WriteString(" ")
			}
		}
		line(depth)
		if err := item(i); err != nil {
			return err
		}
	}
	line(depth - 1)
	w.WriteString(closing)
	return nil
}

func (w *jsonWriter) string(s string) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return err
	}
	text := strings.TrimSuffix(b.String(), "\n")
	// Go escapes these two, Python does not.
	w.WriteString(strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(text))
	return nil
}
