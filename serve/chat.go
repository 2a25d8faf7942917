package serve

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"stargate/lm"
	"stargate/lm/local"
)

// chatRequest is POST /v1/chat/completions.
type chatRequest struct {
	drawFields
	Messages            []message `json:"messages"`
	MaxCompletionTokens *int      `json:"max_completion_tokens"`
	LogProbs            bool      `json:"logprobs"`
	TopLogProbs         *int      `json:"top_logprobs"`
	template
}

// template are vLLM's fields about how messages become tokens.
type template struct {
	AddGenerationPrompt  *bool `json:"add_generation_prompt"`  // default true
	ContinueFinalMessage bool  `json:"continue_final_message"` // the last message is the beginning of the answer
}

// message is one message of a chat. Content is a text or a list of text parts.
type message struct {
	Role    lm.Role
	Content string
}

// UnmarshalJSON accepts both forms of content and refuses what only other models take.
func (m *message) UnmarshalJSON(data []byte) error {
	var in struct {
		Role         string          `json:"role"`
		Content      json.RawMessage `json:"content"`
		Name         *string         `json:"name"` // tells speakers of one role apart; templates do not show it
		Refusal      *string         `json:"refusal"`
		Annotations  json.RawMessage `json:"annotations"`
		ToolCalls    []any           `json:"tool_calls"`
		FunctionCall any             `json:"function_call"`
		Audio        any             `json:"audio"`
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return invalid("messages", "a message has to be an object with role and content")
	}
	known := knownFields(reflect.TypeOf(in))
	for name := range fields {
		if !known[name] {
			return invalid("messages", "unknown field %s of a message", name)
		}
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return invalid("messages", "a message: %v", err)
	}
	switch in.Role {
	case "system", "user", "assistant":
		m.Role = lm.Role(in.Role)
	case "developer": // OpenAI's newer name
		m.Role = lm.System
	default:
		return invalid("messages", "role %q of a message: want system, user or assistant", in.Role)
	}
	if len(in.ToolCalls) > 0 || in.FunctionCall != nil || in.Audio != nil {
		return invalid("messages", "tool calls and audio are not supported")
	}
	var err error
	m.Content, err = content(in.Content)
	return err
}

