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
func (d Drawing) run(b *strings.Builder, t *local.Text, e Example) {
	on := false
	b.WriteString("  ")
	for i, id := range e.IDs {
		trained := e.Weights[i] != 0
		if !d.Color {
			switch {
			case trained && !on:
				b.WriteString("⟦")
			case trained:
				b.WriteString("|")
			case on:
				b.WriteString("⟧")
			}
		}
		on = trained
		b.WriteString(strings.ReplaceAll(d.paint(t, id, trained, i), "\n", "\n  "))
	}
	if on && !d.Color {
		b.WriteString("⟧")
	}
	b.WriteString("\n")
}

// paint is a token's text: line breaks and other controls can be seen.
func (d Drawing) paint(t *local.Text, id int32, trained bool, i int) string {
	text := visible(t.Piece(id))
	if !d.Color {
		return text
	}
	style := dim
	if t.Special(id) {
		style += inverse
	}
	if trained {
		style = green
		if i%2 == 1 {
			style = lime
		}
		if t.Special(id) {
			style += "\x1b[1m"
		}
	}
	var b strings.Builder
	for j, part := range strings.Split(text, "\n") { // colour ends with the line
		if j > 0 {
			b.WriteString("\n")
		}
		if part != "" {
			b.WriteString(style + part + reset)
		}
	}
	return b.String()
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
