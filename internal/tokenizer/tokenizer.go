package tokenizer

import "sync"

// Tokenizer is safe for concurrent use.
type Tokenizer struct {
	tokens []string         // by id, spelled as in tokenizer.json; "" where there is no token
	texts  []string         // by id, what Decode writes in the middle of a text
	ids    map[string]int32 // of the model's own tokens
	extra  map[string]int32 // of added tokens that are not among them
	merges []pair           // in order of rank
	ranks  ranks            // the same, to look up
	widths []int            // by id, the symbols that are merged into it
	added  []Added
	all    addedTokens    // all of them
	plain  addedTokens    // those that are not special
	isSpec map[int32]bool // ids of special tokens

	symbols symbols
	scheme  scheme
	caches  sync.Pool // of wordCache
}

// addedTokens are looked for in two passes, as Hugging Face's library does.
type addedTokens struct{ raw, normalized *matcher }

// vocabulary is what a tokenizer is made of, besides its scheme.
type vocabulary struct {
	tokens  []string
	merges  []pair
	added   []Added
	outside map[int32]bool // added tokens that the model itself does not have
}

func build(v vocabulary, s scheme) (*Tokenizer, error) {
	t := &Tokenizer{tokens: v.tokens, texts: make([]string, len(v.tokens)), ids: make(map[string]int32, len(v.tokens)), extra: map[string]int32{},
		merges: v.merges, widths: make([]int, len(v.tokens)), added: v.added, isSpec: map[int32]bool{}, scheme: s}
	t.caches.New = func() any { return wordCache{} }
	for id, token := range v.tokens {
		t.widths[id] = 1
		if token == "" {
			continue
		}
		t.texts[id] = s.decoder.text(token)
		if v.outside[int32(id)] {
			t.extra[token] = int32(id)
		} else {
			t.ids[token] = int32(id)
		}
	}
	for _, a := range v.added {
		shown := a.Content // as the decoder sees it
		if a.Normalized {
			shown = s.normalize(piece{text: shown}).text
		}
		if !s.decoder.spelled {
			shown = s.decoder.text(shown)
		}
		t.texts[a.ID] = shown
		if a.Special {
			t.isSpec[a.ID] = true
		}
	}
	for i, group := range []*addedTokens{&t.all, &t.plain} {
		wanted := func(a Added) bool { return i == 0 || !a.Special }
		group.raw = newMatcher(v.added, func(a Added) bool { return wanted(a) && !a.Normalized }, func(a Added) string { return a.Content })
		group.normalized = newMatcher(v.added, func(a Added) bool { return wanted(a) && a.Normalized },
			func(a Added) string { return s.normalize(piece{text: a.Content}).text })
	}
	product := func(p pair) int32 { return t.ids[v.tokens[p.left]+v.tokens[p.right]] }
	t.ranks = newRanks(v.merges, product)
	for _, p := range v.merges {
		if id := product(p); t.widths[id] == 1 {
			t.widths[id] = t.widths[p.left] + t.widths[p.right]
		}
	}
	var err error
	if t.symbols, err = newSymbols(t.ids, &s); err != nil {
		return nil, err
	}
	if t.wordsBeginWithMarker() {
		t.scheme.stages = append(t.scheme.stages[:len(s.stages):len(s.stages)], stage{cut: splitMarker})
	}
	return t, nil
}

// VocabSize is the number of ids: one more than the largest.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// TokenID is the id of a token spelled as in tokenizer.json.
func (t *Tokenizer) TokenID(token string) (int32, bool) {
	if id, ok := t.extra[token]; ok {
		return id, true
	}
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
