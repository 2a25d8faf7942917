package llama

import (
	"fmt"
	"hash/fnv"
	"math"

	"stargate/internal/kernel"
)

// NewLowRankTrainer prepares training of low-rank updates of the model of d (Hu et al., 2021),
// which stays as it is, on d's pool. The A and B of the updates are trained in place. With
// dropout p > 0, an update sees its input with each element dropped with probability p and the
// others divided by 1-p (Srivastava et al., 2014), as in PEFT; the masks are named by
// [Sequence.Dropout].
//
// For an updated matrix, with s its Scale and x~ its input after dropout,
//
//	y = x Wᵀ + u Bᵀ,  u = s·x~ Aᵀ    du = s·dy B,  dB = dyᵀ u,  dA = duᵀ x~,  dx = dy W + (du A)~
//
// so nothing of the size of W is computed or kept but W. The trainer shares the weights of d:
// those that d has packed are packed once more for dx; stored ones are read as they are.
//
// It fails with [ErrLowRank] where an update does not belong to the model.
func NewLowRankTrainer(d *Decoder, updates []LowRank, dropout float64) (*Trainer, error) {
	if !(dropout >= 0 && dropout < 1) {
		return nil, fmt.Errorf("llama: dropout is %g, want a number in [0, 1)", dropout)
	}
	t := &Trainer{model: d.vectors(), pool: d.pool, attn: make([]attention, d.pool.Workers()), embed: d.weights.embed, stored: d.stored}
	t.weights = trainWeights{layers: make([]trainLayer, len(d.weights.layers))}
	var sides []rightSide
	for i := range d.weights.layers {
		l := &d.weights.layers[i]
		sides = append(sides, l.qkv, l.out, l.gateUp, l.down)
	}
	sides = append(sides, d.weights.head)
	i := 0
	var err error
	t.weights.each(func(_ int, x *weight) {
		switch s := sides[i].(type) {
		case packedSide:
			x.forward = s.Packed
		case storedSide:
			x.stored = s
		default:
			err = fmt.Errorf("%w: the decoder has updates already", ErrLowRank)
		}
		i++
	})
	if err != nil {
		return nil, err
	}
	if m := d.weights.full; m != nil {
		t.weights.packBackward(t.pool, m)
	}
	t.low, err = newLowRanks(t, updates, dropout)
	return t, err
}

// vectors is the model of d without matrices.
func (d *Decoder) vectors() *Model {
	m := &Model{Config: d.config, Norm: d.weights.norm}
	for _, l := range d.weights.layers {
		v := *l.Layer
		v.QKV, v.Out, v.GateUp, v.Down = nil, nil, nil, nil
		m.Layers = append(m.Layers, v)
	}
	return m
}

// lowRanks is what a trainer of low-rank updates has beside a trainer's.
type lowRanks struct {
	weights  []*lowWeight
	gradient []LowRank // in the order of the updates
	dropout  dropout
	dropped  [][]float32 // per worker: rows after dropout
	whole    []float32   // (N, in) the same of a microbatch
}

// lowWeight is the updates of a matrix.
type lowWeight struct {
	in, rank int // rank: columns of u, those of all updates
	parts    []lowPart
}

// lowPart is an update of some of the matrix's rows.
type lowPart struct {
	*LowRank
	dA, dB []float32
	from   int    // first of its columns of u
	column int    // first of its columns of y
	out    int    // their number
	name   uint64 // of its dropout masks

	a, b   kernel.Packed // s·Aᵀ (in, r) and Bᵀ (r, out)
	da, db kernel.Packed // A (r, in) and s·B (out, r)
}

func newLowRanks(t *Trainer, updates []LowRank, p float64) (*lowRanks, error) {
	low := &lowRanks{dropout: newDropout(p), dropped: make([][]float32, t.pool.Workers())}
	index := map[string]int{}
	for i, u := range updates {
		index[u.Name] = i
		low.gradient = append(low.gradient, LowRank{Name: u.Name, Rank: u.Rank, A: make([]float32, len(u.A)), B: make([]float32, len(u.B))})
	}
	for i := range t.weights.layers {
		l := &t.weights.layers[i]
		for k, x := range []*weight{&l.qkv, &l.out, &l.gateUp, &l.down} {
			m := layerMatrices(t.model.Config, i)[k]
			w, column := &lowWeight{in: m.in}, 0
			for _, p := range m.parts {
				if j, ok := index[p.name]; ok {
					u, g := &updates[j], &low.gradient[j]
					if err := u.check(p.out, m.in); err != nil {
						return nil, err
					}
					w.parts = append(w.parts, lowPart{LowRank: u, dA: g.A, dB: g.B, from: w.rank, column: column, out: p.out, name: nameOf(u.Name)})
					w.rank += u.Rank
					delete(index, p.name)
				}
				column += p.out
			}
			if w.rank > 0 {
				x.low = w
				low.weights = append(low.weights, w)
			}
		}
	}
	for _, u := range updates {
		if _, left := index[u.Name]; left {
			return nil, fmt.Errorf("%w: there is no %s, or it is no projection of a layer", ErrLowRank, u.Name)
		}
	}
	return low, nil
}

// Updates is the accumulated gradient of the updates, in their order: A and B are the
// derivatives of theirs. nil for a trainer of whole weights.
func (t *Trainer) Updates() []LowRank {
	if t.low == nil {
		return nil
	}
	return t.low.gradient
}

// pack packs what has been trained.
func (l *lowRanks) pack(gradient bool) {
	for _, w := range l.weights {
		for i := range w.parts {
			p := &w.parts[i]
			p.a.PackTransposed(p.A, p.Rank, w.in, w.in)
			kernel.Scale(p.a.Data, p.Scale)
			p.b.PackTransposed(p.B, p.out, p.Rank, p.Rank)
			if gradient {
				p.da.Pack(p.A, p.Rank, w.in, w.in)
				p.db.Pack(p.B, p.out, p.Rank, p.Rank)
				kernel.Scale(p.db.Data, p.Scale)
			}
		}
	}
}

