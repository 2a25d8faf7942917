package jinja

import (
	"strings"
	"unicode/utf8"
)

// A value is nil (None), a bool, an int, a float64, a string, a [*List], a [*Dict], or one of
// this package's: undefined, a namespace, a function, a loop.

// undefined is what a variable, an attribute or an item that is not there gives.
type undefined struct{ name string }

// List is a list, a tuple or a generator.
type List struct {
	items []any
	kind  listKind
}

type listKind uint8

const (
	isList listKind = iota
	isTuple
	isGenerator // can be gone through once
)

// NewList makes a list of values.
func NewList(items ...any) *List { return &List{items: items} }

// Dict is a dict with keys in the order of their making.
type Dict struct {
	keys, values []any
	index        map[any]int // of the keys, where there are many
}

// NewDict makes a dict of names and values in turns.
func NewDict(pairs ...any) *Dict {
	d := &Dict{keys: make([]any, 0, len(pairs)/2), values: make([]any, 0, len(pairs)/2)}
	for i := 0; i+1 < len(pairs); i += 2 {
		d.set(pairs[i], pairs[i+1])
	}
	return d
}

// hashed is what two equal keys have in common.
func hashed(key any) any {
	switch k := key.(type) {
	case bool:
		if k {
			return 1
		}
		return 0
	case float64:
		if i := int(k); float64(i) == k {
			return i
		}
		return k
	case nil, int, string:
		return k
	}
	fail("%s cannot be a key", kindOf(key))
	return nil
}

const fewKeys = 8

func (d *Dict) find(key any) int {
	h := hashed(key)
	if d.index != nil {
		if i, ok := d.index[h]; ok {
			return i
		}
		return -1
	}
	for i, k := range d.keys {
		if hashed(k) == h {
			return i
		}
	}
	return -1
}

func (d *Dict) get(key any) (any, bool) {
	if i := d.find(key); i >= 0 {
		return d.values[i], true
	}
	return nil, false
}

func (d *Dict) set(key, value any) {
	if i := d.find(key); i >= 0 {
		d.values[i] = value
		return
	}
	d.keys, d.values = append(d.keys, key), append(d.values, value)
	switch {
	case d.index != nil:
		d.index[hashed(key)] = len(d.keys) - 1
	case len(d.keys) > fewKeys:
		d.index = make(map[any]int, 2*len(d.keys))
		for i, k := range d.keys {
			d.index[hashed(k)] = i
		}
	}
}

// namespace is the only value that can be changed.
type namespace struct{ *Dict }

// function is a function, a method of a value, or a macro.
type function struct {
	name string
	call func(*rendering, args) any
}

// kindOf is Python's name of a value's type.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case undefined:
		return "undefined"
	case bool:
		return "bool"
	case int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *Dict:
		return "dict"
	case *List:
		return [...]string{"list", "tuple", "generator"}[v.kind]
	case *namespace:
		return "namespace"
	case *function:
		return "function"
	}
	return "loop"
}

// defined refuses what is undefined, as Python does where it is used.
func defined(v any) any {
	if u, ok := v.(undefined); ok {
		fail("%s is undefined", u.name)
	}
	return v
}

func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *Dict:
		return len(v.keys) > 0
	case *List:
		return v.kind == isGenerator || len(v.items) > 0
	}
	return true
}

// elements are what a loop goes through. A generator is empty afterwards.
func (r *rendering) elements(v any) []any {
	switch v := v.(type) {
	case undefined:
		return nil
	case *List:
		r.spend(1 + len(v.items)/4)
		items := v.items
		if v.kind == isGenerator {
			v.items = nil
		}
		return items
	case *Dict:
		r.spend(1 + len(v.keys)/4)
		return v.keys
	case string:
		r.spend(1 + len(v))
		items := make([]any, 0, len(v))
		for _, c := range v {
			items = append(items, string(c))
		}
		return items
	}
	fail("%s is not iterable", kindOf(v))
	return nil
}

// list makes a list, and pays for it.
func (r *rendering) list(items []any, k listKind) *List {
	r.spend(1 + len(items)/4)
	return &List{items, k}
}

// number is a value as Python computes with it: True is 1.
func number(v any) (i int, f float64, isInt, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case int:
		return v, float64(v), true, true
	case float64:
		return 0, v, false, true
	}
	return 0, 0, false, false
}

