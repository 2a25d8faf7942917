package jinja

import (
	"strconv"
)

// tuple is an expression, or several with commas.
func (p *parser) tuple(conditionals bool) expression {
	one := func() expression {
		if conditionals {
			return p.expression()
		}
		return p.or()
	}
	first := one()
	if !p.is(",") {
		return first
	}
	t := &sequence{items: []expression{first}, tuple: true}
	for p.skip(",") {
		if k := p.peek().kind; k == blockEnd || k == outputEnd {
			break
		}
		t.items = append(t.items, one())
	}
	return t
}

// expression may be a conditional.
func (p *parser) expression() expression {
	p.enter()
	defer p.leave()
	e := p.or()
	for p.skip("if") {
		c := &conditional{condition: p.or(), then: e}
		if p.skip("else") {
			c.otherwise = p.expression()
		}
		e = c
	}
	return e
}

func (p *parser) or() expression  { return p.logical("or", p.and) }
func (p *parser) and() expression { return p.logical("and", p.not) }

func (p *parser) logical(word string, operand func() expression) expression {
	first := operand()
	if !p.is(word) {
		return first
	}
	l := &logical{first: first, or: word == "or"}
	for p.skip(word) {
		l.rest = append(l.rest, operand())
	}
	return l
}

func (p *parser) not() expression {
	if !p.skip("not") {
		return p.comparison()
	}
	p.enter()
	defer p.leave()
	return &negation{p.not()}
}

func (p *parser) comparison() expression {
	first := p.sum()
	var rest []operand
	for {
		op := ""
		switch t := p.peek(); {
		case t.kind == operator:
			switch t.text {
			case "==", "!=", "<", "<=", ">", ">=":
				op = p.next().text
			}
		case p.is("in"):
			op = p.next().text
		case p.is("not") && p.tokens[p.at+1].text == "in":
			p.next()
			p.next()
			op = "not in"
		}
		if op == "" {
			break
		}
		rest = append(rest, operand{op, p.sum()})
	}
	if rest == nil {
		return first
	}
	return &comparison{first, rest}
}

func (p *parser) sum() expression {
	return p.operation(p.concatenation, "+", "-")
}

func (p *parser) concatenation() expression {
	first := p.product()
	if !p.is("~") {
		return first
	}
	c := &concatenation{[]expression{first}}
	for p.skip("~") {
		c.parts = append(c.parts, p.product())
	}
	return c
}

func (p *parser) product() expression { return p.operation(p.power, "*", "/", "//", "%") }

func (p *parser) power() expression {
	return p.operation(func() expression { return p.unary(true) }, "**")
}

func (p *parser) operation(value func() expression, operators ...string) expression {
	first := value()
	var rest []operand
next:
	for t := p.peek(); t.kind == operator; t = p.peek() {
		for _, op := range operators {
			if t.text == op {
				p.next()
				rest = append(rest, operand{op, value()})
				continue next
			}
		}
		break
	}
	if rest == nil {
		return first
	}
	return &operation{first, rest}
}

func (p *parser) unary(filters bool) expression {
	p.enter()
	defer p.leave()
	var e expression
	if minus := p.is("-"); minus || p.is("+") {
		p.next()
		e = &signed{p.unary(false), minus}
	} else {
		e = p.primary()
	}
	e = p.postfix(e)
	if filters {
		e = p.filters(e)
	}
	return e
}

func (p *parser) primary() expression {
	switch t := p.next(); t.kind {
	case name:
		switch t.text {
		case "true", "True":
			return constant{true}
		case "false", "False":
			return constant{false}
		case "none", "None":
			return constant{nil}
		}
		return variable{t.text}
	case text:
		s := t.text
		for p.peek().kind == text { // 'a' 'b' is 'ab'
			s += p.next().text
		}
		return constant{s}
	case integer:
		n, err := strconv.Atoi(t.text)
		if err != nil {
			fail("the number %s is too large", t.text)
		}
		return constant{n}
	case float:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			fail("the number %s is too large", t.text)
		}
		return constant{f}
	case operator:
		switch t.text {
		case "(":
			return p.brackets()
		case "[":
			return &sequence{items: p.list("]")}
		case "{":
			return p.dictionary()
		}
		fail("unexpected %q", t.text)
	}
	fail("want an expression")
	return nil
}