// columns is the number of columns of u, 0 for a matrix without updates.
func (w *lowWeight) columns() int {
	if w == nil {
		return 0
	}
	return w.rank
}

// project computes rows [lo, hi) of u.
func (t *Trainer) project(w *lowWeight, worker int, u, x []float32, lo, hi int) {
	for i := range w.parts {
		p := &w.parts[i]
		mulPart(u, w.rank, p.from, t.seen(w, p, worker, x, lo, hi), &p.a, lo, hi)
	}
}

// mulPart computes rows [lo, hi) of the columns of C from column on; rows are those of A alone.
func mulPart(c []float32, ldc, column int, rows []float32, b *kernel.Packed, lo, hi int) {
	kernel.Mul(c[lo*ldc+column:], ldc, rows, b.K, b, hi-lo, false, 0, b.Panels())
}

// seen is rows [lo, hi) of x as an update sees them: x, or a worker's copy with elements dropped.
func (t *Trainer) seen(w *lowWeight, p *lowPart, worker int, x []float32, lo, hi int) []float32 {
	rows := x[lo*w.in : hi*w.in]
	if !t.dropping {
		return rows
	}
	scratch := grow(t.low.dropped[worker], len(rows))
	t.low.dropped[worker] = scratch
	t.dropRows(scratch, rows, w, p, lo, hi)
	return scratch
}

// dropRows writes rows [lo, hi) of x, which src holds, to dst as the update sees them.
func (t *Trainer) dropRows(dst, src []float32, w *lowWeight, p *lowPart, lo, hi int) {
	for i := range hi - lo {
		t.low.dropout.apply(dst[i*w.in:][:w.in], src[i*w.in:][:w.in], mix(t.act.rowName[lo+i]^p.name))
	}
}

// add adds rows [lo, hi) of u Bᵀ to y.
func (w *lowWeight) add(y []float32, ldy int, u []float32, lo, hi int) {
	for i := range w.parts {
		p := &w.parts[i]
		kernel.Mul(y[lo*ldy+p.column:], ldy, u[lo*w.rank+p.from:], w.rank, &p.b, hi-lo, true, 0, p.b.Panels())
	}
}

// projectBackward computes rows [lo, hi) of du from dy.
func (w *lowWeight) projectBackward(du, dy []float32, ldy, lo, hi int) {
	for i := range w.parts {
		p := &w.parts[i]
		kernel.Mul(du[lo*w.rank+p.from:], w.rank, dy[lo*ldy+p.column:], ldy, &p.db, hi-lo, false, 0, p.db.Panels())
	}
}

// addBackward adds to rows [lo, hi) of dx what flows back through the updates, given du.
func (t *Trainer) addBackward(w *lowWeight, worker int, dx, du []float32, lo, hi int) {
	for i := range w.parts {
		p := &w.parts[i]
		to, accumulate := dx[lo*w.in:hi*w.in], true
		if t.dropping {
			t.low.dropped[worker] = grow(t.low.dropped[worker], len(to))
			to, accumulate = t.low.dropped[worker], false
		}
		kernel.Mul(to, w.in, du[lo*w.rank+p.from:], w.rank, &p.da, hi-lo, accumulate, 0, p.da.Panels())
		if t.dropping {
			t.dropRows(to, to, w, p, lo, hi)
			kernel.Add(dx[lo*w.in:hi*w.in], to)
		}
	}
}

// addGradient adds the microbatch's part to the gradients of A and B.
func (t *Trainer) addGradient(w *lowWeight, x, dy []float32, ldy int, u, du []float32) {
	if w == nil {
		return
	}
	n := t.act.rows
	for i := range w.parts {
		p := &w.parts[i]
		seen := x
		if t.dropping {
			t.low.whole = grow(t.low.whole, n*w.in)
			seen = t.low.whole
			t.eachRows(n, func(_, lo, hi int) { t.dropRows(seen[lo*w.in:], x[lo*w.in:], w, p, lo, hi) })
		}
		t.pool.MulTN(p.dB, p.Rank, dy[p.column:], ldy, u[p.from:], w.rank, p.out, p.Rank, n, true)
		t.pool.MulTN(p.dA, w.in, du[p.from:], w.rank, seen, w.in, p.Rank, w.in, n, true)
	}
}

// dropout drops elements of rows.
type dropout struct {
	below uint16  // of 65536 values, those that drop
	keep  float32 // 1/(1-p)
}

func newDropout(p float64) dropout {
	below := uint16(min(math.Round(p*65536), 65535))
	return dropout{below: below, keep: float32(1 / (1 - float64(below)/65536))}
}

// apply writes src with elements dropped to dst, which may be src. The mask is a function of the
// name: four elements from each step of a SplitMix64 generator (Steele et al., 2014).
func (d dropout) apply(dst, src []float32, name uint64) {
	for i := 0; i < len(src); i += 4 {
		name += 0x9e3779b97f4a7c15
		bits := mix(name)
		for k := i; k < min(i+4, len(src)); k++ {
			keep := d.keep
			if uint16(bits) < d.below {
				keep = 0
			}
			dst[k] = src[k] * keep
			bits >>= 16
		}
	}
}

// rowName names the masks of a row: the position in a sequence of a name.
func rowName(sequence uint64, position int) uint64 { return mix(mix(sequence) + uint64(position)) }

// nameOf is a text as a number.
func nameOf(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text)) // never fails
	return h.Sum64()
}

// mix is SplitMix64's output function: every bit of x decides about every bit of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
