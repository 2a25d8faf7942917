package tokenizer

import "math/bits"

// ranks finds the merge of a pair: a hash table with open addressing, because looking up
// pairs, most of which have no merge, is the inner loop of encoding.
type ranks struct {
	slots []slot // a power of two of them, at most half used
	shift int    // 64 less its logarithm
}

type slot struct {
	pair
	merge
	used bool
}

// newRanks gives the merges of pairs their places in the list as ranks; a pair that is there
// twice keeps its first.
func newRanks(pairs []pair, id func(pair) int32) ranks {
	logarithm := bits.Len(uint(2*len(pairs) + 1))
	r := ranks{make([]slot, 1<<logarithm), 64 - logarithm}
	for rank, p := range pairs {
		if i := r.place(p); !r.slots[i].used {
			r.slots[i] = slot{p, merge{int32(rank), id(p)}, true}
		}
	}
	return r
}

// place is where p is, or where it belongs.
func (r ranks) place(p pair) int {
	const golden = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio: Knuth's multiplicative hashing
	i := int((uint64(uint32(p.left))<<32 | uint64(uint32(p.right))) * golden >> r.shift)
	for r.slots[i].used && r.slots[i].pair != p {
		i = (i + 1) & (len(r.slots) - 1)
	}
	return i
}

func (r ranks) find(p pair) (merge, bool) {
	s := &r.slots[r.place(p)]
	return s.merge, s.used
}
