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
// A query at position t goes through pages 0 … t/PageTokens, in that order, and through no
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

// block computes the outputs of tokens [from, to) of the span.
func (w *attend) block(d *Decoder, s *Span, qkv, out []float32, from, to, layer int, a attentionShape, head int) {
	g, hd, n := a.group, a.headDim, to-from
	first := s.Start + from // position of the block's first query
	pages := s.Pages[:Pages(s.Start+to)]
	stride := len(pages) * PageTokens
	w.q, w.out = grow(w.q, n*g*hd), grow(w.out, n*g*hd)
	w.weight = grow(w.weight, n*g*stride)

	for i := range n {
		q := w.q[i*g*hd:][:g*hd]
		copy(q, qkv[(from+i)*a.qkv+a.q:])
		d.rope.apply(q, g, hd, first+i, 1)
	}
	// Page j is seen by queries from position j*PageTokens on: row r(j) and all after it.
	visible := func(page int) int { return max(0, page*PageTokens-first) * g }
	past := first / PageTokens // pages seen by every query
	for j := 0; j < len(pages); {
		run := 1
		if j < past {
			run = d.cache.run(pages[j:past])
		}
		r := visible(j)
		keys := d.cache.keys(pages[j], run, layer, head)
		kernel.Mul(w.weight[r*stride+j*PageTokens:], stride, w.q[r*hd:], hd, &keys, n*g-r, false, 0, run)
		j += run
	}
	for r := range n * g {
		seen := first + r/g + 1
		weights := w.weight[r*stride:][:Pages(seen)*PageTokens]
		for i := range weights[seen:] { // whole pages are faster, and future keys get no weight
			weights[seen+i] = hidden
		}
		kernel.Softmax(weights, a.scale)
		clear(weights[seen:])
	}
	for j, page := range pages {
		r := visible(j)
		values := d.cache.values(page, layer, head)
		kernel.Mul(w.out[r*hd:], hd, w.weight[r*stride+j*PageTokens:], stride, &values, n*g-r, j > 0, 0, values.Panels())
	}
	for i := range n {
		copy(out[(from+i)*a.out+a.o:][:g*hd], w.out[i*g*hd:])
	}
}