// brackets are those of an expression or a tuple.
func (p *parser) brackets() expression {
	if p.skip(")") {
		return &sequence{tuple: true}
	}
	e := p.expression()
	if p.skip(")") {
		return e
	}
	p.want(",")
	return &sequence{items: append([]expression{e}, p.list(")")...), tuple: true}
}

// list is expressions with commas up to a bracket.
func (p *parser) list(closing string) []expression {
	var items []expression
	for !p.skip(closing) {
		if items = append(items, p.expression()); !p.is(closing) {
			p.want(",")
		}
	}
	return items
}

func (p *parser) dictionary() expression {
	d := &dictionary{}
	for !p.skip("}") {
		d.keys = append(d.keys, p.expression())
		p.want(":")
		if d.values = append(d.values, p.expression()); !p.is("}") {
			p.want(",")
		}
	}
	return d
}

// postfix is what follows a value: attributes, items, calls.
func (p *parser) postfix(e expression) expression {
	for t := p.peek(); t.kind == operator; t = p.peek() {
		switch t.text {
		case ".":
			p.next()
			switch t := p.next(); t.kind {
			case name:
				e = &attribute{e, t.text}
			case integer:
				n, err := strconv.Atoi(t.text)
				if err != nil {
					fail("the number %s is too large", t.text)
				}
				e = &item{e, constant{n}}
			default:
				fail("want a name or a number behind the dot, found %q", t.text)
			}
		case "[":
			p.next()
			e = p.subscript(e)
		case "(":
			p.next()
			e = &call{e, p.arguments()}
		default:
			return e
		}
	}
	return e
}

func (p *parser) subscript(of expression) expression {
	part := func() expression {
		if p.is(":") || p.is("]") {
			return nil
		}
		return p.expression()
	}
	first := part()
	if p.skip("]") {
		if first == nil {
			fail("[] without an index")
		}
		return &item{of, first}
	}
	p.want(":")
	s := &slice{of: of, start: first, stop: part()}
	if p.skip(":") {
		s.step = part()
	}
	p.want("]")
	return s
}

// arguments are those of a call, behind its bracket.
func (p *parser) arguments() arguments {
	var a arguments
	for !p.skip(")") {
		switch {
		case p.is("*") || p.is("**"):
			fail("arguments with %s are not supported", p.next().text)
		case p.peek().kind == name && p.tokens[p.at+1].kind == operator && p.tokens[p.at+1].text == "=":
			a.names = append(a.names, p.word())
			p.next()
			a.named = append(a.named, p.expression())
		case len(a.named) > 0:
			fail("an argument without a name behind one that has one")
		default:
			a.positional = append(a.positional, p.expression())
		}
		if !p.is(")") {
			p.want(",")
		}
	}
	return a
}

// filters are filters and tests behind a value.
func (p *parser) filters(e expression) expression {
	for {
		switch {
		case p.skip("|"):
			word := p.word()
			f, ok := filters[word]
			if !ok {
				fail("there is no filter %q", word)
			}
			n := &filtered{of: e, name: word, filter: f}
			if p.skip("(") {
				n.args = p.arguments()
			}
			e = n
		case p.is("is"):
			p.next()
			e = p.test(e)
		case p.is("("):
			p.next()
			e = &call{e, p.arguments()}
		default:
			return e
		}
	}
}

func (p *parser) test(of expression) expression {
	negated := p.skip("not")
	word := p.word()
	t, ok := tests[word]
	if !ok {
		fail("there is no test %q", word)
	}
	n := &tested{of: of, test: t}
	switch next := p.peek(); {
	case p.skip("("):
		n.args = p.arguments()
	case next.kind == name && !p.is("else") && !p.is("or") && !p.is("and") && !p.is("is") && !p.is("if") && !p.is("in") && !p.is("not"),
		next.kind == text, next.kind == integer, next.kind == float, p.is("["), p.is("{"):
		n.args.positional = []expression{p.postfix(p.primary())}
	}
	if negated {
		return &negation{n}
	}
	return n
}