// content is the text of a message's content.
func content(data json.RawMessage) (string, error) {
	var text string
	if len(data) > 0 && json.Unmarshal(data, &text) == nil && string(data) != "null" {
		return text, nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(data, &parts) != nil || parts == nil {
		return "", invalid("messages", "the content of a message has to be a text or a list of parts of type text")
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type != "text" || p.Text == nil {
			return "", invalid("messages", "a part of type %q: this model reads text only", p.Type)
		}
		b.WriteString(*p.Text)
	}
	return b.String(), nil
}

func toChat(messages []message) lm.Chat {
	chat := make(lm.Chat, len(messages))
	for i, m := range messages {
		chat[i] = lm.Message{Role: m.Role, Content: m.Content}
	}
	return chat
}

// render is the tokens of a chat.
func (t *template) render(m *local.Model, messages []message) ([]int32, error) {
	if len(messages) == 0 {
		return nil, invalid("messages", "messages is missing or empty")
	}
	chat := toChat(messages)
	turn := t.AddGenerationPrompt == nil || *t.AddGenerationPrompt
	if !t.ContinueFinalMessage {
		tokens, err := m.Prompt(chat, turn)
		if err != nil {
			return nil, invalid("messages", "%v", err)
		}
		return tokens, nil
	}
	last := chat[len(chat)-1]
	switch {
	case t.AddGenerationPrompt != nil && turn:
		return nil, invalid("continue_final_message", "continue_final_message and add_generation_prompt exclude each other")
	case last.Role != lm.Assistant:
		return nil, invalid("continue_final_message", "continue_final_message wants the last message to be the assistant's")
	}
	tokens, _, err := m.Target(chat[:len(chat)-1], last.Content)
	return tokens, err
}

// chatCompletion is the answer, and with another object a piece of a streamed one.
type chatCompletion struct {
	ID             string          `json:"id"`
	Object         string          `json:"object"` // "chat.completion" or "chat.completion.chunk"
	Created        int64           `json:"created"`
	Model          string          `json:"model"`
	Choices        []chatChoice    `json:"choices"`
	Usage          *usage          `json:"usage,omitempty"`
	PromptTokenIDs []int32         `json:"prompt_token_ids,omitempty"` // vLLM
	PromptLogProbs *promptLogProbs `json:"prompt_logprobs,omitempty"`  // vLLM
}

type chatChoice struct {
	Index        int              `json:"index"`
	Message      *chatMessage     `json:"message,omitempty"`
	Delta        *chatDelta       `json:"delta,omitempty"`
	LogProbs     *chatLogProbs    `json:"logprobs"`
	FinishReason *lm.FinishReason `json:"finish_reason"`
	StopReason   any              `json:"stop_reason"`
	TokenIDs     []int32          `json:"token_ids,omitzero"`
}

type chatMessage struct {
	Role    lm.Role `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type chatDelta struct {
	Role    lm.Role `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

// chat answers POST /v1/chat/completions.
func (s *Server) chat(w *answer, r *http.Request) error {
	if err := s.places.take(1); err != nil {
		return err
	}
	held := 1
	defer func() { s.places.give(held) }()
	var q chatRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	m, err := s.resolve(q.Model)
	if err != nil {
		return err
	}
	defer m.letGo()
	n, err := q.choices()
	if err != nil {
		return err
	}
	if err := s.checkBatch(1, n); err != nil {
		return err
	}
	if err := s.places.take(n - held); err != nil {
		return err
	}
	held = n
	j, err := q.job(s, m.Model, n)
	if err != nil {
		return err
	}
	return s.deliver(w, r, &q.drawFields, []*job{j}, &chatShape{request: &q, id: newID("chatcmpl-"), name: m.name, job: j})
}

// job is the chat with what is wanted of it.
func (q *chatRequest) job(s *Server, m *local.Model, n int) (*job, error) {
	most := q.MaxCompletionTokens
	if most == nil {
		most = q.MaxTokens // the older name
	} else if q.MaxTokens != nil && *q.MaxTokens != *most {
		return nil, invalid("max_tokens", "max_tokens is %d and max_completion_tokens %d: send one of them", *q.MaxTokens, *most)
	}
	sampling, err := q.sampling(s.random, most)
	if err != nil {
		return nil, err
	}
	request := local.Request{Sampling: sampling, StopTokens: q.StopTokenIDs, IgnoreEnd: q.IgnoreEOS, LogProbs: q.LogProbs}
	if k := q.TopLogProbs; k != nil {
		if err := alternatives("top_logprobs", *k); err != nil {
			return nil, err
		}
		if *k > 0 && !q.LogProbs {
			return nil, invalid("top_logprobs", "top_logprobs wants logprobs to be true")
		}
		request.Alternatives = *k
	}
	tokens, err := q.render(m, q.Messages)
	if err != nil {
		return nil, err
	}
	if q.AddSpecial != nil && *q.AddSpecial { // the template has them already, as a rule
		tokens = append(m.Tokenize("", true), tokens...)
	}
	j, err := s.newJob(m, tokens, n, "messages")
	if err != nil {
		return nil, err
	}
	j.request, j.draw = request, most == nil || *most > 0
	if q.PromptLogProbs != nil {
		if err := q.checkPromptLogProbs(); err != nil {
			return nil, err
		}
		j.scored, j.topScore = true, *q.PromptLogProbs
	}
	return j, j.fit(most, "messages")
}

// chatShape writes results as chat completions.
type chatShape struct {
	request *chatRequest
	id      string
	name    string
	job     *job
}

func (c *chatShape) envelope(object string) chatCompletion {
	return chatCompletion{ID: c.id, Object: object, Created: now(), Model: c.name, Choices: []chatChoice{}}
}

// whole is the answer to a request that is not streamed.
func (c *chatShape) whole() any {
	out := c.envelope("chat.completion")
	u := countUsage([]*job{c.job})
	out.Usage = &u
	q := c.request
	for k, result := range c.job.results {
		x := chatChoice{Index: k, Message: &chatMessage{Role: lm.Assistant, Content: result.Text}, FinishReason: &result.Finish, StopReason: stopReason(result, q.StopTokenIDs)}
		if q.LogProbs {
			x.LogProbs = newChatLogProbs(c.job.model, result.Drawn)
		}
		if q.ReturnTokenIDs {
			x.TokenIDs = ids(result.Drawn)
		}
		out.Choices = append(out.Choices, x)
	}
	if q.ReturnTokenIDs {
		out.PromptTokenIDs = c.job.prompt
	}
	if q.PromptLogProbs != nil {
		out.PromptLogProbs = c.job.promptLogProbs(*q.PromptLogProbs)
	}
	return out
}

// first are the pieces before the first token: who speaks.
func (c *chatShape) first(int) (out []any) {
	for k := range c.job.results {
		x := c.envelope("chat.completion.chunk")
		nothing := ""
		x.Choices = append(x.Choices, chatChoice{Index: k, Delta: &chatDelta{Role: lm.Assistant, Content: &nothing}})
		if c.request.ReturnTokenIDs && k == 0 {
			x.PromptTokenIDs = c.job.prompt
		}
		out = append(out, x)
	}
	return out
}

// next is a piece of a completion.
func (c *chatShape) next(_, k int, p local.Piece) any {
	out := c.envelope("chat.completion.chunk")
	x := chatChoice{Index: k, Delta: &chatDelta{Content: &p.Text}}
	if c.request.LogProbs {
		x.LogProbs = newChatLogProbs(c.job.model, p.Tokens)
	}
	if c.request.ReturnTokenIDs {
		x.TokenIDs = ids(p.Tokens)
	}
	if p.Finish != "" {
		x.FinishReason = &p.Finish
	}
	out.Choices = append(out.Choices, x)
	return out
}

// last is the piece with the usage.
func (c *chatShape) last(u usage) any {
	out := c.envelope("chat.completion.chunk")
	out.Usage = &u
	return out
}
