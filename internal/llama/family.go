package llama

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// family is what distinguishes the architectures that this engine computes: all are decoders of
// RMSNorm, rotary positions, grouped-query attention and SwiGLU. TinyLlama and SmolLM2 are of
// the llama family.
type family struct {
	architecture string // the class in "architectures"

	qkvBias       bool    // queries, keys and values always have a bias
	attentionBias bool    // "attention_bias" gives them, and the output projection, one
	qkNorm        bool    // each head of queries and keys is normalised before rotation
	window        windows // which layers look back "sliding_window" tokens only

	// What config.json may leave out.
	kvHeads   int // 0: as many as attention heads
	headDim   int // 0: hidden_size / num_attention_heads
	positions int
}

// windows says which layers have a sliding window.
type windows int

const (
	noLayer windows = iota
	everyLayer
	chosenLayers // with "use_sliding_window": those of "layer_types", or from "max_window_layers" on
)

// defaultWindow is sliding_window of the families that have one, where config.json has none.
const defaultWindow = 4096

// defaultWindowLayers is max_window_layers where config.json has none.
const defaultWindowLayers = 28

var families = map[string]family{
	"llama":   {architecture: "LlamaForCausalLM", attentionBias: true, positions: 2048},
	"mistral": {architecture: "MistralForCausalLM", window: everyLayer, kvHeads: 8, positions: 131072},
	"qwen2":   {architecture: "Qwen2ForCausalLM", qkvBias: true, window: chosenLayers, kvHeads: 32, positions: 32768},
	"qwen3":   {architecture: "Qwen3ForCausalLM", attentionBias: true, qkNorm: true, window: chosenLayers, kvHeads: 32, headDim: 128, positions: 32768},
}

func (c Config) family() family { return families[c.ModelType] }

// checkFamily says what of the config its family, or this engine, does not have.
func (c Config) checkFamily() error {
	f, ok := families[c.ModelType]
	switch {
	case !ok:
		return fmt.Errorf("config: %w: model_type %q, only %s", ErrUnsupported, c.ModelType, strings.Join(slices.Sorted(maps.Keys(families)), ", "))
	case len(c.Architectures) > 0 && !slices.Contains(c.Architectures, f.architecture):
		return fmt.Errorf("config: %w: architectures %q, only %s of model_type %s", ErrUnsupported, c.Architectures, f.architecture, c.ModelType)
	case c.AttentionBias && !f.attentionBias:
		return fmt.Errorf("config: %w: attention_bias of model_type %s", ErrUnsupported, c.ModelType)
	case c.SlidingWindow < 0:
		return fmt.Errorf("config: sliding_window is %d, want a positive number or null", c.SlidingWindow)
	}
	return c.checkLayerTypes()
}

func (c Config) checkLayerTypes() error {
	if len(c.LayerTypes) == 0 {
		return nil
	}
	if len(c.LayerTypes) != c.NumHiddenLayers {
		return fmt.Errorf("config: layer_types has %d entries, num_hidden_layers is %d", len(c.LayerTypes), c.NumHiddenLayers)
	}
	for i, kind := range c.LayerTypes {
		switch {
		case kind == slidingAttention && c.family().window != noLayer && c.hasWindow(i): // as computed
		case kind == fullAttention && !c.hasWindow(i):
		case kind == slidingAttention || kind == fullAttention:
			return fmt.Errorf("config: %w: layer_types[%d] %q, which contradicts sliding_window and use_sliding_window of model_type %s", ErrUnsupported, i, kind, c.ModelType)
		default:
			return fmt.Errorf("config: %w: layer_types[%d] %q, only %s and %s", ErrUnsupported, i, kind, fullAttention, slidingAttention)
		}
	}
	return nil
}

// The values of layer_types.
const (
	fullAttention    = "full_attention"
	slidingAttention = "sliding_attention"
)

// hasWindow tells whether a layer's attention is limited to sliding_window tokens.
func (c Config) hasWindow(layer int) bool {
	switch f := c.family(); {
	case c.SlidingWindow == 0 || f.window == noLayer:
		return false
	case f.window == everyLayer:
		return true
	case !c.UseSlidingWindow:
		return false
	case len(c.LayerTypes) > 0:
		return c.LayerTypes[layer] == slidingAttention
	case c.MaxWindowLayers == nil:
		return layer >= defaultWindowLayers
	}
	return layer >= *c.MaxWindowLayers
}

// window is the number of keys, its own included, that a query of a layer sees, or 0 where it
// sees all.
func (c Config) window(layer int) int {
	if !c.hasWindow(layer) || c.SlidingWindow >= c.Context() {
		return 0
	}
	return c.SlidingWindow
}

// hasQKVBias tells whether queries, keys and values have a bias.
func (c Config) hasQKVBias() bool { return c.family().qkvBias || c.hasOutBias() }

// hasOutBias tells whether the output projection of attention has a bias.
func (c Config) hasOutBias() bool { return c.family().attentionBias && c.AttentionBias }
