package export

import (
	"fmt"
	"slices"
	"strings"

	"stargate/lm/local"
)

// checking is an example under examination.
type checking struct {
	text  *local.Text
	e     Example
	found []Finding

	want    []int32 // the tokens of the messages
	mask    []bool  // which of them should be trained
	respelt bool    // the example's tokens are others, of the same text
}

// check compares an example with what its messages should be. A problem of each kind is told
// once, with the first place where it is. respelt tells that the tokens spell the messages
// otherwise than the tokenizer would.
func check(t *local.Text, e Example) (found []Finding, respelt bool) {
	c := &checking{text: t, e: e}
	if c.tokens() {
		c.weights()
		c.ends()
	}
	return c.found, c.respelt
}

func (c *checking) problem(p Problem, format string, args ...any) {
	for _, f := range c.found {
		if f.Problem == p {
			return
		}
	}
	c.found = append(c.found, Finding{Problem: p, Detail: fmt.Sprintf(format, args...)})
}

// tokens checks that the tokens spell the messages; false if there is nothing more to say.
func (c *checking) tokens() bool {
	e, t := c.e, c.text
	if e.Provenance.Tokenizer != t.TokenizerDigest() || e.Provenance.Template != t.TemplateDigest() {
		c.problem(ForeignTokens, "made by tokenizer %.12s… with template %.12s…, this model has %.12s… and %.12s…; name the right one with --model", e.Provenance.Tokenizer, e.Provenance.Template, t.TokenizerDigest(), t.TemplateDigest())
		return false
	}
	if e.Trained() == 0 {
		c.problem(AllMasked, "none of its %d tokens has a weight", len(e.IDs))
	}
	if i := slices.IndexFunc(e.IDs, func(id int32) bool { return t.Token(id) == "" }); i >= 0 {
		c.problem(OtherText, "token %d is %d, which the tokenizer does not have", i, e.IDs[i])
		return false
	}
	var err error
	if c.want, c.mask, err = t.Encode(e.Messages, e.Loss); err != nil {
		c.problem(Unrenderable, "%v", err)
		return false
	}
	if len(e.IDs) <= len(c.want) && slices.Equal(e.IDs, c.want[:len(e.IDs)]) {
		return true
	}
	have, all := spell(t, e.IDs), spell(t, c.want)
	if !strings.HasPrefix(all, have) {
		at := 0
		for at < min(len(have), len(all)) && have[at] == all[at] {
			at++
		}
		c.problem(OtherText, "from byte %d the tokens spell %q, the messages %q", at, firstWords(have[at:]), firstWords(all[at:]))
		return false
	}
	c.respelt = true
	return true
}

// weights checks that the tokens with a weight are those that should have one.
func (c *checking) weights() {
	should, behind := c.should()
	for i, w := range c.e.Weights {
		switch {
		case w != 0 && should[i] == never:
			if i == 0 {
				c.problem(FirstTrained, "nothing is in front of it to predict it from")
				continue
			}
			c.problem(PromptTrained, "token %d, %q, has the weight %g: …%s", i, c.text.Piece(c.e.IDs[i]), w, c.near(i))
		case w == 0 && should[i] == always:
			p := LostWords
			if slices.Contains(c.text.Ends(), c.e.IDs[i]) {
				p = LostEnd
			}
			if c.e.Trained() > 0 { // else it is said already
				c.problem(p, "token %d, %q, has no weight: …%s", i, c.text.Piece(c.e.IDs[i]), c.near(i))
			}
		case w != 0 && should[i] == partly:
			c.problem(PromptTrained, "token %d, %q, is partly of the prompt and has the weight %g", i, c.text.Piece(c.e.IDs[i]), w)
		}
	}
	if behind > 0 {
		c.problem(Truncated, "it ends after %d tokens, %d that should be trained are missing; last: %q", len(c.e.IDs), behind, lastWords(spell(c.text, c.e.IDs)))
	}
}

// share says how much of a token should be trained.
type share int

const (
	never share = iota
	partly
	always
)

// should tells what part of each of the example's tokens should be trained, and how many tokens
// that should be are not among them.
func (c *checking) should() (parts []share, behind int) {
	parts = make([]share, len(c.e.IDs))
	if !c.respelt {
		for i, on := range c.mask {
			switch {
			case i >= len(parts) && on:
				behind++
			case on:
				parts[i] = always
			}
		}
		return parts, behind
	}
	// The same text in other tokens: compare byte by byte.
	var trained []bool
	var first []bool // bytes that begin a token of want
	for i, id := range c.want {
		for k := range len(c.text.Piece(id)) {
			trained, first = append(trained, c.mask[i]), append(first, k == 0)
		}
	}
	at := 0
	for i, id := range c.e.IDs {
		n, on := len(c.text.Piece(id)), 0
		for _, t := range trained[at : at+n] {
			if t {
				on++
			}
		}
		switch {
		case n > 0 && on == n:
			parts[i] = always
		case on > 0:
			parts[i] = partly
		}
		at += n
	}
	for i := at; i < len(trained); i++ {
		if trained[i] && first[i] {
			behind++
		}
	}
	return parts, behind
}

// ends checks that every trained message ends with a token that ends a turn: else the model
// learns to go on talking.
func (c *checking) ends() {
	for i := range c.mask {
		last := c.mask[i] && (i+1 == len(c.mask) || !c.mask[i+1])
		if last && !slices.Contains(c.text.Ends(), c.want[i]) {
			c.problem(LostEnd, "the template puts no token that ends a turn behind %q: the model would not learn to stop", lastWords(c.text.Decode(c.want[:i+1])))
		}
	}
}

// near is a little text from a token on.
func (c *checking) near(i int) string { return around(c.text, c.e.IDs, i) }

// spell is the text of all tokens, one by one: the beginning is not treated specially.
func spell(t *local.Text, ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(t.Piece(id))
	}
	return b.String()
}

func firstWords(s string) string { return cutRunes(s, 40, false) }

func lastWords(s string) string { return cutRunes(s, 40, true) }

func cutRunes(s string, n int, end bool) string {
	r := []rune(s)
	switch {
	case len(r) <= n:
		return s
	case end:
		return "…" + string(r[len(r)-n:])
	}
	return string(r[:n]) + "…"
}
