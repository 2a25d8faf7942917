package tokenizer

import "strings"

// Encode gives the ids of text. With special, special tokens inside the text are recognised;
// without, they are spelled out like any text, so that a user cannot write markers of the
// chat template. Nothing is put in front or behind (see [Tokenizer.Around]): what a chat
// begins with is the business of its template.
//
// Every byte is encoded, also of invalid UTF-8, if the vocabulary has a token for it; what has
// none is its unknown token, or is left out, as Hugging Face's library does.
func (t *Tokenizer) Encode(text string, special bool) []int32 {
	e := encoding{t: t, ids: make([]int32, 0, len(text)/3+1)}
	e.text(whole(text, false), special)
	return e.ids
}

// EncodeOffsets is Encode, and where in text each token ends. Where a normalizer changes the
// text, a token ends behind what its last character was made of.
func (t *Tokenizer) EncodeOffsets(text string, special bool) (ids []int32, ends []int) {
	e := encoding{t: t, ids: make([]int32, 0, len(text)/3+1), ends: make([]int, 0, len(text)/3+1)}
	e.text(whole(text, true), special)
	return e.ids, e.ends
}

// Around is what the post-processor puts before and behind a text that stands alone: in most
// models a token for its beginning. The slices are the caller's.
func (t *Tokenizer) Around() (before, after []int32) {
	return append([]int32(nil), t.scheme.before...), append([]int32(nil), t.scheme.after...)
}

// encoding is one call of Encode.
type encoding struct {
	t     *Tokenizer
	cache wordCache
	ids   []int32
	ends  []int // nil: not wanted
	later bool  // the piece is not the beginning of the text

	symbols []int32 // used again by offsets
	sizes   []int
}

// text encodes the added tokens in p, and what is between them normalized and cut into words.
func (e *encoding) text(p piece, special bool) {
	added := &e.t.plain
	if special {
		added = &e.t.all
	}
	e.cache = e.t.caches.Get().(wordCache)
	added.raw.each(p, e.token, func(p piece) {
		p = e.t.scheme.normalize(p)
		added.normalized.each(p, e.token, func(p piece) {
			e.pieces(p, e.t.scheme.stages)
			e.later = true
		})
		e.later = true
	})
	e.t.caches.Put(e.cache)
}

func (e *encoding) token(a Added, p piece) {
	e.later = true
	e.ids = append(e.ids, a.ID)
	if e.ends != nil {
		e.ends = append(e.ends, p.end(len(p.text)))
	}
}

// pieces cuts p by the first stage, its pieces by the next, and so on; what the last one
// leaves are words.
func (e *encoding) pieces(p piece, stages []stage) {
	if p.text == "" {
		return
	}
	if len(stages) == 0 {
		e.word(p)
		return
	}
	s := stages[0]
	if s.prepare != nil {
		p = s.prepare(p, !e.later)
	}
	if s.cut == nil {
		e.pieces(p, stages[1:])
		return
	}
	for len(p.text) > 0 {
		n := s.cut(p.text)
		e.pieces(p.cut(0, n), stages[1:])
		p = p.cut(n, len(p.text))
		e.later = true
	}
}

func (e *encoding) word(p piece) {
	parts, ok := e.cache[p.text]
	if !ok {
		parts = e.t.split(p.text)
		e.cache.put(p.text, parts)
	}
	e.ids = append(e.ids, parts...)
	if e.ends != nil {
		e.offsets(p, parts)
	}
}

// offsets tells the ends of a word's tokens: each is made of as many symbols as it is wide.
func (e *encoding) offsets(p piece, parts []int32) {
	e.sizes = e.sizes[:0]
	e.symbols = e.t.symbols.of(p.text, e.symbols[:0], &e.sizes)
	sizes, at := e.sizes, 0
	for i, id := range parts {
		n := min(e.t.widths[id], len(sizes))
		for _, size := range sizes[:n] {
			at += size
		}
		sizes = sizes[n:]
		if i == len(parts)-1 {
			at = len(p.text)
		}
		e.ends = append(e.ends, p.end(at))
	}
}

func (t *Tokenizer) split(word string) []int32 {
	if t.scheme.ignoreMerges {
		spelled := word
		if t.scheme.spelled {
			spelled = spell(word)
		}
		if id, ok := t.ids[spelled]; ok && !t.isSpec[id] {
			return []int32{id}
		}
	}
	return bpe(t.symbols.of(word, make([]int32, 0, len(word)), nil), t.ranks)
}

// marker is what SentencePiece writes for a space.
const marker = "\u2581"

// wordsBeginWithMarker tells whether text in characters can be cut before each run of markers
// without changing its tokens, because no merge joins a marker to what is before it and nothing that is left out can bring
// two markers together. Words are then merged, and remembered, one by one instead of all text at once.
func (t *Tokenizer) wordsBeginWithMarker() bool {
	if _, known := t.ids[marker]; t.scheme.spelled || t.scheme.ignoreMerges || t.symbols.drops || !known {
		return false
	}
	for _, p := range t.merges {
		if strings.HasPrefix(t.tokens[p.right], marker) && !strings.HasSuffix(t.tokens[p.left], marker) {
			return false
		}
	}
	return true
}

// splitMarker cuts before each run of markers.
func splitMarker(s string) int {
	n := 0
	for strings.HasPrefix(s[n:], marker) {
		n += len(marker)
	}
	if i := strings.Index(s[n:], marker); i >= 0 {
		return n + i
	}
	return len(s)
}
