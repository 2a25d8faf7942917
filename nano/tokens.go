package nano

import (
	"fmt"

	"stargate/internal/llama"
	"stargate/internal/tokenizer"
	"stargate/lm"
)

// Special tokens of the built-in model; ids are their positions.
var special = []string{"<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"}

const endToken = "<|end|>"

// trainTokenizer learns the vocabulary from the first documents of the corpus.
func trainTokenizer(c *Corpus, documents, vocab int) (*tokenizer.Tokenizer, error) {
	var failed error
	texts := func(yield func(string) bool) {
		for i := range documents {
			d, err := c.Document(rampDocuments + i)
			if err != nil {
				failed = err
				return
			}
			for _, m := range d.Chat {
				if !yield(m.Content) {
					return
				}
			}
		}
	}
	t, err := tokenizer.Train(texts, tokenizer.Options{VocabSize: vocab, Special: special, MinFrequency: 8})
	if failed != nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

// encoder renders documents in the built-in model's chat template,
// <|user|>…<|end|><|assistant|>…<|end|>, keeping track of which tokens carry loss.
func encoder(t *tokenizer.Tokenizer) (encode, error) {
	id := map[string]int32{}
	for _, s := range special {
		n, ok := t.TokenID(s)
		if !ok {
			return nil, fmt.Errorf("tokenizer: no token %s", s)
		}
		id[s] = n
	}
	marker := map[lm.Role]int32{lm.System: id["<|system|>"], lm.User: id["<|user|>"], lm.Assistant: id["<|assistant|>"]}
	return func(d Document) (llama.Sequence, error) {
		var q llama.Sequence
		for i, m := range d.Chat {
			ids := append(t.Encode(m.Content, false), id[endToken])
			q.Tokens = append(append(q.Tokens, marker[m.Role]), ids...)
			q.Loss = append(q.Loss, false)
			for range ids {
				q.Loss = append(q.Loss, d.Loss[i])
			}
		}
		return q, nil
	}, nil
}
