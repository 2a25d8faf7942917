package llama

import (
	"fmt"
	"math/bits"

	"stargate/internal/kernel"
)

// PageTokens is the number of positions a page holds: the width of the kernels' panels, so
// that a page of keys is a right-hand side as it lies.
const PageTokens = kernel.PanelWidth

// Page names a page of a [Cache].
type Page int32

// slabBytes is about how much memory the cache takes at a time.
const slabBytes = 8 << 20

// Cache is a pool of pages that hold the keys and values of one model for PageTokens
// positions of one sequence, in all layers. Pages are counted references: a page that
// several sequences share (a common prefix) is released when the last lets go. Memory is
// taken slab by slab as pages are needed, up to the capacity, and kept.
//
// A Cache is not for concurrent use, except that a [Decoder] reads and writes different
// pages at the same time.
type Cache struct {
	capacity int
	perSlab  int // pages of a slab, a multiple of groupPages
	layers   int
	heads    int // key/value heads
	headDim  int
	slabs    [][]float32
	refs     []int32 // by page
	free     []uint8 // by group of pages: a bit for each free page
	whole    []int32 // groups with no page in use, and some that were that once
	unused   int     // free pages
}

// groupPages is the number of neighbouring pages that a sequence gets one after the other
// while there are enough: products with neighbouring panels are faster.
const groupPages = 4

// NewCache makes a cache of at most pages pages for models of configuration c.
func NewCache(c Config, pages int) *Cache {
	k := &Cache{capacity: pages, layers: c.NumHiddenLayers, heads: c.NumKeyValueHeads, headDim: c.HeadDim}
	k.perSlab = max(1, min(16, pages/groupPages, slabBytes/(4*groupPages*k.pageFloats()))) * groupPages
	return k
}

// PageBytes is the memory one page of configuration c takes.
func PageBytes(c Config) int {
	return 4 * (&Cache{layers: c.NumHiddenLayers, heads: c.NumKeyValueHeads, headDim: c.HeadDim}).pageFloats()
}

// Pages is the number of pages that n positions need.
func Pages(n int) int { return (n + PageTokens - 1) / PageTokens }

// Capacity is the most pages there can be.
func (k *Cache) Capacity() int { return k.capacity }

// Free is the number of pages that can still be allocated.
func (k *Cache) Free() int { return k.capacity - len(k.refs) + k.unused }

// Alloc takes a page with one reference and any contents; ok is false when none is left.
// after is the page before it in the sequence, or -1.
func (k *Cache) Alloc(after Page) (p Page, ok bool) {
	if next := after + 1; next%groupPages != 0 && int(next) < len(k.refs) && k.refs[next] == 0 {
		return k.take(next), true
	}
	for more := true; more; more = k.extend() {
		for len(k.whole) > 0 {
			last := len(k.whole) - 1
			group := k.whole[last]
			if k.whole = k.whole[:last]; k.free[group] == 1<<groupPages-1 {
				return k.take(Page(group * groupPages)), true
			}
		}
	}
	if k.unused == 0 {
		return 0, false
	}
	for group, free := range k.free { // only when nearly full
		if free != 0 {
			return k.take(Page(group*groupPages + bits.TrailingZeros8(free))), true
		}
	}
	panic("llama: pages are counted as free that are not")
}

func (k *Cache) take(p Page) Page {
	k.refs[p] = 1
	k.free[p/groupPages] &^= 1 << (p % groupPages)
	k.unused--
	return p
}

// extend takes memory for another slab; false when the capacity is reached.
func (k *Cache) extend() bool {
	first := len(k.refs)
	n := min(k.perSlab, k.capacity-first)
	if n <= 0 {
		return false
	}
	k.slabs = append(k.slabs, make([]float32, k.perSlab*k.pageFloats()))
	k.refs = append(k.refs, make([]int32, n)...)
	k.free = append(k.free, make([]uint8, (n+groupPages-1)/groupPages)...)
	for i := n - 1; i >= 0; i-- {
		k.giveBack(Page(first + i))
	}
	return true
}

func (k *Cache) giveBack(p Page) {
	group := p / groupPages
	k.free[group] |= 1 << (p % groupPages)
	k.unused++
	if k.free[group] == 1<<groupPages-1 {
		k.whole = append(k.whole, int32(group))
	}
}

// Retain adds a reference to p.
func (k *Cache) Retain(p Page) { k.refs[p]++ }

// Release drops a reference to p; the last makes it free.
func (k *Cache) Release(p Page) {
	k.refs[p]--
	switch {
	case k.refs[p] == 0:
		k.giveBack(p)
	case k.refs[p] < 0:
		panic(fmt.Sprintf("llama: page %d released more often than retained", p))
	}
}

// Refs is the number of references to p.
func (k *Cache) Refs(p Page) int { return int(k.refs[p]) }

// Copy makes the contents of dst those of src.
func (k *Cache) Copy(dst, src Page) {
	for layer := range k.layers {
		for head := range k.heads {
			copy(k.keys(dst, 1, layer, head).Data, k.keys(src, 1, layer, head).Data)
			copy(k.values(dst, layer, head).Data, k.values(src, layer, head).Data)
		}
	}
}

// A slab is [layer][head][keys of all its pages, then values of all its pages].
// Keys of a page are a panel, [HD][PageTokens], so that keys of neighbouring pages are
// neighbouring panels of one matrix (HD, N). Values of a page are a packed matrix
// (PageTokens, HD), zero padded to whole panels.
func (k *Cache) keyFloats() int   { return k.headDim * PageTokens }
func (k *Cache) valueFloats() int { return panels(k.headDim) * kernel.PanelWidth * PageTokens }
func (k *Cache) pageFloats() int  { return k.layers * k.heads * (k.keyFloats() + k.valueFloats()) }

// block is the part of p's slab that belongs to a layer and head, and p's place in it.
func (k *Cache) block(p Page, layer, head int) (slab []float32, i int) {
	size := k.perSlab * (k.keyFloats() + k.valueFloats())
	return k.slabs[int(p)/k.perSlab][(layer*k.heads+head)*size:][:size], int(p) % k.perSlab
}

// keys is the matrix (HD, n*PageTokens) of the n pages from p on, which must be neighbours.
func (k *Cache) keys(p Page, n, layer, head int) kernel.Packed {
	slab, i := k.block(p, layer, head)
	return kernel.Packed{K: k.headDim, N: n * PageTokens, Data: slab[i*k.keyFloats():][:n*k.keyFloats()]}
}

// values is the matrix (PageTokens, HD) of page p.
func (k *Cache) values(p Page, layer, head int) kernel.Packed {
	slab, i := k.block(p, layer, head)
	return kernel.Packed{K: PageTokens, N: k.headDim, Data: slab[k.perSlab*k.keyFloats()+i*k.valueFloats():][:k.valueFloats()]}
}

// run is the number of pages at the start of ps that are neighbours in one slab.
func (k *Cache) run(ps []Page) int {
	n := 1
	for n < len(ps) && ps[n] == ps[0]+Page(n) && int(ps[n])%k.perSlab != 0 {
		n++
	}
	return n
}

// store writes the key and value of one position, slot being its place in page p.
func (k *Cache) store(p Page, slot, layer, head int, key, value []float32) {
	dst := k.keys(p, 1, layer, head).Data[slot:]
	for i, x := range key {
		dst[i*PageTokens] = x
	}
	dst = k.values(p, layer, head).Data
	for i := 0; i < len(value); i += kernel.PanelWidth {
		copy(dst[(i/kernel.PanelWidth*PageTokens+slot)*kernel.PanelWidth:][:kernel.PanelWidth], value[i:])
	}
}
