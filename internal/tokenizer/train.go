package tokenizer

import (
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
// the order of their spelling wins, so that the result depends on the texts alone.
func Train(texts iter.Seq[string], o Options) (*Tokenizer, error) {
	if least := len(o.Special) + 256; o.VocabSize < least {
		return nil, fmt.Errorf("tokenizer: a vocabulary of %d does not hold %d special tokens and 256 bytes", o.VocabSize, len(o.Special))
	}
	tokens := slices.Clone(o.Special)
	var added []Added
	for i, s := range o.Special {
		added = append(added, Added{int32(i), s, true})
	}
	var byteID [256]int32
	for b := range 256 {
		byteID[b] = int32(len(tokens))
		tokens = append(tokens, alphabet[b])
	}
	words := countWords(texts, byteID)
	ids := map[string]int32{}
	for id, t := range tokens {
		ids[t] = int32(id)
	}
	var merges []pair
	for len(tokens) < o.VocabSize {
		counts := map[pair]int{}
		for _, w := range words {
			for i := range len(w.parts) - 1 {
				counts[pair{w.parts[i], w.parts[i+1]}] += w.count
			}
		}
		best, n := pair{}, 0
		for p, c := range counts {
			if c > n || c == n && spelled(tokens, p, best) {
				best, n = p, c
			}
		}
		if n < max(1, o.MinFrequency) {
			break
		}
		spelling := tokens[best.left] + tokens[best.right]
		id, ok := ids[spelling] // another pair may have made the same token
		if !ok {
			id = int32(len(tokens))
			ids[spelling] = id
			tokens = append(tokens, spelling)
		}
		merges = append(merges, best)
		for i := range words {
			words[i].merge(best, id)
		}
	}
	return build(tokens, merges, added), nil
}

func spelled(tokens []string, a, b pair) bool {
	if tokens[a.left] != tokens[b.left] {
		return tokens[a.left] < tokens[b.left]
	}
	return tokens[a.right] < tokens[b.right]
}

type word struct {
	parts []int32
	count int
}

func countWords(texts iter.Seq[string], byteID [256]int32) []word {
	counts := map[string]int{}
	for text := range texts {
		for len(text) > 0 {
			n := nextWord(text)
			counts[text[:n]]++
			text = text[n:]
		}
	}
	var words []word
	for s, n := range counts { // the order does not matter: counts are added
		w := word{count: n}
		for i := range len(s) {
			w.parts = append(w.parts, byteID[s[i]])
		}
		words = append(words, w)
	}
	return words
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
	w.parts = out
}
