package export

import (
	"fmt"
	"io"
	"strings"

	"stargate/lm/local"
)

// Drawing shows an example's mask.
type Drawing struct {
	Color  bool // for a terminal: else brackets and bars
	Tokens bool // a line for each token, with id and weight
}

// ANSI's select graphic rendition (ECMA-48).
const (
	dim     = "\x1b[2m"
	green   = "\x1b[30;42m"
	lime    = "\x1b[30;102m"
	inverse = "\x1b[7m"
	bold    = "\x1b[1m"
	reset   = "\x1b[0m"
)

// Draw writes what an example's tokens spell, special ones included. Without colours ⟦ and ⟧
// stand around what is trained, and bars between its tokens; with them, trained tokens are
// black on green, in turns of two shades, and the rest is dim.
func (d Drawing) Draw(w io.Writer, t *local.Text, e Example) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d tokens, %d trained%s%s\n", e.Key, len(e.IDs), e.Trained(), weightNote(e), originNote(e))
	if d.Tokens {
		d.list(&b, t, e)
	} else {
		d.run(&b, t, e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func weightNote(e Example) string {
	if e.Uniform() {
		return ""
	}
	for _, w := range e.Weights {
		if w != 0 {
			return fmt.Sprintf(", weight %.3g", w)
		}
	}
	return ""
}

func originNote(e Example) string {
	o := e.Provenance.Origin
	if o == nil {
		return ""
	}
	return fmt.Sprintf(" (%s, iteration %d, split %s; score %.2f nats over %d tokens, margin %+.3f)", o.Run, o.Iteration, o.Split, o.Score, o.GoldToks, o.Margin)
}

// run draws the text as it reads, with line breaks shown and kept.
func (d Drawing) run(out *strings.Builder, t *local.Text, e Example) {
	p := painter{color: d.Color}
	on := false
	for i, id := range e.IDs {
		trained := e.Weights[i] != 0
		p.write(border(on, trained), visible(t.Piece(id)), styleOf(trained, t.Special(id), i))
		on = trained
	}
	p.write(border(on, false), "", "")
	for line := range strings.Lines(strings.TrimRight(p.b.String(), "\n") + "\n") {
		if line != "\n" {
			line = "  " + line
		}
		out.WriteString(line)
	}
}

// painter writes text in colours, which end with the line, or with borders instead.
type painter struct {
	b     strings.Builder
	color bool
	style string // in force
}

func (p *painter) write(border, text, style string) {
	if !p.color {
		p.b.WriteString(border + text)
		return
	}
	for i, part := range strings.Split(text, "\n") {
		if i > 0 {
			p.change("")
			p.b.WriteString("\n")
		}
		if part != "" {
			p.change(style)
			p.b.WriteString(part)
		}
	}
	if text == "" {
		p.change("")
	}
}

func (p *painter) change(style string) {
	if style == p.style {
		return
	}
	if p.style != "" {
		p.b.WriteString(reset)
	}
	p.b.WriteString(style)
	p.style = style
}

// border is what stands between two tokens where there are no colours.
func border(before, after bool) string {
	switch {
	case !before && after:
		return "⟦"
	case before && after:
		return "|"
	case before:
		return "⟧"
	}
	return ""
}

// styleOf is how a token looks in colour: neighbours that are trained have two shades.
func styleOf(trained, special bool, i int) string {
	switch {
	case trained && special:
		return green + bold
	case trained && i%2 == 1:
		return lime
	case trained:
		return green
	case special:
		return dim + inverse
	}
	return dim
}

// visible is text that cannot do anything to a terminal, in which every byte can be seen.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString("↵\n")
		case r == '\t':
			b.WriteString("→")
		case r == '\uFFFD' || r < ' ' || r >= 0x7f && r < 0xa0:
			q := fmt.Sprintf("%+q", string(r))
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// list draws a line for each token.
func (d Drawing) list(b *strings.Builder, t *local.Text, e Example) {
	for i, id := range e.IDs {
		kind := " "
		if t.Special(id) {
			kind = "*"
		}
		mark := fmt.Sprintf("%-8s", "")
		if w := e.Weights[i]; w != 0 {
			mark = fmt.Sprintf("%-8.4g", w)
		}
		text := fmt.Sprintf("%q", t.Piece(id))
		if d.Color {
			style := dim
			if e.Weights[i] != 0 {
				style = green
			}
			text = style + text + reset
		}
		fmt.Fprintf(b, "  %5d %7d %s%s %s\n", i, id, mark, kind, text)
	}
}
