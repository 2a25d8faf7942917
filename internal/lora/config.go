package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Config says which matrices are adapted, and how: the fields of PEFT's LoraConfig that this
// package honours.
type Config struct {
	Rank    int      // r: rows of A, columns of B
	Alpha   float64  // the scale is Alpha/Rank, or Alpha/√Rank with RankStabilised
	Targets []string // last parts of module names, such as "q_proj"; nil: every projection of attention and feed-forward network

	Dropout        float64 // of training, for readers: nothing drops out when an adapter is applied
	RankStabilised bool    // PEFT's use_rslora (Kalajdzievski, 2023)
	Base           string  // base_model_name_or_path: for readers, no part of the computation
}

// Projections are the linear modules of a decoder layer: the targets unless others are named.
var Projections = []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}

// ErrUnsupported marks an adapter that this package cannot apply; the text names the switch.
var ErrUnsupported = errors.New("unsupported adapter")

// Scale is s.
func (c Config) Scale() float64 {
	if c.RankStabilised {
		return c.Alpha / math.Sqrt(float64(c.Rank))
	}
	return c.Alpha / float64(c.Rank)
}

// Validate says what is wrong, in words that name PEFT's field.
func (c Config) Validate() error {
	switch {
	case c.Rank < 1:
		return fmt.Errorf("lora: r is %d, want at least 1", c.Rank)
	case !(c.Alpha > 0) || math.IsInf(c.Alpha, 0):
		return fmt.Errorf("lora: lora_alpha is %g, want a positive number", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("lora: lora_dropout is %g, want a number in [0, 1)", c.Dropout)
	}
	for _, t := range c.targets() {
		if !slices.Contains(Projections, t) {
			return fmt.Errorf("lora: target module %q: want some of %s", t, strings.Join(Projections, ", "))
		}
	}
	return nil
}

func (c Config) targets() []string {
	if len(c.Targets) == 0 {
		return Projections
	}
	return c.Targets
}

// adapts tells whether a tensor of this name, such as
// "model.layers.0.self_attn.q_proj.weight", is adapted.
func (c Config) adapts(name string) bool {
	module, ok := strings.CutSuffix(name, ".weight")
	return ok && slices.Contains(c.targets(), module[strings.LastIndex(module, ".")+1:])
}

// peftConfig is adapter_config.json, as PEFT 0.17 writes it for a causal language model.
type peftConfig struct {
	PeftType     string   `json:"peft_type"`
	TaskType     string   `json:"task_type"`
	Base         string   `json:"base_model_name_or_path"`
	Rank         int      `json:"r"`
	Alpha        float64  `json:"lora_alpha"`
	Dropout      float64  `json:"lora_dropout"`
	Targets      targets  `json:"target_modules"`
	Bias         string   `json:"bias"`
	FanInFanOut  bool     `json:"fan_in_fan_out"`
	RSLoRA       bool     `json:"use_rslora"`
	DoRA         bool     `json:"use_dora"`
	Inference    bool     `json:"inference_mode"`
	InitWeights  any      `json:"init_lora_weights"`
	ModulesSaved []string `json:"modules_to_save"`
}

// targets is a list, or a single string: a name, or "all-linear".
type targets []string

func (t *targets) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		if one != "all-linear" {
			return fmt.Errorf("target_modules is the pattern %q; write the names as a list", one)
		}
		*t = slices.Clone(Projections)
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// refused are fields of adapter_config.json that change what an adapter computes; each must be
// absent, null, empty or false.
var refused = []string{"rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern", "exclude_modules",
	"layer_replication", "trainable_token_indices", "target_parameters", "corda_config", "eva_config", "megatron_config", "use_qalora", "lora_bias"}

func readConfig(data []byte) (Config, error) {
	p := peftConfig{Bias: "none"}
	if err := json.Unmarshal(data, &p); err != nil {
		return Config{}, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		return Config{}, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	for _, name := range refused {
		if !empty(raw[name]) {
			return Config{}, fmt.Errorf("%s: %w: %s is %v", ConfigFile, ErrUnsupported, name, raw[name])
		}
	}
	for _, c := range []struct {
		bad  bool
		text string
	}{
		{p.PeftType != "LORA", fmt.Sprintf("peft_type is %q, want LORA", p.PeftType)},
		{p.Bias != "none", fmt.Sprintf("bias is %q, want none", p.Bias)},
		{p.DoRA, "use_dora is true"},
		{p.FanInFanOut, "fan_in_fan_out is true"},
		{len(p.ModulesSaved) > 0, fmt.Sprintf("modules_to_save is %v", p.ModulesSaved)},
	} {
		if c.bad {
			return Config{}, fmt.Errorf("%s: %w: %s", ConfigFile, ErrUnsupported, c.text)
		}
	}
	c := Config{Rank: p.Rank, Alpha: p.Alpha, Dropout: p.Dropout, Targets: p.Targets, RankStabilised: p.RSLoRA, Base: p.Base}
	return c, c.Validate()
}

func empty(x any) bool {
	switch x := x.(type) {
	case nil:
		return true
	case bool:
		return !x
	case []any:
		return len(x) == 0
	case map[string]any:
		return len(x) == 0
	}
	return false
}

func (c Config) marshal() ([]byte, error) {
	data, err := json.MarshalIndent(peftConfig{PeftType: "LORA", TaskType: "CAUSAL_LM", Base: c.Base, Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout,
		Targets: c.targets(), Bias: "none", RSLoRA: c.RankStabilised, Inference: true, InitWeights: true}, "", "  ")
	return append(data, '\n'), err
}
