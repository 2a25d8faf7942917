package remote

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"stargate/lm"
)

// SGLang's own route, /generate (docs.sglang.io, native API): token ids in and out, and
// log-probabilities of the input. Its answer is an object, or a list of them for a list of
// inputs.
type sglangAnswer struct {
	Text      string   `json:"text"`
	OutputIDs tokenIDs `json:"output_ids"`
	Meta      struct {
		PromptTokens     *int `json:"prompt_tokens"`
		CompletionTokens *int `json:"completion_tokens"`
		FinishReason     *struct {
			Type    string         `json:"type"`    // "stop", "length" or "abort"
			Matched jsontext.Value `json:"matched"` // the stop string or the end-of-turn token
			Message string         `json:"message"`
		} `json:"finish_reason"`
		Input  []sglangLogProb `json:"input_token_logprobs"`
		Output []sglangLogProb `json:"output_token_logprobs"`
	} `json:"meta_info"`
}

// sglangLogProb is [log-probability or null, token id, text or null].
type sglangLogProb struct {
	value *float64
	id    int32
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (l *sglangLogProb) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if open, err := d.ReadToken(); err != nil || open.Kind() != '[' {
		return cmp.Or(err, errors.New("a log-probability has to be [value, id, text]"))
	}
	value, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch value.Kind() {
	case 'n':
		l.value = nil
	case '0':
		l.value = new(value.Float())
	default:
		return fmt.Errorf("a log-probability is %s, no number", value)
	}
	id, err := d.ReadValue()
	if err != nil {
		return err
	}
	var end int
	if l.id, end = integer(id, 0); end != len(id) {
		return fmt.Errorf("%s is no token id", oneLine(id))
	}
	for d.PeekKind() != ']' {
		if err := d.SkipValue(); err != nil {
			return err
		}
	}
	_, err = d.ReadToken()
	return err
}

func (c *Client) loraPath(b *body, n int) {
	if c.adapter != "" {
		b.add("lora_path", slices.Repeat([]string{c.adapter}, n))
	}
}

// sglangGenerate asks what follows token ids.
func (c *Client) sglangGenerate(ids []int32, s lm.Sampling, logprobs bool) (request, error) {
	send, most := c.limit(s, len(ids))
	if send == 0 {
		send = most // without a limit the route draws 128
	}
	if n := c.facts.MaxLength; n > 0 {
		send = max(1, min(send, n-len(ids)-1))
	}
	p := newBody()
	p.add("max_new_tokens", send)
	if !c.omits("temperature") {
		p.add("temperature", s.Temperature)
	}
	c.cuts(p, s)
	if !c.omits("seed") {
		p.add("sampling_seed", positive(s.Seed))
	}
	if len(s.Stop) > 0 && !c.omits("stop") {
		p.add("stop", s.Stop)
	}
	params, err := p.bytes()
	if err != nil {
		return request{}, err
	}
	b := newBody().add("input_ids", [][]int32{ids}).add("sampling_params", jsontext.Value(params))
	if logprobs {
		b.add("return_logprob", true)
	}
	c.loraPath(b, 1)
	data, err := b.extra(c.plainExtra()).bytes()
	return request{path: "/generate", body: data, in: len(ids), out: most, send: send, parse: c.parseSGLangGenerate}, err
}

func (c *Client) parseSGLangGenerate(data []byte) (reply, error) {
	all, r, err := sglangAnswers(data, 1)
	if err != nil {
		return r, err
	}
	a := all[0]
	r.Text = a.Text
	for _, l := range a.Meta.Output {
		if l.value == nil {
			return r, fmt.Errorf("%w: a drawn token has no log-probability", ErrGarbage)
		}
		r.logprobs = append(r.logprobs, *l.value)
	}
	var f finish
	if a.Meta.FinishReason != nil {
		f.FinishReason, f.StopReason = &a.Meta.FinishReason.Type, a.Meta.FinishReason.Matched
	}
	return r, c.finish(&r, f, a.OutputIDs)
}

