package jinja

import (
	"slices"
	"strings"
)

func (r *rendering) eval(e expression) any {
	r.spend(1)
	r.enter()
	v := e.eval(r)
	r.leave()
	return v
}

func (c constant) eval(*rendering) any { return c.value }

func (v variable) eval(r *rendering) any {
	for s := r.scope; s != nil; s = s.parent {
		for i, n := range s.names {
			if n == v.name {
				return s.values[i]
			}
		}
	}
	return undefined{v.name}
}

func (s *sequence) eval(r *rendering) any {
	items := make([]any, len(s.items))
	for i, e := range s.items {
		items[i] = r.eval(e)
	}
	if s.tuple {
		return &List{items, isTuple}
	}
	return &List{items, isList}
}

func (d *dictionary) eval(r *rendering) any {
	made := &Dict{}
	for i := range d.keys {
		made.set(defined(r.eval(d.keys[i])), r.eval(d.values[i]))
	}
	return made
}

// eval of an attribute looks for a method first, as Python does.
func (a *attribute) eval(r *rendering) any {
	of := r.eval(a.of)
	if v, ok := r.attribute(of, a.name); ok {
		return v
	}
	if d, ok := of.(*Dict); ok {
		if v, ok := d.get(a.name); ok {
			return v
		}
	}
	return undefined{kindOf(defined(of)) + "." + a.name}
}

func (i *item) eval(r *rendering) any {
	of, key := r.eval(i.of), r.eval(i.key)
	switch of := defined(of).(type) {
	case *Dict:
		if _, isList := defined(key).(*List); isList { // no key, and no error either
			break
		}
		if v, ok := of.get(key); ok {
			return v
		}
	case *List:
		if n, _, isInt, ok := number(key); ok && isInt && of.kind != isGenerator {
			if n, ok := index(n, len(of.items)); ok {
				return of.items[n]
			}
		}
	case string:
		if n, _, isInt, ok := number(key); ok && isInt {
			runes := r.runes(of)
			if n, ok := index(n, len(runes)); ok {
				return string(runes[n])
			}
		}
	}
	if name, ok := key.(string); ok {
		if v, ok := r.attribute(of, name); ok {
			return v
		}
		return undefined{kindOf(of) + "." + name}
	}
	return undefined{"an item of a " + kindOf(of)}
}

func (r *rendering) runes(s string) []rune {
	r.touch(4 * len(s))
	return []rune(s)
}

func (s *slice) eval(r *rendering) any {
	switch of := defined(r.eval(s.of)).(type) {
	case string:
		length := r.length(of)
		start, stop, step := r.bounds(s, length)
		if step == 1 && length == len(of) { // ASCII
			return of[start:max(start, stop)]
		}
		runes := r.runes(of)
		var b strings.Builder
		for _, i := range places(start, stop, step) {
			b.WriteRune(runes[i])
		}
		return b.String()
	case *List:
		if of.kind == isGenerator {
			fail("a generator has no slices; the filter list makes a list")
		}
		start, stop, step := r.bounds(s, len(of.items))
		var items []any
		if step == 1 {
			items = slices.Clone(of.items[start:max(start, stop)])
		} else {
			for _, i := range places(start, stop, step) {
				items = append(items, of.items[i])
			}
		}
		return r.list(items, of.kind)
	default:
		fail("a %s has no slices", kindOf(of))
		return nil
	}
}

// places are the indices of a slice.
func places(start, stop, step int) []int {
	var list []int
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		list = append(list, i)
	}
	return list
}

// args are the values of arguments.
type args struct {
	positional []any
	names      []string
	named      []any
}

func (r *rendering) arguments(a arguments) args {
	made := args{names: a.names}
	if len(a.positional) > 0 {
		made.positional = make([]any, len(a.positional))
		for i, e := range a.positional {
			made.positional[i] = r.eval(e)
		}
	}
	for _, e := range a.named {
		made.named = append(made.named, r.eval(e))
	}
	return made
}

// absent is an argument that is not given.
var absent any = new(struct{ _ byte })

// bind gives arguments to parameters.
func (a args) bind(function string, parameters ...string) []any {
	if len(a.positional) > len(parameters) {
		fail("%s takes %d arguments, not %d", function, len(parameters), len(a.positional))
	}
	values := make([]any, len(parameters))
	for i := range values {
		if values[i] = absent; i < len(a.positional) {
			values[i] = a.positional[i]
		}
	}
	for i, n := range a.names {
		at := slices.Index(parameters, n)
		if at < 0 || values[at] != absent {
			fail("%s takes no argument %s, or has it already", function, n)
		}
		values[at] = a.named[i]
	}
	return values
}

// given is an argument, or a default.
func given(v, otherwise any) any {
	if v == absent {
		return otherwise
	}
	return v
}

func (c *call) eval(r *rendering) any {
	v := defined(r.eval(c.function))
	f, ok := v.(*function)
	if !ok {
		fail("a %s cannot be called", kindOf(v))
	}
	return f.call(r, r.arguments(c.args))
}

func (f *filtered) eval(r *rendering) any {
	return f.filter(r, r.eval(f.of), r.arguments(f.args))
}

func (t *tested) eval(r *rendering) any {
	of := r.eval(t.of)
	a := r.arguments(t.args)
	if len(a.named) > 0 {
		fail("tests take no arguments with names")
	}
	return t.test(r, of, a.positional)
}

func (n *negation) eval(r *rendering) any { return !truth(r.eval(n.of)) }

func (l *logical) eval(r *rendering) any {
	v := r.eval(l.first)
	for _, e := range l.rest {
		if truth(v) == l.or {
			break
		}
		v = r.eval(e)
	}
	return v
}

func (c *comparison) eval(r *rendering) any {
	left := r.eval(c.first)
	for _, o := range c.rest {
		right := r.eval(o.value)
		if !r.compare(o.operator, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (r *rendering) compare(operator string, a, b any) bool {
	switch operator {
	case "==":
		return r.equal(a, b)
	case "!=":
		return !r.equal(a, b)
	case "<":
		return r.less(a, b)
	case ">":
		return r.less(b, a)
	case "<=":
		return r.less(a, b) || r.equal(a, b)
	case ">=":
		return r.less(b, a) || r.equal(a, b)
	case "in":
		return r.contains(b, a)
	}
	return !r.contains(b, a)
}

func (c *concatenation) eval(r *rendering) any {
	var b strings.Builder
	for _, e := range c.parts {
		s := r.str(r.eval(e))
		r.touch(len(s))
		b.WriteString(s)
	}
	return b.String()
}

func (c *conditional) eval(r *rendering) any {
	switch {
	case truth(r.eval(c.condition)):
		return r.eval(c.then)
	case c.otherwise != nil:
		return r.eval(c.otherwise)
	}
	return undefined{"a conditional expression without else"}
}
