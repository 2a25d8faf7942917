package remote

import (
	"errors"
	"fmt"

	"stargate/lm"
)

// tgiPrefill is TGI's way (router/src/lib.rs, GenerateParameters): details of the input,
// which a server gives only when it was started with --enable-prefill-logprobs. It takes
// texts only; the ids it reports have to be those of the role's tokenizer directory.
var tgiPrefill = scoring{name: "decoder_input_details", request: func(c *Client, all []sequence) (request, error) {
	s := all[0]
	if s.text == "" {
		return request{}, fmt.Errorf("%w: TGI scores texts, so the role needs a tokenizer directory to check their tokens", lm.ErrCannotScore)
	}
	data, err := newBody().add("inputs", s.text).add("parameters", map[string]any{"max_new_tokens": 1, "details": true, "decoder_input_details": true}).bytes()
	return request{path: "/generate", body: data, parse: func(answer []byte) (reply, error) { return parseTGI(answer, s) }}, err
}}

var errPrefill = errors.New("the answer's prefill is empty: start the server with --enable-prefill-logprobs")

func parseTGI(answer []byte, s sequence) (reply, error) {
	var a struct {
		Details *struct {
			Generated int `json:"generated_tokens"`
			Prefill   []struct {
				ID      int32    `json:"id"`
				LogProb *float64 `json:"logprob"`
			} `json:"prefill"`
		} `json:"details"`
	}
	if err := decode(answer, &a); err != nil {
		return reply{}, err
	}
	if a.Details == nil {
		return reply{}, fmt.Errorf("%w: it has no details: %s", ErrGarbage, oneLine(answer))
	}
	entries := a.Details.Prefill
	r := reply{billed: &lm.Usage{PromptTokens: len(s.ids), CompletionTokens: a.Details.Generated}}
	if len(entries) == 0 {
		return r, fmt.Errorf("%w: %w", lm.ErrCannotScore, errPrefill)
	}
	if len(entries) != len(s.ids) {
		return r, fmt.Errorf("%w: the server reads %d tokens, the tokenizer directory %d: is it this model's?", ErrScore, len(entries), len(s.ids))
	}
	if entries[0].LogProb != nil {
		return r, fmt.Errorf("%w: the first token has a log-probability, though nothing predicts it: the list is shifted", ErrScore)
	}
	scores := make([]float64, 0, len(s.target()))
	for k, e := range entries {
		if e.ID != s.ids[k] {
			return r, fmt.Errorf("%w: token %d of the text is %d to the server and %d to the tokenizer directory: is it this model's?", ErrScore, k, e.ID, s.ids[k])
		}
		if k < s.from {
			continue
		}
		if e.LogProb == nil {
			return r, fmt.Errorf("%w: token %d of the text has no value", ErrScore, k)
		}
		scores = append(scores, *e.LogProb)
	}
	r.scores = [][]float64{scores}
	return r, nil
}
