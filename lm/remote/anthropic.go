package remote

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"stargate/lm"
)

// messagesRequest is POST /v1/messages (Anthropic API reference). System messages travel in a
// field of their own; there are no seeds; temperatures end at 1.
func (c *Client) messagesRequest(chat lm.Chat, s lm.Sampling) (request, error) {
	if s.Temperature > 1 && !c.omits("temperature") {
		return request{}, fmt.Errorf("%w: temperature %g: this API takes numbers from 0 to 1", ErrUnsupported, s.Temperature)
	}
	var system []string
	messages := make(lm.Chat, 0, len(chat))
	for _, m := range chat {
		if m.Role == lm.System {
			system = append(system, m.Content)
		} else {
			messages = append(messages, m)
		}
	}
	in, text := c.estimate(chat)
	send, most := c.limit(s, in)
	b := newBody().add("model", c.role.Model).add("max_tokens", send)
	if len(system) > 0 {
		b.add("system", strings.Join(system, "\n\n"))
	}
	b.add("messages", messages)
	if !c.omits("temperature") {
		b.add("temperature", s.Temperature)
	}
	c.cuts(b, s)
	if len(s.Stop) > 0 && !c.omits("stop") {
		b.add("stop_sequences", s.Stop)
	}
	data, err := b.extra(c.role.Extra).bytes()
	return request{path: c.role.Prefix + "/messages", body: data, in: in, out: most, text: text, parse: c.parseMessages}, err
}

// parseMessages reads an answer of /v1/messages.
func (c *Client) parseMessages(data []byte) (reply, error) {
	var a struct {
		Model   string `json:"model"`
		Content []struct {
			Type string `json:"type"` // "text"; "thinking" is no part of the text
			Text string `json:"text"`
		} `json:"content"`
		StopReason *string `json:"stop_reason"`
		Usage      *struct {
			Input   *int `json:"input_tokens"`
			Output  *int `json:"output_tokens"`
			Written int  `json:"cache_creation_input_tokens"`
			Read    int  `json:"cache_read_input_tokens"`
		} `json:"usage"`
		Error jsontext.Value `json:"error"`
	}
	if err := decode(data, &a); err != nil {
		return reply{}, err
	}
	r := reply{model: a.Model}
	if u := a.Usage; u != nil && u.Input != nil {
		in := *u.Input + u.Written + u.Read
		r.billed = (&wireUsage{&in, u.Output}).usage()
	}
	if err := inner(a.Error); err != nil {
		return r, err
	}
	reason := ""
	if a.StopReason != nil {
		reason = *a.StopReason
	}
	switch reason {
	case "refusal":
		return r, fmt.Errorf("%w: stop_reason refusal", lm.ErrRefused)
	case "model_context_window_exceeded":
		reason = "length"
	}
	var text strings.Builder
	for _, part := range a.Content {
		if part.Type == "text" {
			text.WriteString(part.Text)
		}
	}
	r.Text = text.String()
	return r, c.finish(&r, finish{FinishReason: &reason}, nil)
}
