package llama

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Config is the shape of a decoder, with the names and meanings of Hugging Face's config.json.
type Config struct {
	Architectures         []string `json:"architectures"`
	ModelType             string   `json:"model_type"` // one of families
	VocabSize             int      `json:"vocab_size"`
	HiddenSize            int      `json:"hidden_size"`
	IntermediateSize      int      `json:"intermediate_size"`
	NumHiddenLayers       int      `json:"num_hidden_layers"`
	NumAttentionHeads     int      `json:"num_attention_heads"`
	NumKeyValueHeads      int      `json:"num_key_value_heads"`
	HeadDim               int      `json:"head_dim"`
	MaxPositionEmbeddings int      `json:"max_position_embeddings"`
	RMSNormEps            float64  `json:"rms_norm_eps"`
	RopeTheta             float64  `json:"rope_theta"`
	TieWordEmbeddings     bool     `json:"tie_word_embeddings"`
	HiddenAct             string   `json:"hidden_act"` // "silu"
	BOSTokenID            *int32   `json:"bos_token_id"`
	EOSTokenID            *int32   `json:"eos_token_id"` // the first, where there are several
	TorchDtype            string   `json:"torch_dtype,omitempty"`

	// Switches. What they mean, and whether they count, depends on the family.
	AttentionBias    bool         `json:"attention_bias,omitempty"`     // biases of q_proj, k_proj, v_proj and o_proj
	SlidingWindow    int          `json:"sliding_window,omitempty"`     // keys a query sees, its own included; 0: all
	UseSlidingWindow bool         `json:"use_sliding_window,omitempty"` // Qwen: sliding_window counts
	MaxWindowLayers  *int         `json:"max_window_layers,omitempty"`  // Qwen: the first layer with a window
	LayerTypes       []string     `json:"layer_types,omitempty"`        // Qwen: the same, layer by layer
	RopeScaling      *RopeScaling `json:"rope_scaling,omitempty"`

	// EOSTokenIDs is eos_token_id where it is a list.
	EOSTokenIDs []int32 `json:"-"`
}

// ErrUnsupported marks a config.json that asks for something this engine does not do.
var ErrUnsupported = errors.New("unsupported model")

// WithDefaults fills what config.json may leave out, as transformers does.
func (c Config) WithDefaults() Config {
	f := c.family()
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	if c.HeadDim == 0 {
		c.HeadDim = f.headDim
	}
	if c.HeadDim == 0 && c.NumAttentionHeads > 0 {
		c.HeadDim = c.HiddenSize / c.NumAttentionHeads
	}
	if c.RMSNormEps == 0 {
		c.RMSNormEps = 1e-6
	}
	if c.RopeTheta == 0 {
		c.RopeTheta = 10000
	}
	if c.MaxPositionEmbeddings == 0 {
		c.MaxPositionEmbeddings = f.positions
	}
	if c.HiddenAct == "" {
		c.HiddenAct = "silu"
	}
	return c
}

// Validate says what is wrong with a config, naming the field as config.json spells it.
func (c Config) Validate() error {
	if err := c.checkFamily(); err != nil {
		return err
	}
	positive := []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim}, {"max_position_embeddings", c.MaxPositionEmbeddings},
	}
	for _, p := range positive {
		if p.value <= 0 || p.value > math.MaxInt32 {
			return fmt.Errorf("config: %s is %d, want a positive number of at most 31 bits", p.name, p.value)
		}
	}
	switch {
	case c.NumAttentionHeads%c.NumKeyValueHeads != 0:
		return fmt.Errorf("config: num_attention_heads %d is not a multiple of num_key_value_heads %d", c.NumAttentionHeads, c.NumKeyValueHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("config: head_dim %d is odd; rotary embeddings need pairs", c.HeadDim)
	case !(c.RMSNormEps > 0):
		return fmt.Errorf("config: rms_norm_eps is %g, want a positive number", c.RMSNormEps)
	case !(c.RopeTheta > 1):
		return fmt.Errorf("config: rope_theta is %g, want a number above 1", c.RopeTheta)
	case c.HiddenAct != "silu":
		return fmt.Errorf("config: %w: hidden_act %q, only silu", ErrUnsupported, c.HiddenAct)
	}
	return c.RopeScaling.validate()
}

// EndTokens are the ids of eos_token_id: each of them ends a text.
func (c Config) EndTokens() []int32 {
	if len(c.EOSTokenIDs) == 0 && c.EOSTokenID != nil {
		return []int32{*c.EOSTokenID}
	}
	return slices.Clone(c.EOSTokenIDs)
}

// qkv is the width of the fused query, key and value projections.
func (c Config) qkv() int { return (c.NumAttentionHeads + 2*c.NumKeyValueHeads) * c.HeadDim }

// attn is the width of the concatenated attention heads.
func (c Config) attn() int { return c.NumAttentionHeads * c.HeadDim }

// NumParams counts parameters; a tied head counts once.
func (c Config) NumParams() int {
	d := c.HiddenSize
	n := c.VocabSize*d + d
	if !c.TieWordEmbeddings {
		n += c.VocabSize * d
	}
	layer := 2*d + c.qkv()*d + d*c.attn() + 3*c.IntermediateSize*d
	if c.hasQKVBias() {
		layer += c.qkv()
	}
	if c.hasOutBias() {
		layer += d
	}
	if c.family().qkNorm {
		layer += 2 * c.HeadDim
	}
	return n + c.NumHiddenLayers*layer
}
