package remote

import (
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"stargate/lm"
)

// chatRequest is POST /v1/chat/completions (OpenAI API reference; vLLM's and SGLang's
// protocol.py for top_k and return_token_ids).
func (c *Client) chatRequest(chat lm.Chat, s lm.Sampling, logprobs bool) (request, error) {
	in, text := c.estimate(chat)
	send, most := c.limit(s, in)
	b := newBody()
	if m := c.wireModel(); m != "" {
		b.add("model", m)
	}
	b.add("messages", chat)
	c.sampling(b, s)
	if send > 0 && !c.omits("max_tokens") {
		name := "max_tokens"
		if c.completed.Load() {
			name = "max_completion_tokens"
		}
		b.add(name, send)
	}
	if c.dialect.tokenIDs {
		b.add("return_token_ids", true)
	}
	if logprobs {
		b.add("logprobs", true)
	}
	data, err := b.extra(c.role.Extra).bytes()
	return request{path: c.role.Prefix + "/chat/completions", body: data, in: in, out: most, send: send, text: text, parse: c.parseChat}, err
}

// sampling adds how to draw, in OpenAI's words.
func (c *Client) sampling(b *body, s lm.Sampling) {
	if !c.omits("temperature") {
		b.add("temperature", s.Temperature)
	}
	c.cuts(b, s)
	if c.dialect.seed != nil && !c.omits("seed") {
		b.add("seed", c.dialect.seed(s.Seed))
	}
	if len(s.Stop) > 0 && !c.omits("stop") {
		b.add("stop", s.Stop)
	}
}

// cuts adds top_p and top_k, and turns off what a server would do by itself. The role's own
// fields come first.
func (c *Client) cuts(b *body, s lm.Sampling) {
	for _, name := range []string{"top_p", "top_k", "min_p", "repetition_penalty", "repeat_penalty"} {
		var value any
		switch {
		case name == "top_p" && s.TopP > 0 && s.TopP < 1:
			value = s.TopP
		case name == "top_k" && s.TopK > 0:
			value = s.TopK
		default:
			value = c.dialect.plain[name]
		}
		if _, extra := c.role.Extra[name]; value != nil && !extra && !c.omits(name) {
			b.add(name, value)
		}
	}
}

// chatAnswer is the answer of /v1/chat/completions, as far as it matters here.
type chatAnswer struct {
	Model   string `json:"model"`
	Choices []struct {
		Message *struct {
			Content jsontext.Value `json:"content"` // a text, null, or a list of parts
			Refusal *string        `json:"refusal"` // OpenAI
			// Reasoning in a field of its own (reasoning_content of vLLM, SGLang and DeepSeek;
			// reasoning of OpenRouter, Ollama and newer vLLM) is not read: it is no part of the text.
		} `json:"message"`
		finish
		LogProbs *struct {
			Content []struct {
				LogProb float64 `json:"logprob"`
			} `json:"content"`
		} `json:"logprobs"`
		TokenIDs tokenIDs `json:"token_ids"` // vLLM
	} `json:"choices"`
	PromptTokenIDs jsontext.Value `json:"prompt_token_ids"` // vLLM; not read where nobody asks
	Usage          *wireUsage     `json:"usage"`
	Error          jsontext.Value `json:"error"` // gateways answer 200 with an error inside
}

// finish is why a choice ended.
type finish struct {
	FinishReason *string        `json:"finish_reason"`
	StopReason   jsontext.Value `json:"stop_reason"` // vLLM: the stop string or token; null for the model's own end
}

type wireUsage struct {
	PromptTokens     *int `json:"prompt_tokens"`
	CompletionTokens *int `json:"completion_tokens"`
}

// usage is what an answer says it cost, nil where it does not or the numbers make no sense.
func (u *wireUsage) usage() *lm.Usage {
	if u == nil || u.PromptTokens == nil || *u.PromptTokens < 0 {
		return nil
	}
	out := lm.Usage{PromptTokens: *u.PromptTokens}
	if u.CompletionTokens != nil {
		out.CompletionTokens = max(0, *u.CompletionTokens)
	}
	return &out
}

