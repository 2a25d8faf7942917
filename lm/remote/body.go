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
	seed        func(uint64) uint64 // nil: it has no seeds
	tokenIDs    bool                // it heeds return_token_ids
	roomUnasked bool                // without a limit it draws what fits
	strictModel bool                // answers carry the name that was asked for
}

var dialects = map[Server]dialect{
	Stargate: {topK: true, seed: whole, tokenIDs: true, roomUnasked: true, strictModel: true},
	VLLM:     {topK: true, seed: positive, tokenIDs: true, roomUnasked: true, strictModel: true},
	SGLang:   {topK: true, seed: positive, roomUnasked: true, strictModel: true},
	TGI:      {seed: positive},
	TRL:      {topK: true, seed: positive},
	LlamaCpp: {topK: true, seed: seed32, roomUnasked: true},
	Ollama:   {seed: seed31, roomUnasked: true, strictModel: true},
	Hosted:   {seed: positive, strictModel: true},
	Claude:   {topK: true, strictModel: true},
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
