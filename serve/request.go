package serve

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"

	"stargate/lm"
	"stargate/lm/local"
)

// maxAlternatives is the most log-probabilities per position, vLLM's default of --max-logprobs.
const maxAlternatives = 20

// maxStops is the most stop strings of a request.
const maxStops = 16

// drawFields are what chat completions and completions have in common.
type drawFields struct {
	Model          *string        `json:"model"`
	Temperature    *float64       `json:"temperature"` // default 1
	TopP           *float64       `json:"top_p"`
	TopK           *int           `json:"top_k"` // vLLM; 0 and -1 are off
	Seed           *seed          `json:"seed"`
	Stop           stops          `json:"stop"`
	StopTokenIDs   tokenIDs       `json:"stop_token_ids"` // vLLM
	IgnoreEOS      bool           `json:"ignore_eos"`     // vLLM
	N              *int           `json:"n"`
	Stream         bool           `json:"stream"`
	StreamOptions  *streamOptions `json:"stream_options"`
	MaxTokens      *int           `json:"max_tokens"`
	PromptLogProbs *int           `json:"prompt_logprobs"`  // vLLM
	ReturnTokenIDs bool           `json:"return_token_ids"` // vLLM
	AddSpecial     *bool          `json:"add_special_tokens"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// tokenIDs is a list of token ids.
type tokenIDs []int32

// UnmarshalJSON reads the list by hand, which takes a fraction of the time, and refuses null
// for an id, which encoding/json reads as 0.
func (t *tokenIDs) UnmarshalJSON(data []byte) error {
	*t = nil
	if string(data) == "null" {
		return nil
	}
	inner, open := bytes.CutPrefix(data, []byte("["))
	inner, closed := bytes.CutSuffix(inner, []byte("]"))
	if !open || !closed {
		return invalid("", "token ids have to be a list of integers")
	}
	*t = make(tokenIDs, 0, bytes.Count(inner, []byte(","))+1)
	if len(bytes.TrimSpace(inner)) == 0 {
		return nil
	}
	for number := range bytes.SplitSeq(inner, []byte(",")) {
		id, err := strconv.ParseInt(string(bytes.TrimSpace(number)), 10, 32)
		if err != nil {
			return invalid("", "%s is no token id", bytes.TrimSpace(number))
		}
		*t = append(*t, int32(id))
	}
	return nil
}

// stops is a string or a list of them.
type stops []string

// UnmarshalJSON accepts both.
func (s *stops) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil && string(data) != "null" {
		*s = stops{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return invalid("stop", "stop has to be a string or a list of strings")
	}
	*s = many
	return nil
}

// seed is any 64-bit integer, with a sign or without.
type seed uint64

// UnmarshalJSON accepts both ranges.
func (s *seed) UnmarshalJSON(data []byte) error {
	if n, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		*s = seed(n)
		return nil
	}
	n, err := strconv.ParseUint(string(data), 10, 64)
	if err != nil {
		return invalid("seed", "seed has to be an integer of 64 bits, not %s", data)
	}
	*s = seed(n)
	return nil
}

func randomSeed() uint64 { return rand.Uint64() }

// choiceSeed is the seed of a choice: the first has the request's own, so that a request
// for one completion is the same request in the process.
func choiceSeed(seed uint64, choice int) uint64 {
	if choice == 0 {
		return seed
	}
	return rand.New(rand.NewPCG(seed, uint64(choice))).Uint64()
}

// sampling checks the fields and says how to draw; most is the tokens asked for, nil for
// as many as fit.
func (d *drawFields) sampling(random func() uint64, most *int) (lm.Sampling, error) {
	s := lm.Sampling{Temperature: 1, Stop: d.Stop}
	if t := d.Temperature; t != nil {
		if !(*t >= 0 && *t <= 1000) {
			return s, invalid("temperature", "temperature is %g, want a number from 0", *t)
		}
		s.Temperature = *t
	}
	if p := d.TopP; p != nil {
		if !(*p > 0 && *p <= 1) {
			return s, invalid("top_p", "top_p is %g, want a number above 0 and up to 1", *p)
		}
		if *p < 1 {
			s.TopP = *p
		}
	}
	if k := d.TopK; k != nil {
		if *k < -1 || *k > math.MaxInt32 {
			return s, invalid("top_k", "top_k is %d, want -1 (off) or more", *k)
		}
		s.TopK = max(0, *k)
	}
	if len(d.Stop) > maxStops {
		return s, invalid("stop", "%d stop strings, the limit is %d", len(d.Stop), maxStops)
	}
	for _, stop := range d.Stop {
		if stop == "" {
			return s, invalid("stop", "an empty stop string would end every completion at once")
		}
	}
	if most != nil {
		if *most < 0 {
			return s, invalid("max_tokens", "max_tokens is %d, want 0 or more", *most)
		}
		s.MaxTokens = *most
	}
	if d.Seed != nil {
		s.Seed = uint64(*d.Seed)
	} else {
		s.Seed = random()
	}
	return s, nil
}

// choices is n, checked.
func (d *drawFields) choices() (int, error) {
	if d.N == nil {
		return 1, nil
	}
	if *d.N < 1 {
		return 0, invalid("n", "n is %d, want 1 or more", *d.N)
	}
	return *d.N, nil
}

// alternatives checks a number of log-probabilities per position.
func alternatives(field string, k int) error {
	if k < 0 || k > maxAlternatives {
		return invalid(field, "%s is %d, want a number from 0 to %d", field, k, maxAlternatives)
	}
	return nil
}

// usage is OpenAI's token count. The prompt counts once, whatever n.
type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func countUsage(jobs []*job) usage {
	var u usage
	for _, j := range jobs {
		u.PromptTokens += len(j.prompt)
		for _, c := range j.results {
			u.CompletionTokens += len(c.Drawn)
		}
	}
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	return u
}

// ids are the token ids of a completion, the one that ended it included.
func ids(drawn []local.Drawn) []int32 {
	out := make([]int32, len(drawn))
	for i, d := range drawn {
		out[i] = d.ID
	}
	return out
}
