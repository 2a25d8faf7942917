package llama

import (
	"sync/atomic"

	"stargate/internal/kernel"
)

// pass is the scratch of one forward pass over N rows.
type pass struct {
	x      []float32 // (N, D) residual stream
	norm   []float32 // (N, D)
	qkv    []float32 // (N, (H+2*HK)*HD)
	heads  []float32 // (N, H*HD)
	gateUp []float32 // (N, 2*F)
	hidden []float32 // (N, F)

	predict []*Span   // spans that want logits
	final   []float32 // (predictions or chunk, D) normalised rows
	logits  []float32 // (len(predict), V)
	scored  []float32 // (chunk, V) logits of rows that are only scored
	rows    []scoredRow

	attend []attend // one per worker
}

// scoredRow is a row whose prediction is scored.
type scoredRow struct {
	row    int
	target int32
	out    *float64
}

// run computes spans. With a pool the work of each step is divided among its workers; with
// nil everything happens on the calling goroutine.
func (p *pass) run(d *Decoder, spans []*Span, pool *kernel.Pool) {
	c := d.config
	dim, f := c.HiddenSize, c.IntermediateSize
	eps := float32(c.RMSNormEps)
	n := 0
	for _, s := range spans {
		n += len(s.Tokens)
	}
	p.x, p.norm = grow(p.x, n*dim), grow(p.norm, n*dim)
	p.qkv, p.heads = grow(p.qkv, n*c.qkv()), grow(p.heads, n*c.attn())
	p.gateUp, p.hidden = grow(p.gateUp, n*2*f), grow(p.hidden, n*f)

	row := 0
	for _, s := range spans {
		for _, id := range s.Tokens {
			d.weights.embed(p.x[row*dim:][:dim], id)
			row++
		}
	}
	normalise := func(w []float32) {
		each(pool, n, func(i int) { kernel.RMSNorm(p.norm[i*dim:][:dim], p.x[i*dim:][:dim], w, eps) })
	}
	for l := range d.weights.layers {
		w := &d.weights.layers[l]
		// x += Out(attention(QKV(norm(x))))
		normalise(w.AttnNorm)
		w.qkv.mul(pool, p.qkv, c.qkv(), p.norm, dim, n, false)
		if w.QKVBias != nil || w.QNorm != nil {
			each(pool, n, func(i int) { w.finishQKV(p.qkv, i, c) })
		}
		p.attention(d, spans, l, pool)
		w.out.mul(pool, p.x, dim, p.heads, c.attn(), n, true)
		addBias(p.x, w.OutBias, 0, n)
		// x += Down(silu(gate)*up)
		normalise(w.MLPNorm)
		w.gateUp.mul(pool, p.gateUp, 2*f, p.norm, dim, n, false)
		each(pool, n, func(i int) {
			gu := p.gateUp[i*2*f:][:2*f]
			kernel.SwiGLU(p.hidden[i*f:][:f], gu[:f], gu[f:])
		})
		w.down.mul(pool, p.x, dim, p.hidden, f, n, true)
	}
	p.predictions(d, spans, pool)
	p.scores(d, spans, pool)
}

// predictions computes the logits of spans' last rows.
func (p *pass) predictions(d *Decoder, spans []*Span, pool *kernel.Pool) {
	dim, v := d.config.HiddenSize, d.config.VocabSize
	p.predict = p.predict[:0]
	for _, s := range spans {
		if s.WantLogits {
			p.predict = append(p.predict, s)
		}
	}
	p.final = grow(p.final, len(p.predict)*dim)
	row, i := 0, 0
	for _, s := range spans {
		row += len(s.Tokens)
		if s.WantLogits {
			d.finish(p.final[i*dim:], p.x[(row-1)*dim:])
			i++
		}
	}
	p.logits = grow(p.logits, len(p.predict)*v)
	d.weights.head.mul(pool, p.logits, v, p.final, dim, len(p.predict), false)
	for i, s := range p.predict {
		s.Logits = p.logits[i*v:][:v:v]
	}
}

// scores computes the log-probabilities of spans' targets. Logits exist for a chunk of rows
// at a time.
func (p *pass) scores(d *Decoder, spans []*Span, pool *kernel.Pool) {
	dim, v := d.config.HiddenSize, d.config.VocabSize
	p.rows = p.rows[:0]
	row := 0
	for _, s := range spans {
		row += len(s.Tokens)
		s.LogProbs = grow(s.LogProbs, len(s.Targets))
		for i, id := range s.Targets {
			p.rows = append(p.rows, scoredRow{row - len(s.Targets) + i, id, &s.LogProbs[i]})
		}
	}
	chunk := max(1<<18/v, 48)
	for from := 0; from < len(p.rows); from += chunk {
		rows := p.rows[from:min(from+chunk, len(p.rows))]
		p.final = grow(p.final, len(rows)*dim)
		p.scored = grow(p.scored, len(rows)*v)
		each(pool, len(rows), func(i int) { d.finish(p.final[i*dim:], p.x[rows[i].row*dim:]) })
		d.weights.head.mul(pool, p.scored, v, p.final, dim, len(rows), false)
		each(pool, len(rows), func(i int) {
			logits := p.scored[i*v:][:v]
			*rows[i].out = float64(logits[rows[i].target]) - kernel.LogSumExp(logits)
		})
	}
}

// finish applies the last norm to the row x.
func (d *Decoder) finish(y, x []float32) {
	dim := d.config.HiddenSize
	kernel.RMSNorm(y[:dim], x[:dim], d.weights.norm, float32(d.config.RMSNormEps))
}

// attention writes p.heads, given p.qkv before rotation, and stores keys and values. A task
// is one span and one key/value head: it writes pages and columns that no other touches.
func (p *pass) attention(d *Decoder, spans []*Span, layer int, pool *kernel.Pool) {
	c := d.config
	kv := c.NumKeyValueHeads
	if pool == nil {
		row := 0
		for _, s := range spans {
			for head := range kv {
				p.attend[0].run(d, p, s, row, layer, c.attentionShape(layer, head), head)
			}
			row += len(s.Tokens)
		}
		return
	}
	starts := make([]int, len(spans))
	for i, s := range spans[:len(spans)-1] {
		starts[i+1] = starts[i] + len(s.Tokens)
	}
	var next atomic.Int64
	pool.Run(func(w int) {
		for t := int(next.Add(1)) - 1; t < len(spans)*kv; t = int(next.Add(1)) - 1 {
			p.attend[w].run(d, p, spans[t/kv], starts[t/kv], layer, c.attentionShape(layer, t%kv), t%kv)
		}
	})
}

// each calls fn for 0 … n-1, on the pool where that is worth waking it.
func each(pool *kernel.Pool, n int, fn func(i int)) {
	if pool == nil || n < 8 {
		for i := range n {
			fn(i)
		}
		return
	}
	pool.For(n, 1, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			fn(i)
		}
	})
}
