package tokenizer

import (
	"slices"
	"strings"
	"sync"
)

// Added is a token outside the merges, such as "<|end|>".
type Added struct {
	ID      int32
	Content string
	Special bool // left out by Decode when asked
}

type pair struct{ left, right int32 }

// Tokenizer is safe for concurrent use.
type Tokenizer struct {
	tokens []string         // by id; bytes spelled in the byte alphabet, added tokens as they are
	ids    map[string]int32 // of the model's vocabulary and the added tokens
	ranks  map[pair]merge
	merges []pair // in order of rank
	added  []Added
	first  [256]bool // bytes an added token begins with
	bytes  [256]int32
	addedN map[int32]bool // ids of added tokens; true if special

	mu    sync.RWMutex
	cache map[string][]int32 // words seen; bounded
}

type merge struct {
	rank int
	id   int32
}

// cacheLimit bounds the words kept: natural text repeats few.
const cacheLimit = 1 << 16

func build(tokens []string, merges []pair, added []Added) *Tokenizer {
	t := &Tokenizer{tokens: tokens, ids: make(map[string]int32, len(tokens)), ranks: make(map[pair]merge, len(merges)), merges: merges, added: added, addedN: map[int32]bool{}, cache: map[string][]int32{}}
	for id, s := range tokens {
		t.ids[s] = int32(id)
	}
	for _, a := range added {
		t.first[a.Content[0]] = true
		t.addedN[a.ID] = a.Special
	}
	// The longest of two added tokens that begin alike wins.
	slices.SortStableFunc(t.added, func(a, b Added) int { return len(b.Content) - len(a.Content) })
	for b := range 256 {
		t.bytes[b] = -1
		if id, ok := t.ids[alphabet[b]]; ok {
			t.bytes[b] = id
		}
	}
	for rank, p := range merges {
		if _, ok := t.ranks[p]; !ok {
			t.ranks[p] = merge{rank, t.ids[tokens[p.left]+tokens[p.right]]}
		}
	}
	return t
}

// VocabSize is the number of ids: one more than the largest.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// TokenID is the id of a token spelled as in tokenizer.json.
func (t *Tokenizer) TokenID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token is the spelling of an id in tokenizer.json, or "" of an unknown id.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// Encode gives the ids of text. With special, added tokens inside the text are recognised;
// without, they are spelled out like any text, so that a user cannot write markers of the
// chat template. Nothing is put in front or behind.
func (t *Tokenizer) Encode(text string, special bool) []int32 {
	var ids []int32
	if !special {
		return t.encodeText(ids, text)
	}
	start := 0
	for i := 0; i < len(text); i++ {
		if !t.first[text[i]] {
			continue
		}
		for _, a := range t.added {
			if strings.HasPrefix(text[i:], a.Content) {
				ids = append(t.encodeText(ids, text[start:i]), a.ID)
				start = i + len(a.Content)
				i = start - 1
				break
			}
		}
	}
	return t.encodeText(ids, text[start:])
}

func (t *Tokenizer) encodeText(ids []int32, text string) []int32 {
	for len(text) > 0 {
		n := nextWord(text)
		ids = t.encodeWord(ids, text[:n])
		text = text[n:]
	}
	return ids
}

func (t *Tokenizer) encodeWord(ids []int32, word string) []int32 {
	t.mu.RLock()
	known, ok := t.cache[word]
	t.mu.RUnlock()
	if ok {
		return append(ids, known...)
	}
	parts := t.merge(word)
	if len(word) <= 64 {
		t.mu.Lock()
		if len(t.cache) >= cacheLimit {
			clear(t.cache)
		}
		t.cache[strings.Clone(word)] = parts
		t.mu.Unlock()
	}
	return append(ids, parts...)
}

// merge applies the merges of lowest rank first, leftmost first.
func (t *Tokenizer) merge(word string) []int32 {
	parts := make([]int32, 0, len(word))
	for i := range len(word) {
		if id := t.bytes[word[i]]; id >= 0 {
			parts = append(parts, id)
		}
	}
	for len(parts) > 1 {
		best, at := merge{rank: len(t.merges)}, -1
		for i := range len(parts) - 1 {
			if m, ok := t.ranks[pair{parts[i], parts[i+1]}]; ok && m.rank < best.rank {
				best, at = m, i
			}
		}
		if at < 0 {
			break
		}
		parts[at] = best.id
		parts = slices.Delete(parts, at+1, at+2)
	}
	return parts
}

// Decode is the text of ids. Bytes that are no valid UTF-8 are kept as they are. With
// skipSpecial, special tokens leave no trace; unknown ids never do.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	var b strings.Builder
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.tokens) {
			continue
		}
		if special, ok := t.addedN[id]; ok {
			if !special || !skipSpecial {
				b.WriteString(t.tokens[id])
			}
			continue
		}
		for _, r := range t.tokens[id] {
			if c, ok := unalphabet[r]; ok {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}
