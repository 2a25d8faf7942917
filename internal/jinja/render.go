package jinja

import "strings"

// Options of a rendering.
type Options struct {
	// Steps are what it may take. One is an expression, an iteration, or 64 bytes read or made,
	// and takes 10 to 100 ns.
	Steps int

	// Open and Close are written around the text of each {% generation %} block.
	Open, Close string
}

// Variable is what a template knows by a name: nil, a bool, an int, a float64, a string, a
// [*List] or a [*Dict].
type Variable struct {
	Name  string
	Value any
}

// rendering is the state of one.
type rendering struct {
	Options
	depth, line int
	scope       *scope
	out         *strings.Builder
}

// scope holds the variables of a block.
type scope struct {
	names  []string
	values []any
	parent *scope
}

func (s *scope) set(name string, value any) {
	for i, n := range s.names {
		if n == name {
			s.values[i] = value
			return
		}
	}
	s.names, s.values = append(s.names, name), append(s.values, value)
}

// Render gives the text of a template with variables. What the template raises is a
// [*RaisedError], what it may not have an [ErrLimit].
func (t *Template) Render(variables []Variable, options Options) (rendered string, err error) {
	r := &rendering{Options: options, out: &strings.Builder{}}
	top := &scope{names: make([]string, 0, len(variables)+8), values: make([]any, 0, len(variables)+8), parent: globals}
	for _, v := range variables {
		top.names, top.values = append(top.names, v.Name), append(top.values, v.Value)
	}
	r.scope = top
	defer catch(&err, &r.line)
	r.run(t.body)
	return r.out.String(), nil
}

func (r *rendering) run(list []statement) flow {
	r.enter()
	for _, s := range list {
		r.spend(1)
		if f := s.exec(r); f != goOn {
			r.leave()
			return f
		}
	}
	r.leave()
	return goOn
}

// within runs statements in a scope of their own and gives their text.
func (r *rendering) within(parent *scope, list []statement) string {
	scope, out := r.scope, r.out
	r.scope, r.out = parent, &strings.Builder{}
	r.run(list)
	text := r.out.String()
	r.scope, r.out = scope, out
	return text
}

func (r *rendering) write(s string) {
	r.touch(len(s))
	r.out.WriteString(s)
}

func (v *verbatim) exec(r *rendering) flow {
	r.write(v.text)
	return goOn
}

func (o *output) exec(r *rendering) flow {
	r.line = o.line
	r.write(r.str(r.eval(o.value)))
	return goOn
}

func (b *branch) exec(r *rendering) flow {
	for r.line = b.line; ; r.line = b.line {
		if truth(r.eval(b.condition)) {
			return r.run(b.then)
		}
		if len(b.otherwise) == 1 {
			if next, ok := b.otherwise[0].(*branch); ok { // elif
				b = next
				continue
			}
		}
		return r.run(b.otherwise)
	}
}

func (a *assignment) exec(r *rendering) flow {
	r.line = a.line
	var value any
	if a.value != nil {
		value = r.eval(a.value)
	} else {
		value = r.within(&scope{parent: r.scope}, a.body)
	}
	if a.attribute == "" {
		r.assign(r.scope, a.names, value)
		return goOn
	}
	n, ok := variable{a.names[0]}.eval(r).(*namespace)
	if !ok {
		fail("%s is no namespace; the attributes of other values cannot be set", a.names[0])
	}
	n.set(a.attribute, value)
	return goOn
}

// assign sets a variable, or several from the elements of a value.
func (r *rendering) assign(to *scope, names []string, value any) {
	if len(names) == 1 {
		to.set(names[0], value)
		return
	}
	items := r.elements(value)
	if len(items) != len(names) {
		fail("%d values for %d variables", len(items), len(names))
	}
	for i, n := range names {
		to.set(n, items[i])
	}
}

func (g *generation) exec(r *rendering) flow {
	outer := r.scope
	r.scope = &scope{parent: outer}
	r.out.WriteString(r.Open)
	f := r.run(g.body)
	r.out.WriteString(r.Close)
	r.scope = outer
	return f
}

func (j jump) exec(*rendering) flow { return flow(j) }

// iteration is the variable loop.
type iteration struct {
	items   []any
	at      int
	changed []any
}

func (l *loop) exec(r *rendering) flow {
	r.line = l.line
	items, outer := r.elements(r.eval(l.over)), r.scope
	if l.condition != nil {
		var kept []any
		for _, v := range items {
			r.scope = &scope{parent: outer}
			r.assign(r.scope, l.names, v)
			if truth(r.eval(l.condition)) {
				kept = append(kept, v)
			}
		}
		items, r.scope = kept, outer
	}
	state := &iteration{items: items}
	for i, v := range items {
		r.spend(1)
		state.at = i
		r.scope = &scope{parent: outer, names: make([]string, 0, 4), values: make([]any, 0, 4)}
		r.assign(r.scope, l.names, v)
		r.scope.set("loop", state)
		if r.run(l.body) == breakLoop {
			break
		}
	}
	r.scope = outer
	if len(items) == 0 {
		return r.run(l.otherwise)
	}
	return goOn
}

// attribute is loop.name.
func (s *iteration) attribute(r *rendering, name string) any {
	n := len(s.items)
	near := func(i int) any {
		if i < 0 || i >= n {
			return undefined{"loop." + name}
		}
		return s.items[i]
	}
	switch name {
	case "index":
		return s.at + 1
	case "index0":
		return s.at
	case "revindex":
		return n - s.at
	case "revindex0":
		return n - s.at - 1
	case "first":
		return s.at == 0
	case "last":
		return s.at == n-1
	case "length":
		return n
	case "previtem":
		return near(s.at - 1)
	case "nextitem":
		return near(s.at + 1)
	case "depth":
		return 1
	case "depth0":
		return 0
	case "cycle":
		return &function{"cycle", func(_ *rendering, a args) any {
			if len(a.positional) == 0 {
				fail("cycle wants values")
			}
			return a.positional[s.at%len(a.positional)]
		}}
	case "changed":
		return &function{"changed", func(r *rendering, a args) any {
			same := s.changed != nil && r.equal(&List{items: s.changed}, &List{items: a.positional})
			s.changed = a.positional
			return !same
		}}
	}
	return undefined{"loop." + name}
}

func (m *macro) exec(r *rendering) flow {
	home := r.scope
	home.set(m.name, &function{m.name, func(r *rendering, a args) any {
		if len(a.positional) > len(m.names) {
			fail("macro %s has %d parameters, not %d", m.name, len(m.names), len(a.positional))
		}
		values := a.bind(m.name, m.names...)
		outer := r.scope
		r.scope = &scope{parent: home}
		for i, n := range m.names {
			v := values[i]
			if v == absent {
				v = undefined{n}
				if d := i - (len(m.names) - len(m.defaults)); d >= 0 {
					v = r.eval(m.defaults[d])
				}
			}
			r.scope.set(n, v)
		}
		inner := r.scope
		r.scope = outer
		return r.within(inner, m.body)
	}})
	return goOn
}
