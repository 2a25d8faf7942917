package jinja

import "math"

// test is what stands behind "is".
type test func(r *rendering, in any, a []any) bool

// tests are those of Jinja. Some name others, so init fills the table.
var tests map[string]test

func init() {
	kind := func(kinds ...string) test {
		return func(_ *rendering, in any, _ []any) bool {
			for _, k := range kinds {
				if kindOf(in) == k {
					return true
				}
			}
			return false
		}
	}
	compare := func(operator string) test {
		return func(r *rendering, in any, a []any) bool { return r.compare(operator, in, one(a)) }
	}
	known := func(has func(string) bool) test {
		return func(_ *rendering, in any, _ []any) bool {
			s, ok := in.(string)
			return ok && has(s)
		}
	}
	remainder := func(of int) test {
		return func(_ *rendering, in any, _ []any) bool { return integers("%", whole(in, "the number"), 2) == of }
	}
	tests = map[string]test{
		"boolean": kind("bool"), "callable": kind("function"), "defined": not(kind("undefined")), "undefined": kind("undefined"),
		"float": kind("float"), "integer": kind("int"), "number": kind("int", "float", "bool"), "string": kind("str"), "mapping": kind("dict"), "none": kind("None"),
		"iterable": kind("str", "list", "tuple", "generator", "dict", "undefined"), "sequence": kind("str", "list", "tuple", "dict", "undefined"),
		"true":  func(_ *rendering, in any, _ []any) bool { return in == true },
		"false": func(_ *rendering, in any, _ []any) bool { return in == false },
		"even":  remainder(0), "odd": remainder(1),
		"divisibleby": func(_ *rendering, in any, a []any) bool {
			return integers("%", whole(in, "the number"), whole(one(a), "the divisor")) == 0
		},
		"eq": compare("=="), "equalto": compare("=="), "ne": compare("!="), "lt": compare("<"), "lessthan": compare("<"), "le": compare("<="),
		"==": compare("=="), "!=": compare("!="), "<": compare("<"), "<=": compare("<="), ">": compare(">"), ">=": compare(">="), "gt": compare(">"), "greaterthan": compare(">"), "ge": compare(">="), "in": compare("in"),
		"sameas": func(_ *rendering, in any, a []any) bool { return identical(in, one(a)) },
		"lower": func(r *rendering, in any, _ []any) bool {
			s := r.str(in)
			r.touch(len(s))
			return isLower(s)
		},
		"upper": func(r *rendering, in any, _ []any) bool {
			s := r.str(in)
			r.touch(len(s))
			return isUpper(s)
		},
		"filter": known(func(s string) bool { return filters[s] != nil }),
		"test":   known(func(s string) bool { return tests[s] != nil }),
	}
}

func not(t test) test {
	return func(r *rendering, in any, a []any) bool { return !t(r, in, a) }
}

// one is the single argument of a test.
func one(a []any) any {
	if len(a) != 1 {
		fail("the test wants one argument, not %d", len(a))
	}
	return a[0]
}

// identical is Python's "is", where small values of one kind are the same.
func identical(a, b any) bool {
	if f, ok := a.(float64); ok && math.IsNaN(f) {
		return false
	}
	return kindOf(a) == kindOf(b) && a == b
}
