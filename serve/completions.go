package serve

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"

	"stargate/lm"
	"stargate/lm/local"
)

// completionRequest is POST /v1/completions.
type completionRequest struct {
	drawFields
	Prompt   prompts `json:"prompt"`
	Echo     bool    `json:"echo"`
	LogProbs *int    `json:"logprobs"`
}

// prompts are a text, a list of texts, a list of token ids, or a list of such lists.
type prompts struct {
	texts []string
	ids   [][]int32
}

// UnmarshalJSON accepts the four forms, which their first two characters tell apart.
func (p *prompts) UnmarshalJSON(data []byte) error {
	first, second := data[0], byte(0)
	if inner := bytes.TrimSpace(data[1:]); len(inner) > 0 {
		second = inner[0]
	}
	var err error
	switch {
	case first == '"':
		p.texts = make([]string, 1)
		err = json.Unmarshal(data, &p.texts[0])
	case first == '[' && second == '"':
		var texts []*string // null is no text
		err = json.Unmarshal(data, &texts)
		for _, t := range texts {
			if t == nil {
				return errPrompt
			}
			p.texts = append(p.texts, *t)
		}
	case first == '[' && second == '[':
		var lists []tokenIDs
		err = json.Unmarshal(data, &lists)
		for _, l := range lists {
			p.ids = append(p.ids, l)
		}
	case first == '[':
		var ids tokenIDs
		err = ids.UnmarshalJSON(data)
		p.ids = [][]int32{ids}
	default:
		return errPrompt
	}
	if err != nil {
		return errPrompt
	}
	return nil
}

var errPrompt = invalid("prompt", "the prompt has to be a text, a list of texts, a list of token ids, or a list of lists of token ids")

func (p *prompts) len() int { return max(len(p.texts), len(p.ids)) }

// completion is the answer, and with the object of the same name a piece of a streamed one.
type completion struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"` // "text_completion"
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   *usage             `json:"usage,omitempty"`
}

type completionChoice struct {
	Index          int              `json:"index"`
	Text           string           `json:"text"`
	LogProbs       *textLogProbs    `json:"logprobs"`
	FinishReason   *lm.FinishReason `json:"finish_reason"`
	StopReason     any              `json:"stop_reason"` // vLLM: the stop string, or the id in stop_token_ids
	TokenIDs       []int32          `json:"token_ids,omitzero"`
	PromptTokenIDs []int32          `json:"prompt_token_ids,omitempty"`
	PromptLogProbs *promptLogProbs  `json:"prompt_logprobs,omitempty"`
}

// completions answers POST /v1/completions.
func (s *Server) completions(w *answer, r *http.Request) error {
	if err := s.places.take(1); err != nil {
		return err
	}
	held := 1
	defer func() { s.places.give(held) }()
	var q completionRequest
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
	if q.Prompt.len() == 0 {
		return invalid("prompt", "prompt is missing or empty")
	}
	if err := s.checkBatch(q.Prompt.len(), n); err != nil {
		return err
	}
	if err := s.places.take(q.Prompt.len()*n - held); err != nil {
		return err
	}
	held = q.Prompt.len() * n
	jobs, err := q.jobs(s, m.Model, n)
	if err != nil {
		return err
	}
	return s.deliver(w, r, &q.drawFields, jobs, &completionShape{server: s, request: &q, id: newID("cmpl-"), name: m.name, jobs: jobs, offsets: make([]int, len(jobs)*n)})
}

