package remote

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/go-json-experiment/json/jsontext"

	"stargate/lm"
)

// TRL's server (trl/scripts/vllm_serve.py) speaks a protocol of its own: token ids in and
// out, no text. The role's tokenizer directory turns chats into ids and ids into text.

// trlGenerate asks what follows token ids (POST /generate/).
func (c *Client) trlGenerate(ids []int32, s lm.Sampling, _ bool) (request, error) {
	_, most := c.limit(s, len(ids))
	topP, topK := 1.0, -1
	if s.TopP > 0 {
		topP = s.TopP
	}
	if s.TopK > 0 {
		topK = s.TopK
	}
	further := newBody().add("seed", positive(s.Seed))
	if len(s.Stop) > 0 {
		further.add("stop", s.Stop)
	}
	kwargs, err := further.bytes()
	if err != nil {
		return request{}, err
	}
	b := newBody().add("prompts", [][]int32{ids}).add("n", 1).add("temperature", s.Temperature).add("top_p", topP).add("top_k", topK).
		add("max_tokens", most).add("logprobs", 0).add("generation_kwargs", jsontext.Value(kwargs))
	data, err := b.extra(c.plainExtra()).bytes()
	return request{path: "/generate/", body: data, in: len(ids), out: most, parse: func(answer []byte) (reply, error) {
		return c.parseTRLGenerate(answer, len(ids), most, s.Stop)
	}}, err
}

func (c *Client) parseTRLGenerate(data []byte, prompt, most int, stop []string) (reply, error) {
	var a struct {
		Completions []tokenIDs     `json:"completion_ids"`
		LogProbs    [][][]*float64 `json:"logprobs"`
	}
	if err := decode(data, &a); err != nil {
		return reply{}, err
	}
	if len(a.Completions) != 1 {
		return reply{}, fmt.Errorf("%w: %d completions for one prompt", ErrGarbage, len(a.Completions))
	}
	drawn := a.Completions[0]
	r := reply{billed: &lm.Usage{PromptTokens: prompt, CompletionTokens: len(drawn)}}
	if len(a.LogProbs) == 1 {
		for _, l := range a.LogProbs[0] {
			if len(l) == 0 || l[0] == nil {
				r.logprobs = nil
				break
			}
			r.logprobs = append(r.logprobs, *l[0])
		}
	}
	dir, ok := c.encoder.(*directoryEncoder)
	if !ok {
		return r, fmt.Errorf("%w: without a tokenizer directory the ids cannot be read", ErrUnsupported)
	}
	// The server does not say why a completion ended: the ids show it.
	reason := "length"
	var by jsontext.Value
	if n := len(drawn); n > 0 && dir.ends(drawn[n-1]) {
		reason = "stop"
		r.Text = dir.answer(drawn[:n-1])
	} else {
		r.Text = dir.answer(drawn)
	}
	if cut, ok := cutAt(r.Text, stop); ok {
		r.Text, reason, by = cut, "stop", jsontext.Value(`"stop"`)
	} else if reason == "length" && len(drawn) < most && (c.facts.MaxLength == 0 || prompt+len(drawn) < c.facts.MaxLength) {
		return r, fmt.Errorf("%w: the completion ends after %d of %d tokens without an end-of-turn token that the tokenizer directory knows: is it this model's?", ErrGarbage, len(drawn), most)
	}
	return r, c.finish(&r, finish{FinishReason: &reason, StopReason: by}, drawn)
}

// trlJSON is TRL's way, in the JSON form: a list per token of log-probabilities by rank, and
// a list of their ids, in which the text's own token is looked up.
var trlJSON = scoring{name: "get_sequence_logprobs, json", batch: true, request: func(c *Client, all []sequence) (request, error) {
	return trlScore(all, "json", parseTRLJSON)
}}

// trlBinary is the same in the binary form, where the values of the text's own tokens have
// arrays of their own.
var trlBinary = scoring{name: "get_sequence_logprobs, binary", batch: true, request: func(c *Client, all []sequence) (request, error) {
	return trlScore(all, "binary", parseTRLBinary)
}}

