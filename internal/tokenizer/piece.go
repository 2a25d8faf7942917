package tokenizer

import "strings"

// A piece is a part of a text on its way to tokens. Normalizers rewrite it; where offsets are
// wanted it knows how far into the original text each of its bytes reaches.
type piece struct {
	text  string
	start int   // where the piece begins in the original text
	ends  []int // of each byte of text, the place behind what it comes from; nil if not wanted
}

// whole is a text as one piece.
func whole(text string, offsets bool) piece {
	if !offsets {
		return piece{text: text}
	}
	ends := make([]int, len(text))
	for i := range ends {
		ends[i] = i + 1
	}
	return piece{text: text, ends: ends}
}

// cut is the part of p from one byte to another.
func (p piece) cut(from, to int) piece {
	if p.ends != nil {
		if from > 0 {
			p.start = p.ends[from-1]
		}
		p.ends = p.ends[from:to]
	}
	p.text = p.text[from:to]
	return p
}

// rewriting builds a piece from another, front to back.
type rewriting struct {
	from piece
	at   int // bytes of from that are used up
	text strings.Builder
	ends []int
}

func rewrite(p piece) *rewriting {
	r := &rewriting{from: p}
	r.text.Grow(len(p.text) + 16)
	if p.ends != nil {
		r.ends = make([]int, 0, len(p.text)+16)
	}
	return r
}

// keep takes over the next n bytes.
func (r *rewriting) keep(n int) {
	r.text.WriteString(r.from.text[r.at : r.at+n])
	if r.from.ends != nil {
		r.ends = append(r.ends, r.from.ends[r.at:r.at+n]...)
	}
	r.at += n
}

// put writes text in place of the next n bytes; n may be 0.
func (r *rewriting) put(text string, n int) {
	r.text.WriteString(text)
	r.at += n
	if r.from.ends != nil {
		end := r.from.start
		if r.at > 0 {
			end = r.from.ends[r.at-1]
		}
		for range len(text) {
			r.ends = append(r.ends, end)
		}
	}
}

func (r *rewriting) done() piece { return piece{r.text.String(), r.from.start, r.ends} }

// prepend puts text in front of p.
func (p piece) prepend(text string) piece {
	if p.ends == nil {
		p.text = text + p.text
		return p
	}
	r := rewrite(p)
	r.put(text, 0)
	r.keep(len(p.text))
	return r.done()
}

// replace puts text in place of every occurrence of old, which is not empty.
func (p piece) replace(old, text string) piece {
	if p.ends == nil {
		p.text = strings.ReplaceAll(p.text, old, text)
		return p
	}
	r := rewrite(p)
	for {
		i := strings.Index(p.text[r.at:], old)
		if i < 0 {
			r.keep(len(p.text) - r.at)
			return r.done()
		}
		r.keep(i)
		r.put(text, len(old))
	}
}

// end is where the first n bytes of p end in the original text.
func (p piece) end(n int) int {
	if n == 0 {
		return p.start
	}
	return p.ends[n-1]
}
