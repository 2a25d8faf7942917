package tokenizer

import (
	"container/heap"
	"math"
	"slices"
)

// pair is two adjacent tokens.
type pair struct{ left, right int32 }

// merge is what becomes of a pair; of several pairs in a word the one of lowest rank is
// merged first.
type merge struct{ rank, id int32 }

// scanLimit is the length up to which looking for the lowest rank is faster than keeping
// the ranks in a heap.
const scanLimit = 96

// bpe merges parts, which it uses up: lowest rank first, leftmost of equal ranks first.
func bpe(parts []int32, ranks ranks) []int32 {
	if len(parts) > scanLimit {
		return bpeHeap(parts, ranks)
	}
	return bpeScan(parts, ranks)
}

// never is the merge of a pair that has none.
var never = merge{rank: math.MaxInt32}

// bpeScan keeps the merge of every pair beside it: quadratic in the length, but only in
// comparisons of integers.
func bpeScan(parts []int32, ranks ranks) []int32 {
	var array [scanLimit]merge
	merges := array[:0] // of parts i and i+1
	find := func(i int) merge {
		if m, ok := ranks.find(pair{parts[i], parts[i+1]}); ok {
			return m
		}
		return never
	}
	for i := range len(parts) - 1 {
		merges = append(merges, find(i))
	}
	for {
		best, at := never, -1
		for i, m := range merges {
			if m.rank < best.rank {
				best, at = m, i
			}
		}
		if at < 0 {
			return parts
		}
		parts[at] = best.id
		parts = slices.Delete(parts, at+1, at+2)
		merges = slices.Delete(merges, at, at+1)
		if at > 0 {
			merges[at-1] = find(at - 1)
		}
		if at < len(merges) {
			merges[at] = find(at)
		}
	}
}

// candidate is a merge of the token at a place with its right neighbour; it is stale when
// they are no longer the pair it was made for.
type candidate struct {
	merge
	at int32
	pair
}

type candidates []candidate

func (c candidates) Len() int      { return len(c) }
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].at < c[j].at
}
func (c *candidates) Push(x any) { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// bpeHeap does the same in n log n: the parts form a list linked by prev and next, and every
// pair that could be merged waits in a heap.
func bpeHeap(parts []int32, ranks ranks) []int32 {
	n := int32(len(parts))
	prev, next := make([]int32, n), make([]int32, n) // next is n at the end
	var queue candidates
	offer := func(i int32) candidate {
		if i < 0 || next[i] >= n {
			return candidate{at: -1}
		}
		p := pair{parts[i], parts[next[i]]}
		m, ok := ranks.find(p)
		if !ok {
			return candidate{at: -1}
		}
		return candidate{m, i, p}
	}
	for i := range n {
		prev[i], next[i] = i-1, i+1
	}
	for i := range n {
		if c := offer(i); c.at >= 0 {
			queue = append(queue, c)
		}
	}
	heap.Init(&queue)
	for len(queue) > 0 {
		c := heap.Pop(&queue).(candidate)
		right := next[c.at]
		if parts[c.at] != c.left || right >= n || parts[right] != c.right {
			continue
		}
		parts[c.at], parts[right] = c.id, -1
		next[c.at] = next[right]
		if next[right] < n {
			prev[next[right]] = c.at
		}
		for _, i := range [...]int32{prev[c.at], c.at} {
			if c := offer(i); c.at >= 0 {
				heap.Push(&queue, c)
			}
		}
	}
	return slices.DeleteFunc(parts, func(id int32) bool { return id < 0 })
}
