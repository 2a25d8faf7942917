package remote

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// promptLogProbs is vLLM's way (vllm/entrypoints/openai/completion/protocol.py): one object
// per token of the prompt, keyed by token id, in which the prompt's own token is looked up.
// prompt_logprobs 0 asks for no further tokens; servers may send some all the same.
var promptLogProbs = scoring{name: "prompt_logprobs", batch: true, request: func(c *Client, all []sequence) (request, error) {
	b := scoreBody(c, all, c.facts.scoreRoom())
	b.add("prompt_logprobs", 0)
	data, err := b.bytes()
	return request{path: c.role.Prefix + "/completions", body: data, parse: func(answer []byte) (reply, error) {
		return parsePromptLogProbs(answer, all)
	}}, err
}}

// scoreBody is what requests for completions have in common that are about their prompt.
func scoreBody(c *Client, all []sequence, draw int) *body {
	b := newBody()
	if m := c.wireModel(); m != "" {
		b.add("model", m)
	}
	prompts := make([][]int32, len(all))
	for i, s := range all {
		prompts[i] = s.ids
	}
	b.add("prompt", prompts)
	b.add("max_tokens", draw)
	b.add("temperature", 1)
	if c.dialect.seed != nil {
		b.add("seed", 0)
	}
	if c.dialect.tokenIDs {
		b.add("return_token_ids", true)
	}
	return b
}

// choicesInOrder reads an answer with one choice per sequence and puts them in their order.
func choicesInOrder(answer []byte, all []sequence) (completionAnswer, reply, error) {
	var a completionAnswer
	if err := decode(answer, &a); err != nil {
		return a, reply{}, err
	}
	r := reply{model: a.Model, billed: a.Usage.usage(), scores: make([][]float64, len(all))}
	if err := inner(a.Error); err != nil {
		return a, r, err
	}
	if len(a.Choices) != len(all) {
		return a, r, fmt.Errorf("%w: %d choices for %d prompts", ErrGarbage, len(a.Choices), len(all))
	}
	ordered := slices.Clone(a.Choices)
	seen := make([]bool, len(all))
	for _, x := range a.Choices {
		if x.Index < 0 || x.Index >= len(all) || seen[x.Index] {
			return a, r, fmt.Errorf("%w: choice %d of %d is missing or twice there", ErrGarbage, x.Index, len(all))
		}
		seen[x.Index] = true
		ordered[x.Index] = x
	}
	a.Choices = ordered
	for i, x := range a.Choices {
		if x.PromptTokenIDs != nil && !slices.Equal(x.PromptTokenIDs, all[i].ids) {
			return a, r, fmt.Errorf("%w: the server scored other tokens than it was given (%d, %d given)", ErrScore, len(x.PromptTokenIDs), len(all[i].ids))
		}
	}
	return a, r, nil
}

func parsePromptLogProbs(answer []byte, all []sequence) (reply, error) {
	if len(all) == 1 {
		if rest, scores, ok := takeScores(answer, all[0]); ok {
			return readPromptLogProbs(rest, all, scores)
		}
	}
	return readPromptLogProbs(answer, all, nil)
}

// readPromptLogProbs reads an answer; taken are the scores of an empty list in it.
func readPromptLogProbs(answer []byte, all []sequence, taken []float64) (reply, error) {
	a, r, err := choicesInOrder(answer, all)
	if err != nil {
		return r, err
	}
	for i, x := range a.Choices {
		s := all[i]
		if x.PromptLogProbs == nil {
			return r, fmt.Errorf("%w: the answer has no prompt_logprobs", ErrScore)
		}
		if taken != nil && len(x.PromptLogProbs) == 0 {
			r.scores[i] = taken
			continue
		}
		if len(x.PromptLogProbs) != len(s.ids) {
			return r, fmt.Errorf("%w: prompt_logprobs has %d entries for %d tokens", ErrScore, len(x.PromptLogProbs), len(s.ids))
		}
		if first := strings.TrimSpace(string(x.PromptLogProbs[0])); first != "null" {
			return r, fmt.Errorf("%w: the first token has a log-probability, though nothing predicts it: the list is shifted", ErrScore)
		}
		scores := make([]float64, 0, len(s.target()))
		for k, id := range s.target() {
			lp, err := lookUp(x.PromptLogProbs[s.from+k], id)
			if err != nil {
				return r, fmt.Errorf("token %d of the text: %w", s.from+k, err)
			}
			scores = append(scores, lp)
		}
		r.scores[i] = scores
	}
	return r, nil
}

