package jinja

// globals are the functions every template has.
var globals = &scope{
	names: []string{"range", "dict", "namespace", "raise_exception"},
	values: []any{
		&function{"range", numbers},
		&function{"dict", func(r *rendering, a args) any { return r.dict(a) }},
		&function{"namespace", func(r *rendering, a args) any { return &namespace{r.dict(a)} }},
		&function{"raise_exception", func(r *rendering, a args) any {
			panic(failure{&RaisedError{r.str(a.bind("raise_exception", "message")[0])}})
		}},
	},
}

// dict is Python's dict(other, name=value…).
func (r *rendering) dict(a args) *Dict {
	d := &Dict{}
	if len(a.positional) > 1 {
		fail("dict takes one dict and names")
	}
	for _, v := range a.positional {
		other, ok := defined(v).(*Dict)
		if !ok {
			fail("dict of a %s is not supported", kindOf(v))
		}
		r.spend(1 + len(other.keys))
		for i, k := range other.keys {
			d.set(k, other.values[i])
		}
	}
	for i, n := range a.names {
		d.set(n, a.named[i])
	}
	return d
}

// numbers is Python's range, as a list.
func numbers(r *rendering, a args) any {
	b := a.bind("range", "start", "stop", "step")
	start, stop, step := 0, 0, whole(given(b[2], 1), "range's step")
	switch first := whole(given(b[0], undefined{"range's stop"}), "range's bound"); {
	case b[1] == absent:
		stop = first
	default:
		start, stop = first, whole(b[1], "range's bound")
	}
	if step == 0 {
		fail("range's step is 0")
	}
	var items []any
	for i := start; step > 0 && i < stop || step < 0 && i > stop; {
		if len(items) == maxRange {
			fail("%w: a range of more than %d", ErrLimit, maxRange)
		}
		items = append(items, i)
		next := i + step
		if (next > i) != (step > 0) {
			break // past the largest number
		}
		i = next
	}
	return r.list(items, isList)
}
