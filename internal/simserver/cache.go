package simserver

import "container/list"

// blockTokens is the size of a cache block: vLLM's default.
const blockTokens = 16

// prefixCache remembers blocks of prompts by the hash of everything up to their end, and
// forgets the one that was not used for longest.
type prefixCache struct {
	most  int // blocks
	order *list.List
	at    map[uint64]*list.Element
}

func newPrefixCache(tokens int) *prefixCache {
	return &prefixCache{most: tokens / blockTokens, order: list.New(), at: map[uint64]*list.Element{}}
}

// hit counts how many blocks from the start are there.
func (c *prefixCache) hit(blocks []uint64) int {
	for i, b := range blocks {
		if c.at[b] == nil {
			return i
		}
	}
	return len(blocks)
}

// use makes blocks the last to be forgotten. The end of a prompt goes first, as its
// beginning serves more prompts.
func (c *prefixCache) use(blocks []uint64) {
	for i := len(blocks) - 1; i >= 0; i-- {
		if e := c.at[blocks[i]]; e != nil {
			c.order.MoveToFront(e)
			continue
		}
		c.at[blocks[i]] = c.order.PushFront(blocks[i])
		if c.order.Len() > c.most {
			delete(c.at, c.order.Remove(c.order.Back()).(uint64))
		}
	}
}

// blockHashes are the hashes of the full blocks of a text.
func blockHashes(ids []int32) []uint64 {
	out := make([]uint64, 0, len(ids)/blockTokens)
	h := uint64(offset64)
	for i, id := range ids {
		h = mix(h, uint64(id))
		if (i+1)%blockTokens == 0 {
			out = append(out, h)
		}
	}
	return out
}

const offset64 = 14695981039346656037

// mix adds x to a running hash: FNV-1a on words, with a final shift so that the high bits
// reach the low ones.
func mix(h, x uint64) uint64 {
	h = (h ^ x) * 1099511628211
	return h ^ h>>29
}

// mixText adds a text.
func mixText(h uint64, text string) uint64 {
	h = mix(h, uint64(len(text)))
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h ^ h>>29
}