// parseChat reads an answer of /v1/chat/completions.
func (c *Client) parseChat(data []byte) (reply, error) {
	var a chatAnswer
	if err := decode(data, &a); err != nil {
		return reply{}, err
	}
	r := reply{model: a.Model, billed: a.Usage.usage(), prompt: a.PromptTokenIDs}
	if err := inner(a.Error); err != nil {
		return r, err
	}
	if len(a.Choices) == 0 || a.Choices[0].Message == nil {
		return r, fmt.Errorf("%w: it has no choice with a message: %s", ErrGarbage, oneLine(data))
	}
	x := a.Choices[0]
	text, err := contentText(x.Message.Content)
	if err != nil {
		return r, err
	}
	if refusal := x.Message.Refusal; refusal != nil && *refusal != "" {
		return r, fmt.Errorf("%w: %s", lm.ErrRefused, oneLine([]byte(*refusal)))
	}
	r.Text = text
	if x.LogProbs != nil {
		for _, l := range x.LogProbs.Content {
			r.logprobs = append(r.logprobs, l.LogProb)
		}
	}
	return r, c.finish(&r, x.finish, x.TokenIDs)
}

// contentText is the text of a message's content; parts of reasoning are no part of it.
func contentText(data jsontext.Value) (string, error) {
	if len(data) == 0 || string(data) == "null" {
		return "", nil
	}
	var text string
	if json.Unmarshal(data, &text, lenient) == nil {
		return text, nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(data, &parts, lenient) != nil {
		return "", fmt.Errorf("%w: the content of the message is no text: %s", ErrGarbage, oneLine(data))
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type == "text" || p.Type == "output_text" {
			b.WriteString(p.Text)
		}
	}
	return b.String(), nil
}

// finish fills in why a completion ended, its tokens and its usage. drawn are the ids, the
// one that ended it included.
func (c *Client) finish(r *reply, f finish, drawn []int32) error {
	reason := ""
	if f.FinishReason != nil {
		reason = *f.FinishReason
	}
	switch reason {
	case "stop", "stop_sequence", "eos", "eos_token", "end_turn":
		r.Finish = lm.FinishStop
	case "length", "max_tokens":
		r.Finish = lm.FinishLength
	case "content_filter":
		return fmt.Errorf("%w: finish_reason content_filter", lm.ErrRefused)
	default:
		return fmt.Errorf("%w: finish_reason is %q", ErrGarbage, reason)
	}
	if r.billed != nil {
		r.Usage = *r.billed
	}
	if drawn != nil {
		// The end-of-turn token, or a stop token, is among the ids; a stop string's are too, and
		// they are tokens of the text like others.
		if r.Finish == lm.FinishStop && len(drawn) > 0 && !isString(f.StopReason) {
			drawn = drawn[:len(drawn)-1]
		}
		r.Tokens = drawn
		if len(r.logprobs) > len(drawn) {
			r.logprobs = r.logprobs[:len(drawn)]
		}
		r.Usage.CompletionTokens = len(drawn)
	}
	c.think(r)
	return nil
}

func isString(data jsontext.Value) bool { return len(data) > 0 && data[0] == '"' }

// inner is the error that an answer with status 200 may hold.
func inner(data jsontext.Value) error {
	if len(data) == 0 || string(data) == "null" {
		return nil
	}
	var e struct {
		Message string         `json:"message"`
		Code    jsontext.Value `json:"code"`
	}
	if json.Unmarshal(data, &e, lenient) != nil || e.Message == "" {
		e.Message = oneLine(data)
	}
	status := 0
	if json.Unmarshal(e.Code, &status) == nil && (status == http.StatusUnauthorized || status == http.StatusForbidden) {
		return fmt.Errorf("%w: %s", ErrKey, e.Message)
	}
	if status == http.StatusPaymentRequired {
		return fmt.Errorf("%w: %s", ErrQuota, e.Message)
	}
	if tooLong.MatchString(e.Message) {
		return fmt.Errorf("%w: %s", lm.ErrContextLength, e.Message)
	}
	return fmt.Errorf("%w: status 200 with an error inside: %s", ErrGarbage, e.Message)
}

// possible says whether a number can be the log-probability of a token. Servers write -9999
// or less for minus infinity (vLLM), and rounding may lift a certain token a little above 0.
func possible(logprob float64) error {
	switch {
	case math.IsNaN(logprob):
		return fmt.Errorf("%w: it is not a number: %w", ErrScore, lm.ErrNonFinite)
	case logprob <= -9000:
		return fmt.Errorf("%w: %g stands for minus infinity: %w", ErrScore, logprob, lm.ErrNonFinite)
	case logprob > 1e-3:
		return fmt.Errorf("%w: %g is above 0", ErrScore, logprob)
	}
	return nil
}
