package gguf

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Model is a file seen as a Hugging Face directory.
type Model struct {
	// Files are config.json, tokenizer.json, tokenizer_config.json with the chat template, and
	// generation_config.json.
	Files map[string][]byte

	file    *File
	sources map[string]source // by the name of transformers
}

// source is a tensor of the file.
type source struct {
	name  string
	heads int // whose rows are in llama.cpp's order; 0: none
}

// Model maps settings, vocabulary and tensors to those of transformers. What it does not know
// is [ErrUnsupported], by name.
func (f *File) Model() (*Model, error) {
	c, err := f.config()
	if err != nil {
		return nil, err
	}
	v, err := f.vocabulary()
	if err != nil {
		return nil, err
	}
	m := &Model{file: f, sources: map[string]source{}, Files: map[string][]byte{}}
	if m.Files["tokenizer.json"], err = f.TokenizerJSON(); err != nil {
		return nil, err
	}
	text := metadata{values: f.Metadata}
	settings := object{
		"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false, "model_max_length": c["max_position_embeddings"],
		"add_bos_token": v.addBOS, "add_eos_token": v.addEOS,
	}
	if template := text.text("tokenizer.chat_template", ""); template != "" {
		settings["chat_template"] = template
	}
	for name, id := range map[string]int{"bos_token": v.bos, "eos_token": v.eos, "unk_token": v.unknown, "pad_token": v.pad} {
		if id >= 0 {
			settings[name] = v.token(id)
		}
	}
	generation := object{}
	ends := []int{}
	for _, id := range []int{v.eos, v.eot} {
		if id >= 0 && !slices.Contains(ends, id) {
			ends = append(ends, id)
		}
	}
	generation["eos_token_id"] = ends
	if len(ends) > 0 {
		c["eos_token_id"] = ends[0]
	}
	if v.bos >= 0 {
		c["bos_token_id"], generation["bos_token_id"] = v.bos, v.bos
	}
	if text.err != nil {
		return nil, text.err
	}
	for name, data := range map[string]object{"config.json": c, "tokenizer_config.json": settings, "generation_config.json": generation} {
		if m.Files[name], err = json.MarshalIndent(data, "", "  "); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return m, m.name(c)
}

// layers are the names of a layer's tensors, here and in transformers.
var layers = map[string]string{
	"attn_norm.weight": "input_layernorm.weight", "ffn_norm.weight": "post_attention_layernorm.weight",
	"attn_q.weight": "self_attn.q_proj.weight", "attn_k.weight": "self_attn.k_proj.weight", "attn_v.weight": "self_attn.v_proj.weight", "attn_output.weight": "self_attn.o_proj.weight",
	"attn_q.bias": "self_attn.q_proj.bias", "attn_k.bias": "self_attn.k_proj.bias", "attn_v.bias": "self_attn.v_proj.bias", "attn_output.bias": "self_attn.o_proj.bias",
	"attn_q_norm.weight": "self_attn.q_norm.weight", "attn_k_norm.weight": "self_attn.k_norm.weight",
	"ffn_gate.weight": "mlp.gate_proj.weight", "ffn_up.weight": "mlp.up_proj.weight", "ffn_down.weight": "mlp.down_proj.weight",
}

// outside are those of the tensors outside the layers.
var outside = map[string]string{"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}

// name gives every tensor its name in transformers.
func (m *Model) name(c object) error {
	for _, name := range m.file.Names() {
		if name == ropeFactors {
			continue // config.json says it
		}
		to, ok := outside[name]
		if !ok {
			to, ok = layerName(name)
		}
		if !ok {
			return fmt.Errorf("%w: the tensor %s", ErrUnsupported, name)
		}
		s := source{name: name}
		if c["model_type"] == "llama" || c["model_type"] == "mistral" {
			s.heads = rotated(name, c)
		}
		shape, _ := m.file.Shape(name)
		if s.heads > 0 && (len(shape) == 0 || shape[0]%(2*s.heads) != 0) {
			return fmt.Errorf("%w: tensor %s of shape %d is not %d heads", ErrCorrupt, name, shape, s.heads)
		}
		m.sources[to] = s
	}
	return nil
}

func layerName(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "blk.")
	layer, tensor, ok2 := strings.Cut(rest, ".")
	n, err := strconv.Atoi(layer)
	to, ok3 := layers[tensor]
	if !ok || !ok2 || !ok3 || err != nil || strconv.Itoa(n) != layer {
		return "", false
	}
	return "model.layers." + layer + "." + to, true
}

// rotated is the number of heads of a projection of queries or keys.
func rotated(name string, c object) int {
	heads := 0
	switch {
	case strings.Contains(name, ".attn_q."):
		heads, _ = c["num_attention_heads"].(int)
	case strings.Contains(name, ".attn_k."):
		heads, _ = c["num_key_value_heads"].(int)
	}
	return heads
}

// Names lists the tensors in alphabetical order.
func (m *Model) Names() []string { return slices.Sorted(maps.Keys(m.sources)) }

// Shape is a tensor's shape; ok is false if there is no such tensor. The slice is the caller's.
func (m *Model) Shape(name string) (shape []int, ok bool) { return m.file.Shape(m.sources[name].name) }

// Type is how a tensor is stored; ok is false if there is no such tensor.
func (m *Model) Type(name string) (kind Type, ok bool) { return m.file.Type(m.sources[name].name) }

// Float32 decodes a tensor; the slices are the caller's.
func (m *Model) Float32(name string) (data []float32, shape []int, err error) {
	s, ok := m.sources[name]
	if !ok {
		return nil, nil, fmt.Errorf("gguf: no tensor %s", name)
	}
	data = make([]float32, m.file.tensors[s.name].values())
	shape, _ = m.file.Shape(s.name)
	return data, shape, m.Decode(data, name)
}

// Decode writes a tensor's elements to dst, which must have their number.
func (m *Model) Decode(dst []float32, name string) error {
	s, ok := m.sources[name]
	if !ok {
		return fmt.Errorf("gguf: no tensor %s", name)
	}
	if err := m.file.Decode(dst, s.name); err != nil {
		return err
	}
	if s.heads > 0 && len(dst) > 0 {
		shape, _ := m.file.Shape(s.name)
		halves(dst, s.heads, len(dst)/shape[0])
	}
	return nil
}

// halves puts the rows of each head in the order of transformers, in place. Rotary positions
// turn pairs of rows: in llama.cpp's order of the Llama family a pair is two rows beside each
// other, in transformers' it is one row of the first half of a head and the same of the second.
func halves(rows []float32, heads, columns int) {
	size := len(rows) / heads
	was := make([]float32, size)
	for ; len(rows) > 0; rows = rows[size:] {
		copy(was, rows)
		n := size / columns / 2 // pairs
		for i := range n {
			copy(rows[i*columns:][:columns], was[2*i*columns:])
			copy(rows[(n+i)*columns:][:columns], was[(2*i+1)*columns:])
		}
	}
}