// sglangAnswers reads n answers and adds up what they cost.
func sglangAnswers(data []byte, n int) ([]sglangAnswer, reply, error) {
	var all []sglangAnswer
	if len(data) > 0 && data[0] == '{' {
		all = make([]sglangAnswer, 1)
		if err := decode(data, &all[0]); err != nil {
			return nil, reply{}, err
		}
	} else if err := decode(data, &all); err != nil {
		return nil, reply{}, err
	}
	if len(all) != n {
		return nil, reply{}, fmt.Errorf("%w: %d answers for %d inputs", ErrGarbage, len(all), n)
	}
	r := reply{billed: new(lm.Usage)}
	for _, a := range all {
		u := (&wireUsage{a.Meta.PromptTokens, a.Meta.CompletionTokens}).usage()
		if u == nil || r.billed == nil {
			r.billed = nil
			continue
		}
		r.billed.PromptTokens += u.PromptTokens
		r.billed.CompletionTokens += u.CompletionTokens
	}
	for _, a := range all {
		if f := a.Meta.FinishReason; f != nil && f.Type == "abort" {
			return nil, r, fmt.Errorf("%w: the server aborted: %s", ErrGarbage, oneLine([]byte(f.Message)))
		}
	}
	return all, r, nil
}

// sglangLogProbs is SGLang's way: log-probabilities of the input from one token before the
// target on. That token's own is null, so it is asked for and dropped.
var sglangLogProbs = sglangScoring("return_logprob", func(s sequence) int { return s.from - 1 })

// sglangFromStart asks for all of the input's log-probabilities: another path in the server,
// which makes no use of its prefix cache. It is for the audit.
var sglangFromStart = sglangScoring("return_logprob from the start", func(sequence) int { return 0 })

func sglangScoring(name string, start func(sequence) int) scoring {
	return scoring{name: name, batch: true, request: func(c *Client, all []sequence) (request, error) {
		inputs, starts := make([][]int32, len(all)), make([]int, len(all))
		for i, s := range all {
			inputs[i], starts[i] = s.ids, start(s)
		}
		b := newBody().add("input_ids", inputs).add("sampling_params", map[string]any{"max_new_tokens": 1, "temperature": 0}).
			add("return_logprob", true).add("logprob_start_len", starts).add("top_logprobs_num", 0).add("return_text_in_logprobs", false)
		c.loraPath(b, len(all))
		data, err := b.bytes()
		return request{path: "/generate", body: data, parse: func(answer []byte) (reply, error) {
			return parseSGLangScores(answer, all, starts)
		}}, err
	}}
}

func parseSGLangScores(answer []byte, all []sequence, starts []int) (reply, error) {
	answers, r, err := sglangAnswers(answer, len(all))
	if err != nil {
		return r, err
	}
	for i, a := range answers {
		s := all[i]
		entries, want := a.Meta.Input, s.ids[starts[i]:]
		if len(entries) != len(want) {
			return r, fmt.Errorf("%w: %d log-probabilities of the input, %d asked for; a prefix that the server had cached may be missing: start it with --disable-radix-cache", ErrScore, len(entries), len(want))
		}
		if entries[0].value != nil {
			return r, fmt.Errorf("%w: the token at the start has a log-probability, though nothing predicts it there: the list is shifted", ErrScore)
		}
		scores := make([]float64, 0, len(s.target()))
		for k, l := range entries {
			at := starts[i] + k
			if l.id != want[k] {
				return r, fmt.Errorf("%w: token %d of the text has the id %d, the server scored %d", ErrScore, at, want[k], l.id)
			}
			if at < s.from {
				continue
			}
			if l.value == nil {
				return r, fmt.Errorf("%w: token %d of the text has no value", ErrScore, at)
			}
			scores = append(scores, *l.value)
		}
		r.scores = append(r.scores, scores)
	}
	return r, nil
}
