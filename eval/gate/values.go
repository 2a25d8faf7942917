package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/types"
)

// Values are what a run measured, by name: float64, bool, or Values of longer names.
type Values map[string]any

// set puts a value under a name of several parts.
func (v Values) set(value any, name ...string) {
	for _, part := range name[:len(name)-1] {
		next, ok := v[part].(Values)
		if !ok {
			next = Values{}
			v[part] = next
		}
		v = next
	}
	v[name[len(name)-1]] = value
}

// find looks a dotted name up; what is missing is told with what there is instead.
func (v Values) find(name string) (any, error) {
	at, path := v, ""
	for rest := name; ; {
		// A part may itself have a dot in it ("pos.x"): the longest that is there counts.
		part, value := at.longest(rest)
		if value == nil {
			first, _, _ := strings.Cut(rest, ".")
			where := "this run"
			if path != "" {
				where = path
			}
			return nil, fmt.Errorf("%s: %s has no %q; it has %s", name, where, first, strings.Join(at.names(), ", "))
		}
		path = strings.TrimPrefix(path+"."+part, ".")
		next, isMap := value.(Values)
		if len(part) == len(rest) {
			if isMap {
				return nil, fmt.Errorf("%s is not a number; go on with one of %s", name, strings.Join(next.names(), ", "))
			}
			return value, nil
		}
		if !isMap {
			return nil, fmt.Errorf("%s: %s is a value and has nothing below it", name, path)
		}
		at, rest = next, rest[len(part)+1:]
	}
}

func (v Values) longest(name string) (part string, value any) {
	for end := len(name); end > 0; end = strings.LastIndexByte(name[:end], '.') {
		if x, ok := v[name[:end]]; ok {
			return name[:end], x
		}
	}
	return "", nil
}

func (v Values) names() []string { return slices.Sorted(maps.Keys(v)) }

// List gives every name with its value, in order.
func (v Values) List() []Used {
	var out []Used
	for _, k := range v.names() {
		if inner, ok := v[k].(Values); ok {
			for _, u := range inner.List() {
				out = append(out, Used{join(k, u.Name), u.Value})
			}
			continue
		}
		out = append(out, Used{join(k, ""), v[k]})
	}
	return out
}

// join writes a name as a requirement has it.
func join(part, rest string) string {
	if !plain(part) {
		part = fmt.Sprintf("[%q]", part)
	}
	switch {
	case rest == "":
		return part
	case strings.HasPrefix(rest, "["):
		return part + rest
	}
	return part + "." + rest
}

func plain(s string) bool {
	for i, r := range s {
		if !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return s != ""
}

// types is what the compiler checks names against.
func (v Values) types() types.Map {
	out := types.Map{}
	for k, x := range v {
		switch x := x.(type) {
		case Values:
			out[k] = x.types()
		case bool:
			out[k] = types.Bool
		default:
			out[k] = types.TypeOf(float64(0))
		}
	}
	return out
}
