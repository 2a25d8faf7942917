package gguf

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// architectures are those whose settings and tensors this package knows, by
// general.architecture, with the class of transformers.
var architectures = map[string]string{"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}

// settings are the keys behind the architecture's name that are read, or say nothing that the
// tensors do not say. Another key may change what the model computes.
var settings = []string{
	"context_length", "embedding_length", "block_count", "feed_forward_length", "vocab_size", "tensor_data_layout",
	"attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon", "attention.sliding_window",
	"rope.freq_base", "rope.dimension_count", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.finetuned",
	"expert_count", "expert_used_count",
}

// config is config.json as transformers has it.
func (f *File) config() (object, error) {
	m := metadata{values: f.Metadata}
	architecture := m.text("general.architecture", "")
	class, ok := architectures[architecture]
	if !ok {
		return nil, fmt.Errorf("%w: general.architecture %q, only %s", ErrUnsupported, architecture, strings.Join(slices.Sorted(maps.Keys(architectures)), ", "))
	}
	key := architecture + "."
	for _, k := range slices.Sorted(maps.Keys(f.Metadata)) {
		if setting, ok := strings.CutPrefix(k, key); ok && !slices.Contains(settings, setting) {
			return nil, fmt.Errorf("%w: the setting %s", ErrUnsupported, k)
		}
	}
	number := func(name string, absent int) int { return m.number(key+name, absent) }
	heads, hidden := number("attention.head_count", 0), number("embedding_length", 0)
	if heads == 0 || hidden == 0 {
		return nil, fmt.Errorf("%w: %sattention.head_count is %d, %sembedding_length %d", ErrCorrupt, key, heads, key, hidden)
	}
	headDim := number("attention.key_length", hidden/heads)
	c := object{
		"architectures": []string{class}, "model_type": architecture, "hidden_act": "silu",
		"hidden_size": hidden, "intermediate_size": number("feed_forward_length", 0), "num_hidden_layers": number("block_count", 0),
		"num_attention_heads": heads, "num_key_value_heads": number("attention.head_count_kv", heads), "head_dim": headDim,
		"max_position_embeddings": number("context_length", 0), "rms_norm_eps": m.real(key+"attention.layer_norm_rms_epsilon", 1e-5),
		"rope_theta": m.real(key+"rope.freq_base", 10000), "torch_dtype": "float32",
	}
	if window := number("attention.sliding_window", 0); window > 0 {
		if architecture != "llama" {
			return nil, fmt.Errorf("%w: %sattention.sliding_window", ErrUnsupported, key)
		}
		c["architectures"], c["model_type"], c["sliding_window"] = []string{"MistralForCausalLM"}, "mistral", window
	}
	for _, same := range []string{"attention.value_length", "rope.dimension_count"} {
		if n := number(same, headDim); n != headDim {
			return nil, fmt.Errorf("%w: %s%s is %d, but a head of queries has %d", ErrUnsupported, key, same, n, headDim)
		}
	}
	if n := number("expert_count", 0); n > 0 {
		return nil, fmt.Errorf("%w: a mixture of %d experts", ErrUnsupported, n)
	}
	if n := m.number("split.count", 1); n > 1 {
		return nil, fmt.Errorf("%w: one of %d files of a model; join them with llama-gguf-split --merge", ErrUnsupported, n)
	}
	if err := f.ropeScaling(&m, c, key); err != nil {
		return nil, err
	}
	if m.err != nil {
		return nil, m.err
	}
	return c, f.fromTensors(c)
}

// fromTensors adds what only the tensors say.
func (f *File) fromTensors(c object) error {
	embedding, ok := f.Shape("token_embd.weight")
	if !ok || len(embedding) != 2 {
		return fmt.Errorf("%w: no tensor token_embd.weight of two dimensions; is it a vocabulary only?", ErrUnsupported)
	}
	_, head := f.Shape("output.weight")
	c["vocab_size"], c["tie_word_embeddings"] = embedding[0], !head
	if _, bias := f.Shape("blk.0.attn_output.bias"); bias {
		c["attention_bias"] = true
	}
	return nil
}

// ropeScaling adds rope_scaling.
func (f *File) ropeScaling(m *metadata, c object, key string) error {
	original := m.number(key+"rope.scaling.original_context_length", 0)
	kind, factor := m.text(key+"rope.scaling.type", "none"), m.real(key+"rope.scaling.factor", 0)
	if scale := m.real(key+"rope.scale_linear", 1); kind == "none" && scale != 1 && scale != 0 {
		kind, factor = "linear", scale
	}
	switch kind {
	case "none":
	case "linear":
		c["rope_scaling"] = object{"rope_type": "linear", "factor": factor}
	case "yarn":
		scaling := object{"rope_type": "yarn", "factor": factor}
		if original > 0 {
			scaling["original_max_position_embeddings"] = original
		}
		c["rope_scaling"] = scaling
	default:
		return fmt.Errorf("%w: %srope.scaling.type %q", ErrUnsupported, key, kind)
	}
	if _, ok := f.Shape(ropeFactors); !ok {
		return nil
	}
	if kind != "none" {
		return fmt.Errorf("%w: both %srope.scaling.type and the tensor %s", ErrUnsupported, key, ropeFactors)
	}
	factors, _, err := f.Float32(ropeFactors)
	if err != nil {
		return err
	}
	theta, ok := c["rope_theta"].(float64)
	if scaling, known := llama3Scaling(factors, theta); ok && known {
		c["rope_scaling"] = scaling
		return nil
	}
	return fmt.Errorf("%w: the factors in the tensor %s are not those of Llama 3", ErrUnsupported, ropeFactors)
}

// ropeFactors is what the frequencies of rotary positions are divided by.
const ropeFactors = "rope_freqs.weight"

// llama3Scaling is the rope_scaling that gives factors. GGUF has the result of Llama 3's formula
// only, so the formula is tried with the constants that all its versions have: frequencies of
// more than 4 turns in 8192 tokens stay, those of less than one are divided by the factor, and
// between them it is both in part.
func llama3Scaling(factors []float32, theta float64) (object, bool) {
	const original, low, high = 8192, 1.0, 4.0
	if len(factors) == 0 {
		return nil, false
	}
	factor := float64(slices.Max(factors))
	for i, got := range factors {
		turns := original / (2 * math.Pi * math.Pow(theta, float64(i)/float64(len(factors))))
		smooth := min(max((turns-low)/(high-low), 0), 1)
		if want := 1 / ((1-smooth)/factor + smooth); !(math.Abs(float64(got)-want) <= 1e-4*want) {
			return nil, false
		}
	}
	return object{"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": original}, true
}
