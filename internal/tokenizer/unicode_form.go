package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// unicodeForm brings text to a normal form of Unicode (UAX #15). Where more than maxMarks
// combining marks follow each other, package norm would break them up; Hugging Face's library
// does not.
func unicodeForm(p piece, form norm.Form) piece {
	if form.IsNormalString(p.text) {
		return p
	}
	r := rewrite(p)
	for r.at < len(p.text) {
		from, to := manyMarks(p.text[r.at:])
		end := r.at + from
		if p.ends == nil {
			r.put(form.String(p.text[r.at:end]), from)
		} else {
			var segments norm.Iter
			segments.InitString(form, p.text[r.at:end])
			for start := r.at; r.at < end; {
				text := string(segments.Next())
				r.put(text, start+segments.Pos()-r.at)
			}
		}
		if to > from {
			r.put(definedForm(p.text[end:end+to-from], form), to-from)
		}
	}
	return r.done()
}

// maxMarks is the most combining marks in a row that package norm leaves together.
const maxMarks = 30

// manyMarks is where a character with more marks than that begins, and where its marks end; both
// are the text's length if there is none.
func manyMarks(text string) (from, to int) {
	marks, start := 0, 0
	for i := 0; i < len(text); {
		n := 1
		if text[i] >= utf8.RuneSelf {
			var p norm.Properties
			if p = norm.NFD.PropertiesString(text[i:]); p.Size() > 0 {
				n = p.Size()
			}
			if p.CCC() != 0 {
				marks++
				i += n
				continue
			}
		}
		if marks > maxMarks {
			return start, i
		}
		marks, start = 0, i
		i += n
	}
	if marks > maxMarks {
		return start, len(text)
	}
	return len(text), len(text)
}

// symbol is a character, or a byte that is none, with its canonical combining class.
type symbol struct {
	text  string
	class uint8
}

// definedForm is the definition: decompose every character, sort marks by class, and compose
// what is not blocked.
func definedForm(text string, form norm.Form) string {
	decomposed, composed := norm.NFD, form == norm.NFC || form == norm.NFKC
	if form == norm.NFKC || form == norm.NFKD {
		decomposed = norm.NFKD
	}
	var symbols []symbol
	for len(text) > 0 {
		_, n := utf8.DecodeRuneInString(text)
		for parts := decomposed.String(text[:n]); len(parts) > 0; {
			_, n := utf8.DecodeRuneInString(parts)
			symbols = append(symbols, symbol{parts[:n], norm.NFD.PropertiesString(parts[:n]).CCC()})
			parts = parts[n:]
		}
		text = text[n:]
	}
	for i := 0; i < len(symbols); i++ {
		from := i
		for i < len(symbols) && symbols[i].class != 0 {
			i++
		}
		slices.SortStableFunc(symbols[from:i], func(a, b symbol) int { return int(a.class) - int(b.class) })
	}
	var out []symbol
	starter, between := -1, -1 // where it is in out; the class of what was kept behind it, -1: nothing
	for _, s := range symbols {
		if composed && starter >= 0 && between < int(s.class) {
			if c := norm.NFC.String(out[starter].text + s.text); utf8.RuneCountInString(c) == 1 {
				out[starter].text = c
				continue
			}
		}
		if s.class == 0 {
			starter, between = len(out), -1
		} else {
			between = int(s.class)
		}
		out = append(out, s)
	}
	var b strings.Builder
	for _, s := range out {
		b.WriteString(s.text)
	}
	return b.String()
}
