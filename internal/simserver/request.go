package simserver

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"stargate/lm"
)

// request is the body of all routes; each looks at its fields only.
type request struct {
	Model    string          `json:"model"`
	Messages lm.Chat         `json:"messages"`
	Prompt   json.RawMessage `json:"prompt"`
	Tokens   []int32         `json:"tokens"` // of /detokenize

	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Temperature         *float64        `json:"temperature"`
	TopP                *float64        `json:"top_p"`
	TopK                *int            `json:"top_k"`
	Seed                *int64          `json:"seed"`
	N                   *int            `json:"n"`
	Stop                json.RawMessage `json:"stop"`
	Stream              bool            `json:"stream"`
	Echo                bool            `json:"echo"`
	PromptLogProbs      *int            `json:"prompt_logprobs"`
	ReturnTokenIDs      bool            `json:"return_token_ids"`

	AddGenerationPrompt  *bool `json:"add_generation_prompt"`
	ContinueFinalMessage bool  `json:"continue_final_message"`
	AddSpecialTokens     *bool `json:"add_special_tokens"`
}

// refusal is an answer with a bad status.
type refusal struct {
	status  int
	code    string
	message string
}

func (r *refusal) Error() string { return r.message }

func invalid(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_value", fmt.Sprintf(format, args...)}
}

// prompts are the token ids of what a request is about.
func (q *request) prompts() ([][]int32, error) {
	if q.Messages != nil {
		for _, m := range q.Messages {
			if roleTokens[m.Role] == 0 {
				return nil, invalid("role %q of a message: want system, user or assistant", m.Role)
			}
		}
		turn := q.AddGenerationPrompt == nil || *q.AddGenerationPrompt
		return [][]int32{render(q.Messages, q.ContinueFinalMessage, turn && !q.ContinueFinalMessage)}, nil
	}
	var text string
	if json.Unmarshal(q.Prompt, &text) == nil {
		var ids []int32
		if q.AddSpecialTokens == nil || *q.AddSpecialTokens {
			ids = append(ids, tokenBegin)
		}
		return [][]int32{encode(ids, text)}, nil
	}
	var one []int32
	if json.Unmarshal(q.Prompt, &one) == nil && len(one) > 0 {
		return [][]int32{one}, nil
	}
	var many [][]int32
	if json.Unmarshal(q.Prompt, &many) == nil && len(many) > 0 {
		return many, nil
	}
	return nil, invalid("want messages, or a prompt that is a text, a list of token ids or a list of such lists")
}

// stops are the stop strings: one or a list.
func (q *request) stops() ([]string, error) {
	if len(q.Stop) == 0 || string(q.Stop) == "null" {
		return nil, nil
	}
	var one string
	if json.Unmarshal(q.Stop, &one) == nil {
		return []string{one}, nil
	}
	var many []string
	if json.Unmarshal(q.Stop, &many) != nil {
		return nil, invalid("stop has to be a text or a list of texts")
	}
	return many, nil
}

// choice is one completion of a prompt, known before it is drawn.
type choice struct {
	prompt []int32
	ids    []int32 // drawn, the end of the turn included
	text   string
	finish lm.FinishReason
	seq    *sequence
}

// choices are the completions of all prompts, n each, and the hash that names the request.
func (s *Server) choices(q *request) ([]*choice, uint64, error) {
	switch {
	case q.Stream:
		return nil, 0, invalid("this server does not stream")
	case q.Echo:
		return nil, 0, invalid("this server does not echo; send prompt_logprobs")
	}
	prompts, err := q.prompts()
	if err != nil {
		return nil, 0, err
	}
	stops, err := q.stops()
	if err != nil {
		return nil, 0, err
	}
	most := q.MaxCompletionTokens
	if most == nil {
		most = q.MaxTokens
	}
	n := 1
	if q.N != nil {
		n = *q.N
	}
	if n < 1 || n*len(prompts) > s.opts.Hardware.Batch {
		return nil, 0, invalid("n is %d for %d prompts, want at least 1 and at most %d completions", n, len(prompts), s.opts.Hardware.Batch)
	}
	draw := mixText(offset64, q.Model)
	if q.Temperature == nil || *q.Temperature > 0 {
		for _, x := range []*float64{q.Temperature, q.TopP} {
			if x != nil {
				draw = mix(draw, math.Float64bits(*x))
			}
		}
		if q.TopK != nil {
			draw = mix(draw, uint64(*q.TopK))
		}
		if q.Seed != nil {
			draw = mix(draw, uint64(*q.Seed))
		}
	}
	var out []*choice
	name := draw
	for _, prompt := range prompts {
		if len(prompt) == 0 {
			return nil, 0, invalid("a prompt is empty")
		}
		room := s.opts.Hardware.Context - len(prompt)
		want := room
		if most != nil {
			want = *most
		}
		if want > room {
			return nil, 0, &refusal{http.StatusBadRequest, "context_length_exceeded",
				fmt.Sprintf("This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the prompt, %d in the completion).", s.opts.Hardware.Context, len(prompt)+want, len(prompt), want)}
		}
		last, err := lastMessage(prompt)
		if err != nil && !s.opts.Foreign {
			return nil, 0, invalid("%v", err)
		}
		h := draw
		for _, id := range prompt {
			h = mix(h, uint64(id))
		}
		name = mix(name, h)
		for k := range n {
			c := &choice{prompt: prompt, finish: lm.FinishStop}
			if want > 0 {
				c.write(last, mix(h, uint64(k)), s.opts.Lengths, want, stops)
			}
			c.seq = &sequence{prompt: len(prompt), out: len(c.ids), scored: q.PromptLogProbs != nil, done: make(chan struct{}),
				blocks: blockHashes(slices.Concat(prompt, c.ids))}
			out = append(out, c)
		}
	}
	return out, name, nil
}

// write draws the completion: at most so many tokens, up to the first stop string.
func (c *choice) write(lastMessage string, seed uint64, lengths Lengths, most int, stops []string) {
	r := rand.New(rand.NewPCG(seed, 0))
	c.text = say(lastMessage, r, lengths.draw(r))
	cut := -1
	for _, s := range stops {
		if i := strings.Index(c.text, s); s != "" && i >= 0 && (cut < 0 || i < cut) {
			cut = i
		}
	}
	if cut >= 0 {
		c.text = c.text[:cut]
	}
	c.ids = append(encode(nil, c.text), tokenEnd)
	if len(c.ids) > most {
		c.ids = c.ids[:most]
		c.finish = lm.FinishLength
		c.text = c.text[:min(len(c.text), most*pieceBytes)]
	}
}