// lookUp is the log-probability of a token in an object keyed by token ids, which is valid
// JSON.
func lookUp(entry []byte, id int32) (float64, error) {
	name := strconv.Itoa(int(id))
	// Every server writes it like this. The quotes cannot be inside of a string, where they
	// would be escaped.
	if _, rest, ok := bytes.Cut(entry, []byte(`"`+name+`":{"logprob":`)); ok {
		if end := bytes.IndexAny(rest, ",}"); end > 0 {
			if lp, err := strconv.ParseFloat(string(rest[:end]), 64); err == nil {
				return lp, nil
			}
		}
	}
	var of map[string]struct {
		LogProb *float64 `json:"logprob"`
	}
	if err := json.Unmarshal(entry, &of, lenient); err != nil {
		return 0, fmt.Errorf("%w: an entry that is no object of log-probabilities: %s", ErrScore, oneLine(entry))
	}
	found, ok := of[name]
	if !ok {
		return 0, fmt.Errorf("%w: there is no value for its id %d: %s", ErrScore, id, oneLine(entry))
	}
	if found.LogProb == nil {
		return 0, fmt.Errorf("%w: the value for its id %d is missing", ErrScore, id)
	}
	return *found.LogProb, nil
}

// echo is the older way, which gateways know too: the prompt comes back as part of the
// completion, with parallel lists of tokens and their log-probabilities
// (OpenAI API reference, completions).
var echo = scoring{name: "echo", batch: true, request: func(c *Client, all []sequence) (request, error) {
	b := scoreBody(c, all, c.facts.scoreRoom())
	b.add("echo", true)
	if c.facts.Server == Stargate {
		b.add("logprobs", 0) // alternatives take it many times as long
	} else {
		b.add("logprobs", 1)
	}
	if c.facts.Server == VLLM {
		b.add("return_tokens_as_token_ids", true)
	}
	data, err := b.bytes()
	return request{path: c.role.Prefix + "/completions", body: data, parse: func(answer []byte) (reply, error) {
		return parseEcho(answer, all, c.facts.scoreRoom())
	}}, err
}}

// parseEcho reads an answer with echo; drawn are the tokens behind each prompt at most.
func parseEcho(answer []byte, all []sequence, drawn int) (reply, error) {
	a, r, err := choicesInOrder(answer, all)
	if err != nil {
		return r, err
	}
	for i, x := range a.Choices {
		s := all[i]
		if x.LogProbs == nil || len(x.LogProbs.TokenLogProbs) == 0 {
			return r, fmt.Errorf("%w: the answer has no logprobs of the prompt", ErrScore)
		}
		values, tokens := x.LogProbs.TokenLogProbs, x.LogProbs.Tokens
		if len(values) < len(s.ids) || len(values) > len(s.ids)+drawn || len(tokens) != len(values) {
			return r, fmt.Errorf("%w: %d log-probabilities and %d tokens for %d tokens and at most %d behind them", ErrScore, len(values), len(tokens), len(s.ids), drawn)
		}
		if values[0] != nil {
			return r, fmt.Errorf("%w: the first token has a log-probability, though nothing predicts it: the list is shifted", ErrScore)
		}
		scores := make([]float64, 0, len(s.target()))
		for k := s.from; k < len(s.ids); k++ {
			if named, ok := strings.CutPrefix(tokens[k], "token_id:"); ok && named != strconv.Itoa(int(s.ids[k])) {
				return r, fmt.Errorf("%w: token %d of the text has the id %d, the server scored %s", ErrScore, k, s.ids[k], named)
			}
			if values[k] == nil {
				return r, fmt.Errorf("%w: token %d of the text has no value", ErrScore, k)
			}
			scores = append(scores, *values[k])
		}
		r.scores[i] = scores
	}
	return r, nil
}
