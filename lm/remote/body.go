package remote

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"stargate/lm"
)

// body is a JSON object being written: its fields stand in the order in which they were
// added, so that equal requests are equal bytes.
type body struct {
	b   []byte
	err error
}

func newBody() *body { return &body{b: append(make([]byte, 0, 64), '{')} }

// add appends a field. What every request has is written by hand: it is most of the work of a
// request.
func (b *body) add(name string, value any) *body {
	if len(b.b) > 1 {
		b.b = append(b.b, ',')
	}
	b.b = append(append(append(b.b, '"'), name...), `":`...) // names are plain words
	switch v := value.(type) {
	case bool:
		b.b = strconv.AppendBool(b.b, v)
	case int:
		b.b = strconv.AppendInt(b.b, int64(v), 10)
	case uint64:
		b.b = strconv.AppendUint(b.b, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			b.err = cmp.Or(b.err, fmt.Errorf("field %s of the request is %g, no number", name, v))
		}
		b.b = strconv.AppendFloat(b.b, v, 'g', -1, 64)
	case string:
		b.text(v)
	case lm.Chat:
		b.chat(v)
	case []int32:
		b.ids(v)
	case [][]int32:
		b.b = append(b.b, '[')
		for i, ids := range v {
			if i > 0 {
				b.b = append(b.b, ',')
			}
			b.ids(ids)
		}
		b.b = append(b.b, ']')
	default:
		data, err := json.Marshal(value, json.Deterministic(true), lenient)
		if err != nil && b.err == nil {
			b.err = fmt.Errorf("field %s of the request: %w", name, err)
		}
		b.b = append(b.b, data...)
	}
	return b
}

// text appends a string. What is no UTF-8 in it becomes U+FFFD, as everywhere in JSON.
func (b *body) text(s string) {
	b.b, _ = jsontext.AppendQuote(b.b, s) // the error says only that there was such a thing
}

func (b *body) chat(chat lm.Chat) {
	n := 0
	for _, m := range chat {
		n += len(m.Content) + 40
	}
	b.b = append(slices.Grow(b.b, n+512), '[') // and what is behind it
	for i, m := range chat {
		if i > 0 {
			b.b = append(b.b, ',')
		}
		b.b = append(b.b, `{"role":`...)
		b.text(string(m.Role))
		b.b = append(b.b, `,"content":`...)
		b.text(m.Content)
		b.b = append(b.b, '}')
	}
	b.b = append(b.b, ']')
}

func (b *body) ids(ids []int32) {
	b.b = append(slices.Grow(b.b, 7*len(ids)+256), '[')
	for i, id := range ids {
		if i > 0 {
			b.b = append(b.b, ',')
		}
		b.b = strconv.AppendInt(b.b, int64(id), 10)
	}
	b.b = append(b.b, ']')
}

// extra appends a role's further fields in alphabetical order.
func (b *body) extra(fields map[string]any) *body {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		b.add(name, fields[name])
	}
	return b
}

// bytes ends the object.
func (b *body) bytes() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	return append(b.b, '}'), nil
}

// dialect is how a kind of server spells sampling.
type dialect struct {
	topK        bool                // it heeds top_k
	plain       map[string]any      // what turns its own habits off: fields with the value that changes nothing
	seed        func(uint64) uint64 // nil: it has no seeds
	tokenIDs    bool                // it heeds return_token_ids
	roomUnasked bool                // without a limit it draws what fits
	strictModel bool                // answers carry the name that was asked for
}

// Left alone, vLLM and SGLang sample as the model's generation_config.json says, and llama.cpp
// in its own way: with cuts and penalties that the caller did not ask for.
var (
	plainHF    = map[string]any{"top_p": 1, "top_k": -1, "min_p": 0, "repetition_penalty": 1}
	plainLlama = map[string]any{"top_p": 1, "top_k": 0, "min_p": 0, "repeat_penalty": 1}
)

var dialects = map[Server]dialect{
	Stargate: {topK: true, seed: whole, tokenIDs: true, roomUnasked: true, strictModel: true},
	VLLM:     {topK: true, plain: plainHF, seed: positive, tokenIDs: true, roomUnasked: true, strictModel: true},
	SGLang:   {topK: true, plain: plainHF, seed: positive, roomUnasked: true, strictModel: true},
	TGI:      {seed: positive},
	TRL:      {topK: true, seed: positive},
	LlamaCpp: {topK: true, plain: plainLlama, seed: seed32, roomUnasked: true},
	Ollama:   {seed: seed31, roomUnasked: true, strictModel: true},
	Hosted:   {seed: positive, strictModel: true},
	Claude:   {topK: true, strictModel: true},
}

// notes are what a user should know of a kind of server.
var notes = map[Server][]string{
	Ollama: {
		"Ollama cuts prompts that are longer than its context without an error: set OLLAMA_CONTEXT_LENGTH above the longest conversation",
		"Ollama samples with the top_k and repeat_penalty of the model's Modelfile, which its OpenAI protocol cannot turn off: set them there (top_k 0, repeat_penalty 1)",
	},
}

func whole(seed uint64) uint64    { return seed }
func positive(seed uint64) uint64 { return seed &^ (1 << 63) } // signed integers of 64 bits
func seed31(seed uint64) uint64   { return (seed ^ seed>>32) & (1<<31 - 1) }

// seed32 leaves out the number that means "a random one" to llama.cpp.
func seed32(seed uint64) uint64 { return (seed ^ seed>>32) % (1<<32 - 1) }

// checkSampling refuses what no server can do, as the embedded engine does.
func checkSampling(s lm.Sampling) error {
	switch {
	case !(s.Temperature >= 0) || s.Temperature > 1e6: // NaN too
		return fmt.Errorf("generate: temperature %g, want a number from 0", s.Temperature)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("generate: top_p %g, want a number in [0, 1]", s.TopP)
	case s.TopK < 0:
		return fmt.Errorf("generate: top_k %d, want 0 or more", s.TopK)
	case s.MaxTokens < 0:
		return fmt.Errorf("generate: max_tokens %d, want 0 or more", s.MaxTokens)
	}
	if slices.Contains(s.Stop, "") {
		return fmt.Errorf("generate: an empty stop string would end every completion at once")
	}
	return nil
}
