package tokenizer

import (
	"container/heap"
	"fmt"
	"iter"
	"slices"
)

// Options of Train.
type Options struct {
	VocabSize    int      // all ids: special tokens, 256 bytes and merges
	Special      []string // get the first ids, in this order
	MinFrequency int      // pairs that occur less often are not merged
}

// Train learns merges from texts: again and again the most frequent pair of adjacent
// tokens becomes a token (Sennrich et al. 2016). Of equally frequent pairs the first in
// the order of their spelling wins, so that the result depends on the texts alone. The
// vocabulary stays smaller than asked for when no pair is left that is frequent enough.
func Train(texts iter.Seq[string], o Options) (*Tokenizer, error) {
	if least := len(o.Special) + 256; o.VocabSize < least {
		return nil, fmt.Errorf("tokenizer: a vocabulary of %d does not hold %d special tokens and 256 bytes", o.VocabSize, len(o.Special))
	}
	t := trainer{ids: map[string]int32{}, counts: map[pair]int{}, where: map[pair][]int32{}}
	var added []Added
	for _, s := range o.Special {
		if _, ok := t.ids[s]; ok || s == "" {
			return nil, fmt.Errorf("tokenizer: special token %q is empty or given twice", s)
		}
		added = append(added, Added{ID: t.token(s), Content: s, Special: true})
	}
	for b := range 256 {
		if _, ok := t.ids[alphabet[b]]; ok {
			return nil, fmt.Errorf("tokenizer: special token %q spells a byte", alphabet[b])
		}
		t.bytes[b] = t.token(alphabet[b])
	}
	t.special = len(o.Special)
	t.count(texts)
	var merges []pair
	for len(t.tokens) < o.VocabSize {
		best, ok := t.mostFrequent(max(1, o.MinFrequency))
		if !ok {
			break
		}
		id := t.token(t.tokens[best.left] + t.tokens[best.right])
		merges = append(merges, best)
		t.merge(best, id)
	}
	return build(vocabulary{tokens: t.tokens, merges: merges, added: added}, defaultScheme())
}

// trainer keeps the counts of all pairs up to date: a merge touches only the words its pair
// stands in.
type trainer struct {
	tokens  []string
	ids     map[string]int32
	special int // ids below are special tokens
	bytes   [256]int32

	words  []word
	counts map[pair]int     // occurrences in all words
	where  map[pair][]int32 // words that have, or once had, a pair; some twice
	queue  frequencies
}

type word struct {
	parts []int32
	count int
}

// token is the id of a spelling, a new one if need be: two pairs may make the same token.
func (t *trainer) token(spelling string) int32 {
	id, ok := t.ids[spelling]
	if !ok {
		id = int32(len(t.tokens))
		t.ids[spelling] = id
		t.tokens = append(t.tokens, spelling)
	}
	return id
}

func (t *trainer) count(texts iter.Seq[string]) {
	counts := map[string]int{}
	for text := range texts {
		for len(text) > 0 {
			n := splitGPT2(text)
			counts[text[:n]]++
			text = text[n:]
		}
	}
	for s, n := range counts { // in any order: sums do not depend on it
		w := word{count: n}
		for i := range len(s) {
			w.parts = append(w.parts, t.bytes[s[i]])
		}
		for i := range len(w.parts) - 1 {
			p := pair{w.parts[i], w.parts[i+1]}
			t.counts[p] += n
			t.where[p] = append(t.where[p], int32(len(t.words)))
		}
		t.words = append(t.words, w)
	}
	t.queue.tokens = &t.tokens
	for p, n := range t.counts {
		t.queue.pairs = append(t.queue.pairs, frequency{p, n})
	}
	heap.Init(&t.queue)
}

// mostFrequent takes the next pair to merge from the queue. For every pair the queue holds
// an entry with at least its count; an entry with more is put back with the true one.
func (t *trainer) mostFrequent(least int) (pair, bool) {
	for len(t.queue.pairs) > 0 {
		f := heap.Pop(&t.queue).(frequency)
		switch n := t.counts[f.pair]; {
		case n < least:
		case n != f.count:
			heap.Push(&t.queue, frequency{f.pair, n})
		default:
			// A special token must not come out of a text.
			if id, ok := t.ids[t.tokens[f.left]+t.tokens[f.right]]; !ok || int(id) >= t.special {
				return f.pair, true
			}
		}
	}
	return pair{}, false
}

func (t *trainer) merge(p pair, id int32) {
	more := map[pair]bool{} // pairs that may have become more frequent
	for _, i := range t.where[p] {
		w := &t.words[i]
		if !w.has(p) {
			continue
		}
		for k := range len(w.parts) - 1 {
			t.counts[pair{w.parts[k], w.parts[k+1]}] -= w.count
		}
		w.merge(p, id)
		for k := range len(w.parts) - 1 {
			q := pair{w.parts[k], w.parts[k+1]}
			t.counts[q] += w.count
			if q.left == id || q.right == id {
				t.where[q] = append(t.where[q], i)
				more[q] = true
			}
		}
	}
	delete(t.counts, p)
	delete(t.where, p)
	for q := range more { // in any order: the queue orders them
		heap.Push(&t.queue, frequency{q, t.counts[q]})
	}
}

func (w *word) has(p pair) bool {
	for i := range len(w.parts) - 1 {
		if w.parts[i] == p.left && w.parts[i+1] == p.right {
			return true
		}
	}
	return false
}

func (w *word) merge(p pair, id int32) {
	out := w.parts[:0]
	for i := 0; i < len(w.parts); i++ {
		if i+1 < len(w.parts) && w.parts[i] == p.left && w.parts[i+1] == p.right {
			out = append(out, id)
			i++
			continue
		}
		out = append(out, w.parts[i])
	}
	w.parts = slices.Clip(out)
}

// frequencies is a heap of pairs, the most frequent first, equals by spelling.
type frequencies struct {
	pairs  []frequency
	tokens *[]string
}

type frequency struct {
	pair
	count int
}

func (q *frequencies) Len() int      { return len(q.pairs) }
func (q *frequencies) Swap(i, j int) { q.pairs[i], q.pairs[j] = q.pairs[j], q.pairs[i] }
func (q *frequencies) Less(i, j int) bool {
	a, b := q.pairs[i], q.pairs[j]
	if a.count != b.count {
		return a.count > b.count
	}
	return spelledBefore(*q.tokens, a.pair, b.pair)
}
func (q *frequencies) Push(x any) { q.pairs = append(q.pairs, x.(frequency)) }
func (q *frequencies) Pop() any {
	last := q.pairs[len(q.pairs)-1]
	q.pairs = q.pairs[:len(q.pairs)-1]
	return last
}

func spelledBefore(tokens []string, a, b pair) bool {
	if tokens[a.left] != tokens[b.left] {
		return tokens[a.left] < tokens[b.left]
	}
	return tokens[a.right] < tokens[b.right]
}