func trlScore(all []sequence, format string, parse func([]byte, []sequence) (reply, error)) (request, error) {
	texts, lengths := make([][]int32, len(all)), make([]int, len(all))
	for i, s := range all {
		texts[i], lengths[i] = s.ids, s.from
	}
	data, err := newBody().add("sequences", texts).add("prompt_lengths", lengths).add("top_logprobs", 1).add("temperature", 1).add("response_format", format).bytes()
	return request{path: "/get_sequence_logprobs/", body: data, parse: func(answer []byte) (reply, error) {
		r, err := parse(answer, all)
		r.billed = new(lm.Usage)
		for _, s := range all {
			r.billed.PromptTokens += len(s.ids)
		}
		return r, err
	}}, err
}

func parseTRLJSON(answer []byte, all []sequence) (reply, error) {
	var a struct {
		LogProbs [][][]*float64 `json:"logprobs"`
		IDs      [][]tokenIDs   `json:"logprob_token_ids"`
	}
	var r reply
	if err := decode(answer, &a); err != nil {
		return r, err
	}
	if len(a.LogProbs) != len(all) || len(a.IDs) != len(all) {
		return r, fmt.Errorf("%w: %d lists for %d texts", ErrGarbage, len(a.LogProbs), len(all))
	}
	for i, s := range all {
		target := s.target()
		if len(a.LogProbs[i]) != len(target) || len(a.IDs[i]) != len(target) {
			return r, fmt.Errorf("%w: %d values for a target of %d tokens", ErrScore, len(a.LogProbs[i]), len(target))
		}
		scores := make([]float64, 0, len(target))
		for k, id := range target {
			values, ids := a.LogProbs[i][k], a.IDs[i][k]
			at := -1
			for j, other := range ids {
				if other == id {
					at = j
				}
			}
			if at < 0 || at >= len(values) || values[at] == nil {
				return r, fmt.Errorf("%w: token %d of the target: there is no value for its id %d among %v", ErrScore, k+1, id, ids)
			}
			scores = append(scores, *values[at])
		}
		r.scores = append(r.scores, scores)
	}
	return r, nil
}

func parseTRLBinary(answer []byte, all []sequence) (reply, error) {
	var a struct {
		LogProbs string `json:"actual_logprobs_b64"`  // float32, (texts, longest target, 1)
		IDs      string `json:"actual_token_ids_b64"` // int32, likewise
		Lengths  []int  `json:"completion_lengths"`
	}
	var r reply
	if err := decode(answer, &a); err != nil {
		return r, err
	}
	values, err := words(a.LogProbs)
	if err != nil {
		return r, err
	}
	ids, err := words(a.IDs)
	if err != nil {
		return r, err
	}
	longest := 0
	for _, s := range all {
		longest = max(longest, len(s.target()))
	}
	if len(a.Lengths) != len(all) || len(values) != len(all)*longest || len(ids) != len(values) {
		return r, fmt.Errorf("%w: arrays of %d and %d values with %d lengths for %d targets of at most %d tokens", ErrScore, len(values), len(ids), len(a.Lengths), len(all), longest)
	}
	for i, s := range all {
		if a.Lengths[i] != len(s.target()) {
			return r, fmt.Errorf("%w: %d values for a target of %d tokens", ErrScore, a.Lengths[i], len(s.target()))
		}
		scores := make([]float64, 0, len(s.target()))
		for k, id := range s.target() {
			if got := int32(ids[i*longest+k]); got != id {
				return r, fmt.Errorf("%w: token %d of the target has the id %d, the server scored %d", ErrScore, k+1, id, got)
			}
			scores = append(scores, float64(math.Float32frombits(values[i*longest+k])))
		}
		r.scores = append(r.scores, scores)
	}
	return r, nil
}

// words are the little-endian 32-bit words of base64 text.
func words(text string) ([]uint32, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data)%4 != 0 {
		return nil, fmt.Errorf("%w: an array that is no base64 of 32-bit numbers", ErrGarbage)
	}
	out := make([]uint32, len(data)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return out, nil
}
