package jinja

import (
	"slices"
	"strings"
)

// Template is a parsed template, safe for concurrent use.
type Template struct {
	body       []statement
	generation bool
}

// HasGeneration tells whether the template has {% generation %} blocks.
func (t *Template) HasGeneration() bool { return t.generation }

// Parse reads a template.
func Parse(source string) (t *Template, err error) {
	p := &parser{}
	defer catch(&err, &p.line)
	p.tokens = lex(source, &p.line)
	t = &Template{body: p.statements()}
	if p.peek().kind != endOfSource {
		fail("%s has no beginning", p.tokens[p.at+1].text)
	}
	t.generation = p.generation
	return t, nil
}

type parser struct {
	tokens     []token
	at, line   int
	depth      int
	loops      int // that are open
	generation bool
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if p.line = t.line; t.kind != endOfSource {
		p.at++
	}
	return t
}

// is tells whether the next token is an operator or a word.
func (p *parser) is(s string) bool {
	t := p.peek()
	return t.text == s && (t.kind == operator || t.kind == name)
}

// skip goes over an operator or a word, if it is next.
func (p *parser) skip(s string) bool {
	ok := p.is(s)
	if ok {
		p.next()
	}
	return ok
}

func (p *parser) want(s string) {
	if !p.skip(s) {
		fail("want %q, found %q", s, p.next().text)
	}
}

func (p *parser) word() string {
	t := p.next()
	if t.kind != name {
		fail("want a name, found %q", t.text)
	}
	return t.text
}

func (p *parser) end(k kind, s string) {
	if t := p.next(); t.kind != k {
		fail("want %q, found %q", s, t.text)
	}
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxParse {
		fail("%w: more than %d levels", ErrLimit, maxParse)
	}
}

func (p *parser) leave() { p.depth-- }

// statements are those up to a tag that ends them: an end tag, elif or else, or the source's end.
func (p *parser) statements() []statement {
	p.enter()
	defer p.leave()
	var list []statement
	for {
		switch t := p.peek(); t.kind {
		case endOfSource:
			return list
		case data:
			list = append(list, &verbatim{p.next().text})
		case outputBegin:
			p.next()
			list = append(list, &output{t.line, p.tuple(true)})
			p.end(outputEnd, "}}")
		default:
			if tag := p.tokens[p.at+1]; tag.text == "elif" || tag.text == "else" || strings.HasPrefix(tag.text, "end") {
				return list
			}
			p.next()
			list = append(list, p.tag(p.word(), t.line))
		}
	}
}

// body is the statements behind the end of a tag.
func (p *parser) body() []statement {
	p.end(blockEnd, "%}")
	return p.statements()
}

// closing goes over the beginning of a tag and tells its word, one of those that may be.
func (p *parser) closing(open string, line int, words ...string) string {
	if p.next().kind == endOfSource {
		p.line = line
		fail("%s has no end", open)
	}
	word := p.word()
	if !slices.Contains(words, word) {
		fail("%s does not end %s", word, open)
	}
	return word
}

func (p *parser) tag(word string, line int) statement {
	var s statement
	switch word {
	case "if":
		s = p.branch(line)
	case "for":
		s = p.loop(line)
	case "set":
		s = p.assignment(line)
	case "macro":
		s = p.macro(line)
	case "generation":
		p.generation = true
		g := &generation{line: line, body: p.body()}
		p.closing(word, line, "endgeneration")
		s = g
	case "break", "continue":
		if p.loops == 0 {
			fail("%s outside of a loop", word)
		}
		s = jump(map[string]flow{"break": breakLoop, "continue": continueLoop}[word])
	default:
		fail("the tag %q is not supported", word)
	}
	p.end(blockEnd, "%}")
	return s
}

func (p *parser) branch(line int) statement {
	b := &branch{line: line, condition: p.tuple(false)}
	b.then = p.body()
	for last := b; ; {
		at := p.peek().line
		switch p.closing("if", line, "elif", "else", "endif") {
		case "elif":
			next := &branch{line: at, condition: p.tuple(false)}
			next.then = p.body()
			last.otherwise, last = []statement{next}, next
		case "else":
			last.otherwise = p.body()
			p.closing("else", at, "endif")
			return b
		default:
			return b
		}
	}
}

func (p *parser) loop(line int) statement {
	l := &loop{line: line, names: p.targets()}
	p.want("in")
	l.over = p.tuple(false)
	if p.skip("if") {
		l.condition = p.expression()
	}
	if p.is("recursive") {
		fail("recursive loops are not supported")
	}
	p.loops++
	l.body = p.body()
	p.loops--
	if p.closing("for", line, "else", "endfor") == "else" {
		l.otherwise = p.body()
		p.closing("else", line, "endfor")
	}
	return l
}

// targets are names with commas, with or without brackets.
func (p *parser) targets() []string {
	bracket := p.skip("(")
	names := []string{p.target()}
	for p.skip(",") {
		if p.peek().kind == name && !p.is("in") {
			names = append(names, p.target())
		}
	}
	if bracket {
		p.want(")")
	}
	return names
}

func (p *parser) target() string {
	word := p.word()
	if slices.Contains([]string{"true", "false", "none", "True", "False", "None"}, word) {
		fail("cannot assign to %s", word)
	}
	return word
}

func (p *parser) assignment(line int) statement {
	a := &assignment{line: line, names: p.targets()}
	if len(a.names) == 1 && p.skip(".") {
		a.attribute = p.word()
	}
	if p.skip("=") {
		a.value = p.tuple(true)
		return a
	}
	a.body = p.ownBody()
	p.closing("set", line, "endset")
	return a
}

// ownBody is a body that loops around it do not reach into: break and continue are not for them.
func (p *parser) ownBody() []statement {
	loops := p.loops
	p.loops = 0
	defer func() { p.loops = loops }()
	return p.body()
}

func (p *parser) macro(line int) statement {
	m := &macro{line: line, name: p.target()}
	p.want("(")
	for !p.is(")") {
		if len(m.names) > 0 {
			p.want(",")
		}
		m.names = append(m.names, p.target())
		if p.skip("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if len(m.defaults) > 0 {
			fail("a parameter without a default behind one that has one")
		}
	}
	p.want(")")
	m.body = p.ownBody()
	p.closing("macro", line, "endmacro")
	return m
}
