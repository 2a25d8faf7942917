package remote

import (
	"fmt"
	"maps"

	"github.com/go-json-experiment/json/jsontext"

	"stargate/lm"
)

// completionRequest is POST /v1/completions with a prompt of token ids.
func (c *Client) completionRequest(ids []int32, s lm.Sampling, logprobs bool) (request, error) {
	if c.facts.Server == TGI || c.facts.Server == Ollama {
		return request{}, fmt.Errorf("%w: %s takes no token ids: use route: chat", ErrUnsupported, c.facts.Server)
	}
	send, most := c.limit(s, len(ids))
	if send == 0 {
		send = most // without a limit the API draws 16
	}
	if n := c.facts.MaxLength; n > 0 {
		send = max(1, min(send, n-len(ids)))
	}
	b := newBody()
	if m := c.wireModel(); m != "" {
		b.add("model", m)
	}
	b.add("prompt", [][]int32{ids})
	c.sampling(b, s)
	b.add("max_tokens", send)
	if c.dialect.tokenIDs {
		b.add("return_token_ids", true)
	}
	if logprobs {
		b.add("logprobs", 0)
	}
	data, err := b.extra(c.plainExtra()).bytes()
	return request{path: c.role.Prefix + "/completions", body: data, in: len(ids), out: most, send: send, parse: c.parseCompletion}, err
}

// plainExtra is Extra without what concerns chat templates: the ids are the template's work.
func (c *Client) plainExtra() map[string]any {
	extra := maps.Clone(c.role.Extra)
	delete(extra, "chat_template")
	delete(extra, "chat_template_kwargs")
	return extra
}

// completionAnswer is the answer of /v1/completions, as far as it matters here.
type completionAnswer struct {
	Model   string `json:"model"`
	Choices []struct {
		Index int    `json:"index"`
		Text  string `json:"text"`
		finish
		LogProbs *struct {
			Tokens        []string   `json:"tokens"`
			TokenLogProbs []*float64 `json:"token_logprobs"`
		} `json:"logprobs"`
		TokenIDs       tokenIDs         `json:"token_ids"`        // vLLM
		PromptTokenIDs tokenIDs         `json:"prompt_token_ids"` // vLLM
		PromptLogProbs []jsontext.Value `json:"prompt_logprobs"`  // vLLM
	} `json:"choices"`
	Usage *wireUsage     `json:"usage"`
	Error jsontext.Value `json:"error"`
}

// parseCompletion reads an answer of /v1/completions with one choice.
func (c *Client) parseCompletion(data []byte) (reply, error) {
	var a completionAnswer
	if err := decode(data, &a); err != nil {
		return reply{}, err
	}
	r := reply{model: a.Model, billed: a.Usage.usage()}
	if err := inner(a.Error); err != nil {
		return r, err
	}
	if len(a.Choices) == 0 {
		return r, fmt.Errorf("%w: it has no choice: %s", ErrGarbage, oneLine(data))
	}
	x := a.Choices[0]
	r.Text = x.Text
	if x.LogProbs != nil {
		for _, l := range x.LogProbs.TokenLogProbs {
			if l == nil {
				r.logprobs = nil
				break
			}
			r.logprobs = append(r.logprobs, *l)
		}
	}
	return r, c.finish(&r, x.finish, x.TokenIDs)
}
