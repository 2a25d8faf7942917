package llama

import (
	"math"

	"stargate/internal/kernel"
)

// attend is one worker's scratch for attention over pages. B ≤ queryBlock is the number of
// queries at a time, G the query heads of a key/value head; rows are (query, head) pairs.
type attend struct {
	q      []float32 // (B*G, HD), rotated
	weight []float32 // (B*G, stride): scores, then softmax weights
	out    []float32 // (B*G, HD)
}

// hidden is the score of a key behind the query.
var hidden = float32(math.Inf(-1))

// run computes, for one span whose rows begin at row and one key/value head, the keys and
// values of its tokens, which it stores, and the outputs of the head's G query heads.
//
// A query at position t goes through the pages of the keys it sees, in order, and through no
// other: that is what makes its bits independent of the queries beside it.
func (w *attend) run(d *Decoder, p *pass, s *Span, row, layer int, a attentionShape, head int) {
	qkv, out := p.qkv[row*a.qkv:], p.heads[row*a.out:]
	for i := range s.Tokens {
		pos := s.Start + i
		r := qkv[i*a.qkv:][:a.qkv]
		key := r[a.k:][:a.headDim]
		d.rope.apply(key, 1, a.headDim, pos, 1)
		d.cache.store(s.Pages[pos/PageTokens], pos%PageTokens, layer, head, key, r[a.v:][:a.headDim])
	}
	for from := 0; from < len(s.Tokens); {
		// Blocks end with a page, so that most products have whole pages' rows.
		to := min((s.Start+from+queryBlock)/PageTokens*PageTokens-s.Start, len(s.Tokens))
		w.block(d, s, qkv, out, from, to, layer, a, head)
		from = to
	}
}

// block computes the outputs of tokens [from, to) of the span. Positions are counted from the
// first page that any of its queries sees.
func (w *attend) block(d *Decoder, s *Span, qkv, out []float32, from, to, layer int, a attentionShape, head int) {
	g, hd, n := a.group, a.headDim, to-from
	skip := a.first(s.Start+from) / PageTokens
	pages := s.Pages[skip:Pages(s.Start+to)]
	first := s.Start + from - skip*PageTokens // position of the block's first query
	stride := len(pages) * PageTokens
	w.q, w.out = grow(w.q, n*g*hd), grow(w.out, n*g*hd)
	w.weight = grow(w.weight, n*g*stride)

	for i := range n {
		q := w.q[i*g*hd:][:g*hd]
		copy(q, qkv[(from+i)*a.qkv+a.q:])
		d.rope.apply(q, g, hd, s.Start+from+i, 1)
	}
	// Page j is seen by queries from position j*PageTokens on: row r(j) and all after it, or
	// those up to row end(j) with a window.
	visible := func(page int) int { return max(0, page*PageTokens-first) * g }
	end := func(page int) int {
		if a.window == 0 {
			return n * g
		}
		return min(n, (page+1)*PageTokens+a.window-1-first) * g
	}
	past := first / PageTokens // pages before every query
	for j := 0; j < len(pages); {
		run := 1
		if j < past {
			run = d.cache.run(pages[j:past])
		}
		r := visible(j)
		keys := d.cache.keys(pages[j], run, layer, head)
		kernel.Mul(w.weight[r*stride+j*PageTokens:], stride, w.q[r*hd:], hd, &keys, end(j+run-1)-r, false, 0, run)
		j += run
	}
	for r := range n * g {
		t := first + r/g
		seen := a.first(t+skip*PageTokens) - skip*PageTokens // first key
		start := seen / PageTokens * PageTokens
		weights := w.weight[r*stride:][start : Pages(t+1)*PageTokens]
		before, after := weights[:seen-start], weights[t+1-start:]
		for _, part := range [][]float32{before, after} { // whole pages are faster, and unseen keys get no weight
			for i := range part {
				part[i] = hidden
			}
		}
		kernel.Softmax(weights, a.scale)
		clear(before)
		clear(after)
	}
	if a.window > 0 { // a query's first page is not the block's
		clear(w.out)
	}
	for j, page := range pages {
		r := visible(j)
		values := d.cache.values(page, layer, head)
		kernel.Mul(w.out[r*hd:], hd, w.weight[r*stride+j*PageTokens:], stride, &values, end(j)-r, j > 0 || a.window > 0, 0, values.Panels())
	}
	for i := range n {
		copy(out[(from+i)*a.out+a.o:][:g*hd], w.out[i*g*hd:])
	}
}
