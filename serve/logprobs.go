package serve

import (
	"math"
	"strconv"
	"unicode/utf8"

	"stargate/lm"
	"stargate/lm/local"
)

// promptLogProbs is vLLM's list of one object per prompt token, keyed by token id, with k
// alternatives in each; the first is null, since nothing predicts it:
//
//	[null, {"733": {"logprob": -7.21, "rank": 512, "decoded_token": " ["}}, …]
//
// The rank is null where it was not computed, for k = 0.
type promptLogProbs struct {
	model *local.Model
	score []local.Drawn
	k     int
}

func (j *job) promptLogProbs(k int) *promptLogProbs { return &promptLogProbs{j.model, j.score, k} }

// MarshalJSON writes the list by hand: a prompt has thousands of these objects, and maps
// would cost as much as the engine does.
func (p *promptLogProbs) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 64*len(p.score)*(p.k+1)+8), "[null"...)
	for _, d := range p.score {
		b = append(b, ",{"...)
		b = p.entry(b, d.ID, d.LogProb, d.Rank)
		for i, a := range most(d.Alternatives, p.k) {
			if a.ID != d.ID {
				b = p.entry(append(b, ','), a.ID, a.LogProb, i+1)
			}
		}
		b = append(b, '}')
	}
	return append(b, ']'), nil
}

func (p *promptLogProbs) entry(b []byte, id int32, lp float64, rank int) []byte {
	b = strconv.AppendInt(append(b, '"'), int64(id), 10)
	b = append(b, `":{"logprob":`...)
	b = strconv.AppendFloat(b, finite(lp), 'g', -1, 64) // the shortest that reads back to the same bits
	b = append(b, `,"rank":`...)
	if rank > 0 {
		b = strconv.AppendInt(b, int64(rank), 10)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"decoded_token":`...)
	b = appendText(b, p.model.Piece(id))
	return append(b, '}')
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			data, err := encode(text)
			if err != nil { // a string
				panic(err)
			}
			return append(b, data...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// finite is what JSON can hold: vLLM writes -9999 for minus infinity.
func finite(x float64) float64 {
	if math.IsInf(x, -1) || x != x {
		return -9999
	}
	return x
}

// textLogProbs is the logprobs object of a completion (OpenAI API reference, completions):
// parallel lists, with null for the first token of an echoed prompt.
type textLogProbs struct {
	Tokens        []string             `json:"tokens"`
	TokenLogProbs []*float64           `json:"token_logprobs"`
	TopLogProbs   []map[string]float64 `json:"top_logprobs"`
	TextOffset    []int                `json:"text_offset"` // in characters
}

// add appends tokens whose log-probabilities are known; offset is where the next begins.
func (t *textLogProbs) add(m *local.Model, drawn []local.Drawn, offset *int) {
	for _, d := range drawn {
		top := map[string]float64{}
		for _, a := range d.Alternatives {
			text := m.Piece(a.ID)
			if _, ok := top[text]; !ok { // different tokens may read the same
				top[text] = finite(a.LogProb)
			}
		}
		lp := finite(d.LogProb)
		text := m.Piece(d.ID)
		top[text] = lp
		t.append(text, &lp, top, offset)
	}
}

func (t *textLogProbs) append(text string, lp *float64, top map[string]float64, offset *int) {
	t.Tokens = append(t.Tokens, text)
	t.TokenLogProbs = append(t.TokenLogProbs, lp)
	t.TopLogProbs = append(t.TopLogProbs, top)
	t.TextOffset = append(t.TextOffset, *offset)
	*offset += utf8.RuneCountInString(text)
}

// addPrompt appends an echoed prompt with k alternatives at each position.
func (t *textLogProbs) addPrompt(j *job, k int, offset *int) {
	t.append(j.model.Decode(j.prompt[:1]), nil, nil, offset)
	for _, d := range j.score {
		d.Alternatives = most(d.Alternatives, k)
		t.add(j.model, []local.Drawn{d}, offset)
	}
}

// most are the first k of alternatives: a prompt is scored once for all who ask, with the
// most that any of them wants.
func most(alternatives []lm.TokenLogProb, k int) []lm.TokenLogProb {
	return alternatives[:min(k, len(alternatives))]
}

// chatLogProbs is the logprobs object of a chat completion's choice.
type chatLogProbs struct {
	Content []chatLogProb `json:"content"`
}

type chatLogProb struct {
	tokenLogProb
	Top []tokenLogProb `json:"top_logprobs"`
}

type tokenLogProb struct {
	Token   string  `json:"token"`
	LogProb float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"` // of the token, where it is only part of a character too
}

func newTokenLogProb(m *local.Model, id int32, lp float64) tokenLogProb {
	text := m.Piece(id)
	t := tokenLogProb{Token: text, LogProb: finite(lp), Bytes: make([]int, len(text))}
	for i := range len(text) {
		t.Bytes[i] = int(text[i])
	}
	return t
}

func newChatLogProbs(m *local.Model, drawn []local.Drawn) *chatLogProbs {
	l := &chatLogProbs{Content: []chatLogProb{}}
	for _, d := range drawn {
		c := chatLogProb{tokenLogProb: newTokenLogProb(m, d.ID, d.LogProb), Top: []tokenLogProb{}}
		for _, a := range d.Alternatives {
			c.Top = append(c.Top, newTokenLogProb(m, a.ID, a.LogProb))
		}
		l.Content = append(l.Content, c)
	}
	return l
}