// jobs are the prompts with what is wanted of them.
func (q *completionRequest) jobs(s *Server, m *local.Model, n int) ([]*job, error) {
	most := q.MaxTokens
	if most == nil {
		sixteen := 16 // OpenAI's default
		most = &sixteen
	}
	sampling, err := q.sampling(s.random, most)
	if err != nil {
		return nil, err
	}
	request := local.Request{Sampling: sampling, StopTokens: q.StopTokenIDs, IgnoreEnd: q.IgnoreEOS}
	if q.LogProbs != nil {
		if err := alternatives("logprobs", *q.LogProbs); err != nil {
			return nil, err
		}
		request.LogProbs, request.Alternatives = true, *q.LogProbs
	}
	scored, topScore := q.Echo && q.LogProbs != nil, 0
	if scored {
		topScore = *q.LogProbs
	}
	if q.PromptLogProbs != nil {
		if err := q.checkPromptLogProbs(); err != nil {
			return nil, err
		}
		scored, topScore = true, max(topScore, *q.PromptLogProbs)
	}
	var jobs []*job
	for i := range q.Prompt.len() {
		var ids []int32
		var text string
		if q.Prompt.ids != nil {
			ids = q.Prompt.ids[i]
		} else {
			text = q.Prompt.texts[i]
			ids = m.Tokenize(text, q.AddSpecial == nil || *q.AddSpecial)
		}
		j, err := s.newJob(m, ids, n, "prompt")
		if err != nil {
			return nil, err
		}
		j.request, j.scored, j.topScore, j.draw = request, scored, topScore, *most > 0
		room := most
		if q.MaxTokens == nil { // what fits is enough
			room = nil
		}
		if err := j.fit(room, "prompt"); err != nil {
			return nil, err
		}
		if q.Echo {
			if j.text = text; q.Prompt.ids != nil {
				j.text = m.Decode(ids)
			}
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// completionShape writes results as completions.
type completionShape struct {
	server  *Server
	request *completionRequest
	id      string
	name    string
	jobs    []*job
	offsets []int // where the next token of a choice begins, in characters of its text
}

func (c *completionShape) envelope() completion {
	return completion{ID: c.id, Object: "text_completion", Created: now(), Model: c.name, Choices: []completionChoice{}}
}

// whole is the answer to a request that is not streamed.
func (c *completionShape) whole() any {
	out := c.envelope()
	u := countUsage(c.jobs)
	out.Usage = &u
	q := c.request
	for i, j := range c.jobs {
		for k, result := range j.results {
			x := completionChoice{Index: i*len(j.results) + k, Text: j.text + result.Text, FinishReason: &result.Finish, StopReason: stopReason(result, q.StopTokenIDs)}
			if q.LogProbs != nil {
				x.LogProbs = &textLogProbs{}
				offset := 0
				if q.Echo {
					x.LogProbs.addPrompt(j, *q.LogProbs, &offset)
				}
				x.LogProbs.add(j.model, result.Drawn, &offset)
			}
			if q.ReturnTokenIDs {
				x.TokenIDs, x.PromptTokenIDs = ids(result.Drawn), j.prompt
			}
			if q.PromptLogProbs != nil {
				x.PromptLogProbs = j.promptLogProbs(*q.PromptLogProbs)
			}
			out.Choices = append(out.Choices, x)
		}
	}
	return out
}

// first are the pieces before the first token of a job: the echoed prompt.
func (c *completionShape) first(i int) (out []any) {
	j, q := c.jobs[i], c.request
	if !q.Echo && !q.ReturnTokenIDs {
		return nil
	}
	for k := range j.results {
		x := completionChoice{Index: i*len(j.results) + k, Text: j.text}
		if q.LogProbs != nil && q.Echo {
			x.LogProbs = &textLogProbs{}
			x.LogProbs.addPrompt(j, *q.LogProbs, &c.offsets[x.Index])
		}
		if q.ReturnTokenIDs {
			x.PromptTokenIDs = j.prompt
		}
		out = append(out, c.piece(x))
	}
	return out
}

func (c *completionShape) piece(x completionChoice) any {
	out := c.envelope()
	out.Choices = append(out.Choices, x)
	return out
}

// next is a piece of a completion.
func (c *completionShape) next(i, k int, p local.Piece) any {
	j, q := c.jobs[i], c.request
	x := completionChoice{Index: i*len(j.results) + k, Text: p.Text}
	if q.LogProbs != nil {
		x.LogProbs = &textLogProbs{}
		x.LogProbs.add(j.model, p.Tokens, &c.offsets[x.Index])
	}
	if q.ReturnTokenIDs {
		x.TokenIDs = ids(p.Tokens)
	}
	if p.Finish != "" {
		x.FinishReason = &p.Finish
	}
	return c.piece(x)
}

// last is the piece with the usage.
func (c *completionShape) last(u usage) any {
	out := c.envelope()
	out.Usage = &u
	return out
}

// stopReason is what ended a completion, besides the model's own end of turn.
func stopReason(c local.Continuation, stopTokens []int32) any {
	if c.StopString != "" {
		return c.StopString
	}
	if n := len(c.Drawn); n > len(c.Tokens) && slices.Contains(stopTokens, c.Drawn[n-1].ID) {
		return c.Drawn[n-1].ID
	}
	return nil
}
