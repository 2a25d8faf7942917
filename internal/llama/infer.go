package llama

import (
	"cmp"
	"runtime"
	"slices"

	"stargate/internal/kernel"
)

// Decoder computes a model's predictions, keeping keys and values in a [Cache].
//
// A row (one token of one sequence) is computed the same way, bit for bit, whatever else is
// computed in the same call, however the sequence is cut into calls, whether its prefix was
// computed now or found in the cache, and on however many workers: products sum in an order
// that depends on the model's shape alone, and attention goes through a sequence's pages in
// order.
//
// A Decoder is not for concurrent use, and shares its pool only with what does not run at
// the same time. The model's weights must not change while it is in use.
type Decoder struct {
	config  Config
	pool    *kernel.Pool
	cache   *Cache
	weights decoderWeights
	stored  *Stored // keeps mapped weights where they are, or nil
	rope    *rope
	passes  []pass // one per worker; the first also serves calls that are divided otherwise
}

// NewDecoder packs the weights of m for products on pool. Sequences' pages come from cache.
func NewDecoder(m *Model, pool *kernel.Pool, cache *Cache) *Decoder {
	return newDecoder(m.Config, packWeights(pool, m), pool, cache)
}

// NewStoredDecoder is NewDecoder for weights that are not copied. It computes the same bits.
func NewStoredDecoder(s *Stored, pool *kernel.Pool, cache *Cache) *Decoder {
	d := newDecoder(s.Config(), s.weights(), pool, cache)
	d.stored = s
	return d
}

func newDecoder(c Config, w decoderWeights, pool *kernel.Pool, cache *Cache) *Decoder {
	d := &Decoder{config: c, pool: pool, cache: cache, weights: w, passes: make([]pass, pool.Workers())}
	for i := range d.passes {
		d.passes[i].attend = make([]attend, pool.Workers())
	}
	return d
}

// Config is the model's shape.
func (d *Decoder) Config() Config { return d.config }

// Span is a run of consecutive tokens of one sequence, and what is wanted of them: a whole
// prompt, a part of one, one token of a completion, or a text to score.
type Span struct {
	// Pages are the sequence's pages, at least Pages(Start+len(Tokens)) of them. Positions
	// before Start are read, those of Tokens are written. No other span of the call may
	// write to the same pages.
	Pages  []Page
	Start  int     // position of Tokens[0]
	Tokens []int32 // ids in [0, V), at least one

	// WantLogits asks for the prediction made at the last token.
	WantLogits bool
	// Targets are the tokens to score: Targets[i] as the successor of
	// Tokens[len(Tokens)-len(Targets)+i].
	Targets []int32

	Logits   []float32 // out: (V), valid until the decoder's next call
	LogProbs []float64 // out: (len(Targets)) natural-log probabilities
}

// Forward computes all spans in one pass over the weights.
//
// Rows of different sequences do not see each other, so whole spans are dealt out to the
// workers, each of which runs the entire pass without waiting for the others. Where that
// would leave workers idle (a single sequence), every product is divided instead.
func (d *Decoder) Forward(spans []*Span) {
	if len(spans) == 0 {
		return
	}
	defer runtime.KeepAlive(d.stored)
	longest := 0
	for _, s := range spans {
		longest = max(longest, s.Start+len(s.Tokens))
	}
	d.reach(longest)
	parts := d.deal(spans)
	if parts == nil {
		d.passes[0].run(d, spans, d.pool)
		return
	}
	d.pool.Run(func(w int) {
		if len(parts[w]) > 0 {
			d.passes[w].run(d, parts[w], nil)
		}
	})
}

// reach makes the rotary table cover n positions.
func (d *Decoder) reach(n int) {
	if d.rope != nil && len(d.rope.cos) >= n*d.rope.half {
		return
	}
	d.rope = newRope(d.config, max(256, 2*n))
}

// passRows is the fixed cost of one pass over the weights, in rows: what reading them from
// memory takes, against multiplying. Measured on configuration S.
const passRows = 8

// deal divides spans among the workers, the most expensive first, each to the worker with
// the least to do. It returns nil when dividing the products will be faster.
func (d *Decoder) deal(spans []*Span) [][]*Span {
	workers := d.pool.Workers()
	if workers == 1 || len(spans) == 1 {
		return nil
	}
	c := d.config
	// A key costs a query about two multiplications of a head's width per head and layer,
	// at half the speed of the products with the weights.
	perKey := 4 * float64(c.attn()*c.NumHiddenLayers) / float64(c.NumParams())
	cost := func(s *Span) float64 {
		n := float64(len(s.Tokens))
		return n * (1 + perKey*(float64(s.Start)+n/2))
	}
	order := slices.SortedStableFunc(slices.Values(spans), func(a, b *Span) int { return cmp.Compare(cost(b), cost(a)) })
	parts, load := make([][]*Span, workers), make([]float64, workers)
	total := 0.0
	for _, s := range order {
		w := slices.Index(load, slices.Min(load))
		parts[w] = append(parts[w], s)
		load[w] += cost(s)
		total += cost(s)
	}
	alone := passRows + slices.Max(load)
	together := (passRows + total) / float64(workers) * 1.15 // waiting for each other
	if together < alone {
		return nil
	}
	return parts
}
