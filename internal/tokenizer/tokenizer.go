package tokenizer

import (
	"encoding/json"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"
)

// Tokenizer is safe for concurrent use.
type Tokenizer struct {
	tokens []string         // by id, spelled as in tokenizer.json; "" where there is no token
	texts  []string         // by id, what Decode writes
	ids    map[string]int32 // of tokens
	merges []pair           // in order of rank
	ranks  map[pair]merge   // the same, to look up
	bytes  [256]int32       // the token of a byte, -1 if the vocabulary lacks it
	added  []Added
	all    addedTokens    // all of them
	plain  addedTokens    // those that are not special
	isSpec map[int32]bool // ids of special tokens

	scheme scheme
	caches sync.Pool // of wordCache
}

// addedTokens are looked for in two passes, as Hugging Face's library does.
type addedTokens struct{ raw, normalized *matcher }

// scheme is what tokenizer.json says besides vocabulary and merges.
type scheme struct {
	stages       []splitter
	nfc          bool // bring text to Unicode's form NFC first
	ignoreMerges bool // a word that is a token is that token, whatever the merges say

	// The parts of the document these come from, to be written again.
	normalizer, preTokenizer, postProcessor, decoder json.RawMessage
}

func build(tokens []string, merges []pair, added []Added, s scheme) *Tokenizer {
	t := &Tokenizer{tokens: tokens, texts: make([]string, len(tokens)), ids: make(map[string]int32, len(tokens)),
		merges: merges, ranks: make(map[pair]merge, len(merges)), added: added, isSpec: map[int32]bool{}, scheme: s}
	t.caches.New = func() any { return wordCache{} }
	for id, token := range tokens {
		if token != "" {
			t.ids[token] = int32(id)
			t.texts[id] = unspell(token)
		}
	}
	for _, a := range added {
		t.texts[a.ID] = a.Content
		if a.Special {
			t.isSpec[a.ID] = true
		}
	}
	for i, group := range []*addedTokens{&t.all, &t.plain} {
		wanted := func(a Added) bool { return i == 0 || !a.Special }
		group.raw = newMatcher(added, func(a Added) bool { return wanted(a) && !a.Normalized })
		group.normalized = newMatcher(added, func(a Added) bool { return wanted(a) && a.Normalized })
	}
	for b := range t.bytes {
		t.bytes[b] = -1
		if id, ok := t.ids[alphabet[b]]; ok {
			t.bytes[b] = id
		}
	}
	for rank, p := range merges {
		if _, ok := t.ranks[p]; !ok {
			t.ranks[p] = merge{int32(rank), t.ids[tokens[p.left]+tokens[p.right]]}
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

// Encode gives the ids of text. With special, special tokens inside the text are recognised;
// without, they are spelled out like any text, so that a user cannot write markers of the
// chat template. Nothing is put in front or behind: what a chat begins with is the business
// of its template.
//
// Every byte is encoded, also of invalid UTF-8; only a byte the vocabulary has no token for
// is left out, as Hugging Face's library does.
func (t *Tokenizer) Encode(text string, special bool) []int32 {
	added := &t.plain
	if special {
		added = &t.all
	}
	e := encoding{t, t.caches.Get().(wordCache), make([]int32, 0, len(text)/3+1)}
	e.added(text, added.raw, func(text string) {
		if t.scheme.nfc {
			text = norm.NFC.String(text)
		}
		e.added(text, added.normalized, func(text string) { e.pieces(text, t.scheme.stages) })
	})
	t.caches.Put(e.cache)
	return e.ids
}

// encoding is one call of Encode.
type encoding struct {
	t     *Tokenizer
	cache wordCache
	ids   []int32
}

// added encodes the added tokens in text, and what is between them by between.
func (e *encoding) added(text string, m *matcher, between func(string)) {
	for {
		at, a, ok := m.next(text)
		if !ok {
			between(text)
			return
		}
		between(text[:at])
		e.ids = append(e.ids, a.ID)
		text = text[at+len(a.Content):]
	}
}

// pieces cuts text by the first stage, its pieces by the next, and so on; what the last one
// leaves are words.
func (e *encoding) pieces(text string, stages []splitter) {
	if len(stages) == 0 && text != "" {
		e.word(text)
		return
	}
	for len(text) > 0 {
		n := stages[0](text)
		e.pieces(text[:n], stages[1:])
		text = text[n:]
	}
}

func (e *encoding) word(word string) {
	parts, ok := e.cache[word]
	if !ok {
		parts = e.t.split(word)
		e.cache.put(word, parts)
	}
	e.ids = append(e.ids, parts...)
}

func (t *Tokenizer) split(word string) []int32 {
	if t.scheme.ignoreMerges {
		if id, ok := t.ids[spell(word)]; ok && !t.isSpec[id] {
			return []int32{id}
		}
	}
	parts := make([]int32, 0, len(word))
	for i := range len(word) {
		if id := t.bytes[word[i]]; id >= 0 {
			parts = append(parts, id)
		}
	}
	return bpe(parts, t.ranks)
}

// Decode is the text of ids. Bytes that are no valid UTF-8 are kept as they are. With
// skipSpecial, special tokens leave no trace; unknown ids never do.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	if len(ids) == 1 {
		return t.text(ids[0], skipSpecial)
	}
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(t.text(id, skipSpecial))
	}
	return b.String()
}

func (t *Tokenizer) text(id int32, skipSpecial bool) string {
	if id < 0 || int(id) >= len(t.texts) || skipSpecial && t.isSpec[id] {
		return ""
	}
	return t.texts[id]
}
