package simserver

import (
	"encoding/json"
	"math"
	"strconv"

	"stargate/lm"
)

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

type wireChoice struct {
	Index          int             `json:"index"`
	Message        *lm.Message     `json:"message,omitempty"` // chat
	Text           *string         `json:"text,omitempty"`    // completion
	FinishReason   lm.FinishReason `json:"finish_reason"`
	TokenIDs       []int32         `json:"token_ids,omitempty"`
	PromptTokenIDs []int32         `json:"prompt_token_ids,omitempty"`
	PromptLogProbs json.RawMessage `json:"prompt_logprobs,omitempty"`
}

type wireAnswer struct {
	ID             string          `json:"id"`
	Object         string          `json:"object"`
	Model          string          `json:"model"`
	Choices        []wireChoice    `json:"choices"`
	Usage          usage           `json:"usage"`
	PromptTokenIDs []int32         `json:"prompt_token_ids,omitempty"`
	PromptLogProbs json.RawMessage `json:"prompt_logprobs,omitempty"`
}

// answer is the wire form of the choices.
func answer(q *request, chat bool, choices []*choice) wireAnswer {
	out := wireAnswer{ID: "sim", Object: "text_completion", Model: q.Model}
	if chat {
		out.Object = "chat.completion"
	}
	for i, c := range choices {
		out.Usage.PromptTokens += len(c.prompt)
		out.Usage.CompletionTokens += len(c.ids)
		w := wireChoice{Index: i, FinishReason: c.finish}
		if q.ReturnTokenIDs {
			w.TokenIDs, w.PromptTokenIDs = c.ids, c.prompt
		}
		if q.PromptLogProbs != nil {
			w.PromptLogProbs = promptLogProbs(c.prompt, *q.PromptLogProbs)
		}
		if chat {
			w.Message = &lm.Message{Role: lm.Assistant, Content: c.text}
			out.PromptTokenIDs, w.PromptTokenIDs = w.PromptTokenIDs, nil
			out.PromptLogProbs, w.PromptLogProbs = w.PromptLogProbs, nil
		} else {
			w.Text = &c.text
		}
		out.Choices = append(out.Choices, w)
	}
	out.Usage.TotalTokens = out.Usage.PromptTokens + out.Usage.CompletionTokens
	return out
}

// promptLogProbs is vLLM's list: null, then for each token an object by id, which with k ≥ 1
// also holds the most probable token.
func promptLogProbs(ids []int32, k int) json.RawMessage {
	out := append(make([]byte, 0, 64*len(ids)), "[null"...)
	prefix := mix(offset64, uint64(ids[0]))
	for _, id := range ids[1:] {
		text, err := decode(nil, id)
		if err != nil {
			text = []byte("tok") // of another vocabulary
		}
		lp := math.Round(logProb(prefix, id)*1e6) / 1e6
		out = append(out, `,{"`...)
		out = strconv.AppendInt(out, int64(id), 10)
		out = append(out, `":{"logprob":`...)
		out = strconv.AppendFloat(out, lp, 'f', -1, 64)
		out = append(out, `,"rank":2,"decoded_token":`...)
		out = appendString(out, string(text))
		out = append(out, '}')
		if k > 0 {
			out = append(out, `,"`+strconv.Itoa(int(tokenEnd)+1_000_000)+`":{"logprob":-0.005,"rank":1,"decoded_token":"top"}`...)
		}
		out = append(out, '}')
		prefix = mix(prefix, uint64(id))
	}
	return append(out, ']')
}

func appendString(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic("simserver: a text cannot be JSON: " + err.Error()) // a bug: any string can
			}
			return append(out, quoted...)
		}
	}
	out = append(out, '"')
	out = append(out, text...)
	return append(out, '"')
}

// spoil is what a fault makes of the choices and the answer before they are written.
func spoil(f fault, q *request, choices []*choice) {
	switch f {
	case emptyFault, truncatedFault:
		for _, c := range choices {
			keep := 0
			if f == truncatedFault {
				keep = len(c.ids) / 2
			}
			c.ids = c.ids[:keep]
			c.text = c.text[:min(len(c.text), keep*pieceBytes)]
			if f == truncatedFault {
				c.finish = lm.FinishLength
			}
			if q.PromptLogProbs != nil {
				c.prompt = c.prompt[:1+keep]
			}
		}
	case wrongModelFault:
		q.Model = "another-" + q.Model
	}
}