// equal is Python's ==.
func (r *rendering) equal(a, b any) bool {
	r.enter()
	defer r.leave()
	r.spend(1)
	switch x := a.(type) {
	case nil:
		return b == nil
	case undefined:
		_, ok := b.(undefined)
		return ok
	case string:
		y, ok := b.(string)
		r.spend(min(len(x), len(y)) / bytesPerStep)
		return ok && x == y
	case *List:
		y, ok := b.(*List)
		if !ok || x == y {
			return ok
		}
		if x.kind != y.kind || x.kind == isGenerator || len(x.items) != len(y.items) {
			return false
		}
		for i := range x.items {
			if !r.equal(x.items[i], y.items[i]) {
				return false
			}
		}
		return true
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || len(x.keys) != len(y.keys) {
			return false
		}
		for i, k := range x.keys {
			if v, ok := y.get(k); !ok || !r.equal(x.values[i], v) {
				return false
			}
		}
		return true
	}
	if i, f, isInt, ok := number(a); ok {
		j, g, otherInt, ok := number(b)
		return ok && (isInt && otherInt && i == j || !(isInt && otherInt) && f == g)
	}
	return a == b
}

// less is Python's <.
func (r *rendering) less(a, b any) bool {
	r.spend(1)
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			r.spend(min(len(x), len(y)) / bytesPerStep)
			return x < y // the order of bytes is that of characters
		}
	case *List:
		if y, ok := b.(*List); ok && x.kind == y.kind && x.kind != isGenerator {
			r.enter()
			defer r.leave()
			for i := range min(len(x.items), len(y.items)) {
				if !r.equal(x.items[i], y.items[i]) {
					return r.less(x.items[i], y.items[i])
				}
			}
			return len(x.items) < len(y.items)
		}
	default:
		i, f, isInt, ok := number(a)
		j, g, otherInt, also := number(b)
		if ok && also {
			return isInt && otherInt && i < j || !(isInt && otherInt) && f < g
		}
	}
	fail("%s and %s cannot be compared", kindOf(defined(a)), kindOf(defined(b)))
	return false
}

// contains is Python's "value in container".
func (r *rendering) contains(container, value any) bool {
	switch c := container.(type) {
	case string:
		s, ok := defined(value).(string)
		if !ok {
			fail("only a str can be in a str, not %s", kindOf(value))
		}
		r.touch(len(c))
		return strings.Contains(c, s)
	case *Dict:
		r.spend(1)
		return c.find(value) >= 0
	case *namespace, *function, nil:
		fail("nothing can be in %s", kindOf(c))
	}
	for _, v := range r.elements(container) {
		if r.equal(v, value) {
			return true
		}
	}
	return false
}

// length is Python's len, of strings in characters.
func (r *rendering) length(v any) int {
	switch v := v.(type) {
	case undefined:
		return 0
	case string:
		r.touch(len(v))
		return utf8.RuneCountInString(v)
	case *Dict:
		return len(v.keys)
	case *List:
		if v.kind != isGenerator {
			return len(v.items)
		}
	}
	fail("%s has no length", kindOf(v))
	return 0
}

// whole is a value that must be an integer.
func whole(v any, what string) int {
	if i, _, isInt, ok := number(defined(v)); ok && isInt {
		return i
	}
	fail("%s must be an integer, not %s", what, kindOf(v))
	return 0
}

// index finds an element by a number that may count from the end.
func index(n, length int) (int, bool) {
	if n < 0 {
		n += length
	}
	return n, n >= 0 && n < length
}

// bounds are where a slice of a length begins, ends before, and how it goes.
func (r *rendering) bounds(s *slice, length int) (start, stop, step int) {
	part := func(e expression, otherwise int) int {
		if e == nil {
			return otherwise
		}
		v := r.eval(e)
		if v == nil {
			return otherwise
		}
		n := whole(v, "a slice's bound")
		if n < 0 {
			n += length
		}
		if step < 0 {
			return min(max(n, -1), length-1)
		}
		return min(max(n, 0), length)
	}
	step = 1
	if s.step != nil {
		if v := r.eval(s.step); v != nil {
			step = whole(v, "a slice's step")
		}
	}
	if step == 0 {
		fail("a slice's step is 0")
	}
	if step = min(max(step, -length-1), length+1); step < 0 {
		return part(s.start, length-1), part(s.stop, -1), step
	}
	return part(s.start, 0), part(s.stop, length), step
}
