package serve

import "net/http"

// tokenizeRequest is vLLM's POST /tokenize, of a text or of a chat.
type tokenizeRequest struct {
	Model           *string   `json:"model"`
	Prompt          *string   `json:"prompt"`
	Messages        []message `json:"messages"`
	AddSpecial      *bool     `json:"add_special_tokens"` // default true for a text, false for a chat
	ReturnTokenStrs bool      `json:"return_token_strs"`
	template
}

// tokenize answers POST /tokenize.
func (s *Server) tokenize(w *answer, r *http.Request) error {
	if err := s.places.take(1); err != nil {
		return err
	}
	defer s.places.give(1)
	var q tokenizeRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	m, err := s.resolve(q.Model)
	if err != nil {
		return err
	}
	defer m.letGo()
	var tokens []int32
	switch {
	case (q.Prompt == nil) == (q.Messages == nil):
		return invalid("prompt", "tokenize wants either prompt or messages")
	case q.Prompt != nil:
		tokens = m.Tokenize(*q.Prompt, q.AddSpecial == nil || *q.AddSpecial)
	default:
		if tokens, err = q.render(m.Model, q.Messages); err != nil {
			return err
		}
		if q.AddSpecial != nil && *q.AddSpecial {
			tokens = append(m.Tokenize("", true), tokens...)
		}
	}
	out := struct {
		Count       int      `json:"count"`
		MaxModelLen int      `json:"max_model_len"`
		Tokens      []int32  `json:"tokens"`
		TokenStrs   []string `json:"token_strs"`
	}{len(tokens), m.Room(), append([]int32{}, tokens...), nil}
	if q.ReturnTokenStrs {
		out.TokenStrs = []string{}
		for _, id := range tokens {
			out.TokenStrs = append(out.TokenStrs, m.Token(id))
		}
	}
	return w.send(http.StatusOK, out)
}

// detokenize answers vLLM's POST /detokenize.
func (s *Server) detokenize(w *answer, r *http.Request) error {
	if err := s.places.take(1); err != nil {
		return err
	}
	defer s.places.give(1)
	var q struct {
		Model  *string  `json:"model"`
		Tokens tokenIDs `json:"tokens"`
	}
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	m, err := s.resolve(q.Model)
	if err != nil {
		return err
	}
	defer m.letGo()
	for i, id := range q.Tokens {
		if id < 0 || int(id) >= m.Config().VocabSize {
			return invalid("tokens", "token %d is %d, the vocabulary has ids from 0 to %d", i, id, m.Config().VocabSize-1)
		}
	}
	return w.send(http.StatusOK, struct {
		Prompt string `json:"prompt"`
	}{m.Decode(q.Tokens)})
}
