package remote

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"stargate/lm"
)

// body is a JSON object being written: its fields stand in the order in which they were
// added, so that equal requests are equal bytes.
type body struct {
	b   bytes.Buffer
	err error
}

func newBody() *body {
	b := new(body)
	b.b.WriteByte('{')
	return b
}

// add appends a field.
func (b *body) add(name string, value any) *body {
	switch v := value.(type) {
	case []int32:
		b.key(name)
		b.ids(v)
		return b
	case [][]int32:
		b.key(name)
		b.b.WriteByte('[')
		for i, ids := range v {
			if i > 0 {
				b.b.WriteByte(',')
			}
			b.ids(ids)
		}
		b.b.WriteByte(']')
		return b
	}
	data, err := encode(value)
	if err != nil {
		b.err = fmt.Errorf("field %s of the request: %w", name, err)
		return b
	}
	b.key(name)
	b.b.Write(data)
	return b
}

// key begins a field. Names are plain words.
func (b *body) key(name string) {
	if b.b.Len() > 1 {
		b.b.WriteByte(',')
	}
	b.b.WriteByte('"')
	b.b.WriteString(name)
	b.b.WriteString(`":`)
}

// ids writes token ids by hand: a prompt has thousands.
func (b *body) ids(ids []int32) {
	b.b.Grow(7*len(ids) + 2)
	b.b.WriteByte('[')
	for i, id := range ids {
		if i > 0 {
			b.b.WriteByte(',')
		}
		b.b.Write(strconv.AppendInt(b.b.AvailableBuffer(), int64(id), 10))
	}
	b.b.WriteByte(']')
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
	b.b.WriteByte('}')
	return b.b.Bytes(), nil
}

// encode is JSON without escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// dialect is how a kind of server spells sampling.
type dialect struct {
	topK        bool                // it heeds top_k
	plain       []setting           // what turns its own habits off, in the order of sending
	seed        func(uint64) uint64 // nil: it has no seeds
	tokenIDs    bool                // it heeds return_token_ids
	roomUnasked bool                // without a limit it draws what fits
	strictModel bool                // answers carry the name that was asked for
}

// setting is a field with the value that changes nothing.
type setting struct {
	name  string
	value any
}

// Left alone, vLLM and SGLang sample as the model's generation_config.json says, and llama.cpp
// in its own way: with cuts and penalties that the caller did not ask for.
var (
	plainHF    = []setting{{"top_p", 1}, {"top_k", -1}, {"min_p", 0}, {"repetition_penalty", 1}}
	plainLlama = []setting{{"top_p", 1}, {"top_k", 0}, {"min_p", 0}, {"repeat_penalty", 1}}
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
