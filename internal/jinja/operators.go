package jinja

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

func (s *signed) eval(r *rendering) any {
	v := defined(r.eval(s.of))
	i, f, isInt, ok := number(v)
	switch {
	case !ok:
		fail("a %s has no sign", kindOf(v))
	case isInt && s.negative:
		return -i
	case isInt:
		return i
	case s.negative:
		return -f
	}
	return f
}

func (o *operation) eval(r *rendering) any {
	v := r.eval(o.first)
	for _, next := range o.rest {
		v = r.compute(next.operator, defined(v), defined(r.eval(next.value)))
	}
	return v
}

func (r *rendering) compute(operator string, a, b any) any {
	r.spend(1)
	i, f, isInt, ok := number(a)
	j, g, otherInt, also := number(b)
	switch {
	case !ok || !also:
		return r.sequences(operator, a, b)
	case operator == "/":
		if g == 0 {
			fail("division by zero")
		}
		return f / g
	case isInt && otherInt:
		return integers(operator, i, j)
	}
	return floats(operator, f, g)
}

// sequences computes with strings and lists.
func (r *rendering) sequences(operator string, a, b any) any {
	switch operator {
	case "+":
		switch x := a.(type) {
		case string:
			if y, ok := b.(string); ok {
				r.touch(len(x) + len(y))
				return x + y
			}
		case *List:
			if y, ok := b.(*List); ok && x.kind == y.kind && x.kind != isGenerator {
				return r.list(slices.Concat(x.items, y.items), x.kind)
			}
		}
	case "*":
		if _, _, isInt, _ := number(a); isInt {
			a, b = b, a
		}
		n, _, ok, _ := number(b)
		switch x := a.(type) {
		case string:
			if ok {
				return r.repeated(x, n)
			}
		case *List:
			if ok && x.kind != isGenerator {
				n = max(n, 0)
				r.spend(product(len(x.items), n))
				return &List{slices.Repeat(x.items, n), x.kind}
			}
		}
	case "%":
		if _, ok := a.(string); ok {
			fail("formatting by %% is not supported")
		}
	}
	fail("%s %s %s cannot be computed", kindOf(a), operator, kindOf(b))
	return nil
}

// repeated is a string many times.
func (r *rendering) repeated(s string, n int) string {
	n = max(n, 0)
	r.touch(product(len(s), n))
	return strings.Repeat(s, n)
}

// product is a size, or the largest number where there is none.
func product(a, b int) int {
	if high, low := bits.Mul64(uint64(a), uint64(b)); high == 0 && low < math.MaxInt64/2 {
		return int(low)
	}
	return math.MaxInt64 / 2
}

func integers(operator string, i, j int) any {
	overflow := func(bad bool) {
		if bad {
			fail("%d %s %d has more than 64 bits", i, operator, j)
		}
	}
	switch operator {
	case "+":
		n := i + j
		overflow(n > i != (j > 0) && j != 0)
		return n
	case "-":
		n := i - j
		overflow(n < i != (j > 0) && j != 0)
		return n
	case "*":
		n := i * j
		overflow(i != 0 && (n/i != j || i == -1 && j == math.MinInt))
		return n
	case "**":
		if j < 0 {
			return floats(operator, float64(i), float64(j))
		}
		n := 1
		for range min(j, 64) {
			m := n * i
			overflow(i != 0 && m/i != n)
			n = m
		}
		if j > 64 {
			overflow(i > 1 || i < -1)
			if i == -1 && j%2 == 1 {
				n = -1
			}
		}
		return n
	}
	if j == 0 {
		fail("division by zero")
	}
	overflow(i == math.MinInt && j == -1)
	quotient, rest := i/j, i%j
	if rest != 0 && (rest < 0) != (j < 0) {
		quotient, rest = quotient-1, rest+j
	}
	if operator == "//" {
		return quotient
	}
	return rest
}

func floats(operator string, f, g float64) any {
	switch operator {
	case "+":
		return f + g
	case "-":
		return f - g
	case "*":
		return f * g
	case "**":
		if f == 0 && g < 0 {
			fail("division by zero")
		}
		p := math.Pow(f, g)
		if math.IsNaN(p) && !math.IsNaN(f) && !math.IsNaN(g) || math.IsInf(p, 0) && !math.IsInf(f, 0) && !math.IsInf(g, 0) {
			fail("%v ** %v is no real number", f, g)
		}
		return p
	}
	if g == 0 {
		fail("division by zero")
	}
	rest := math.Mod(f, g)
	if rest != 0 && (rest < 0) != (g < 0) {
		rest += g
	}
	if operator == "//" {
		return math.Floor(f / g)
	}
	return rest
}
