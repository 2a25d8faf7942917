package llama

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// small is the required part of a config.json.
const small = `"vocab_size":8,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":2,"num_attention_heads":2,`

func TestReadConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{` + small + `"model_type":"gpt2"}`:                                                                                                                            "gpt2",
		`{` + small + `"model_type":"llama","architectures":["LlamaForSequenceClassification"]}`:                                                                        "LlamaForSequenceClassification",
		`{` + small + `"model_type":"qwen2","architectures":["LlamaForCausalLM"]}`:                                                                                      "LlamaForCausalLM",
		`{` + small + `"model_type":"llama","hidden_act":"gelu"}`:                                                                                                       "hidden_act",
		`{` + small + `"model_type":"llama","mlp_bias":true}`:                                                                                                           "mlp_bias",
		`{` + small + `"model_type":"mistral","attention_bias":true}`:                                                                                                   "attention_bias",
		`{` + small + `"model_type":"llama","partial_rotary_factor":0.5}`:                                                                                               "partial_rotary_factor",
		`{` + small + `"model_type":"llama","quantization_config":{"bits":4}}`:                                                                                          "quantization_config",
		`{` + small + `"model_type":"llama","rope_scaling":{"factor":2}}`:                                                                                               "rope_scaling",
		`{` + small + `"model_type":"llama","rope_scaling":{"rope_type":"longrope","short_factor":[1]}}`:                                                                "longrope",
		`{` + small + `"model_type":"llama","rope_parameters":{"rope_type":"su","rope_theta":5}}`:                                                                       `"su"`,
		`{` + small + `"model_type":"llama","rope_scaling":{"type":"linear","factor":2,"mrope_section":[1]}}`:                                                           "mrope_section",
		`{` + small + `"model_type":"llama","rope_scaling":{"type":"linear"}}`:                                                                                          "factor",
		`{` + small + `"model_type":"llama","rope_scaling":{"type":"llama3","factor":8}}`:                                                                               "original_max_position_embeddings",
		`{` + small + `"model_type":"llama","rope_scaling":{"type":"llama3","factor":8,"original_max_position_embeddings":8,"low_freq_factor":4,"high_freq_factor":1}}`: "high_freq_factor",
		`{` + small + `"model_type":"llama","rope_theta":1}`:                                                                                                            "rope_theta",
		`{` + small + `"model_type":"mistral","sliding_window":-1}`:                                                                                                     "sliding_window",
		`{` + small + `"model_type":"mistral","sliding_window":"all"}`:                                                                                                  "sliding_window",
		`{` + small + `"model_type":"qwen3","layer_types":["full_attention"]}`:                                                                                          "layer_types",
		`{` + small + `"model_type":"qwen3","layer_types":["full_attention","linear_attention"]}`:                                                                       "linear_attention",
		`{` + small + `"model_type":"qwen3","layer_types":["full_attention","sliding_attention"]}`:                                                                      "layer_types[1]",
		`{` + small + `"model_type":"llama","eos_token_id":"</s>"}`:                                                                                                     "eos_token_id",
		`{` + small + `"model_type":"llama","num_key_value_heads":3}`:                                                                                                   "num_key_value_heads",
		`{"model_type":"llama"}`: "vocab_size",
		`{`:                      "config.json",
	} {
		if _, err := ReadConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that names %s", text, err, want)
		}
	}
	if _, err := ReadConfig([]byte(`{` + small + `"model_type":"llama","rope_scaling":{"rope_type":"longrope"}}`)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("an unknown rope type: %v, want ErrUnsupported", err)
	}
}

// What published files of each family look like, shortened to the fields that matter.
func TestReadConfig(t *testing.T) {
	const shape = `"vocab_size":100,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":4,"num_attention_heads":8,`
	layers := 2
	for _, x := range []struct {
		name, text string
		want       Config // beside the shape and the defaults
	}{
		{"Llama 3.2", `"architectures":["LlamaForCausalLM"],"model_type":"llama","head_dim":16,"num_key_value_heads":2,"attention_bias":false,"mlp_bias":false,
			"bos_token_id":3,"eos_token_id":[4,5,6],"max_position_embeddings":131072,"rms_norm_eps":1e-05,"rope_theta":500000.0,"tie_word_embeddings":true,
			"rope_scaling":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3"}}`,
			Config{ModelType: "llama", HeadDim: 16, NumKeyValueHeads: 2, EOSTokenIDs: []int32{4, 5, 6}, MaxPositionEmbeddings: 131072, RMSNormEps: 1e-5, RopeTheta: 500000, TieWordEmbeddings: true,
				RopeScaling: &RopeScaling{Type: "llama3", Factor: 32, HighFreqFactor: 4, LowFreqFactor: 1, OriginalMaxPositionEmbeddings: 8192}}},
		{"Mistral 0.1", `"model_type":"mistral","num_key_value_heads":2,"eos_token_id":2,"max_position_embeddings":32768,"sliding_window":4096,"rope_theta":10000.0}`,
			Config{ModelType: "mistral", NumKeyValueHeads: 2, MaxPositionEmbeddings: 32768, SlidingWindow: 4096}},
		{"Mistral 0.3", `"model_type":"mistral","num_key_value_heads":2,"eos_token_id":2,"max_position_embeddings":32768,"sliding_window":null,"head_dim":null,"rope_theta":1000000.0}`,
			Config{ModelType: "mistral", NumKeyValueHeads: 2, MaxPositionEmbeddings: 32768, RopeTheta: 1000000}},
		{"Mistral that leaves things out", `"model_type":"mistral","eos_token_id":2}`,
			Config{ModelType: "mistral", NumKeyValueHeads: 8, MaxPositionEmbeddings: 131072, SlidingWindow: 4096}},
		{"Qwen2.5", `"model_type":"qwen2","num_key_value_heads":2,"eos_token_id":2,"max_position_embeddings":32768,"max_window_layers":2,"sliding_window":32768,"use_sliding_window":false,"tie_word_embeddings":true,
			"rope_scaling":{"factor":4.0,"original_max_position_embeddings":32768,"type":"yarn"}}`,
			Config{ModelType: "qwen2", NumKeyValueHeads: 2, MaxPositionEmbeddings: 32768, SlidingWindow: 32768, MaxWindowLayers: &layers, TieWordEmbeddings: true,
				RopeScaling: &RopeScaling{Type: "yarn", Factor: 4, OriginalMaxPositionEmbeddings: 32768}}},
		{"Qwen3", `"model_type":"qwen3","num_key_value_heads":2,"eos_token_id":2,"head_dim":128,"attention_bias":false,"max_position_embeddings":40960,"max_window_layers":2,"rope_scaling":null,"rope_theta":1000000,"sliding_window":null,"use_sliding_window":false}`,
			Config{ModelType: "qwen3", NumKeyValueHeads: 2, HeadDim: 128, MaxPositionEmbeddings: 40960, MaxWindowLayers: &layers, RopeTheta: 1000000}},
		{"rope_parameters", `"model_type":"llama","num_key_value_heads":null,"eos_token_id":2,"rope_parameters":{"rope_theta":77.0,"rope_type":"default"},"dtype":"bfloat16"}`,
			Config{ModelType: "llama", NumKeyValueHeads: 8, RopeTheta: 77}},
		{"rope_parameters with scaling", `"model_type":"llama","eos_token_id":2,"rope_parameters":{"rope_theta":77.0,"rope_type":"linear","factor":2}}`,
			Config{ModelType: "llama", NumKeyValueHeads: 8, RopeTheta: 77, RopeScaling: &RopeScaling{Type: "linear", Factor: 2}}},
	} {
		got, err := ReadConfig([]byte(`{` + shape + x.text))
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		if want := []int32{2}; x.want.EOSTokenIDs == nil && !slices.Equal(got.EndTokens(), want) || x.want.EOSTokenIDs != nil && !slices.Equal(got.EndTokens(), x.want.EOSTokenIDs) {
			t.Errorf("%s: ends with %v", x.name, got.EndTokens())
		}
		// Written and read, it is the same.
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadConfig(text); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s: written as %s and read as %+v, %v", x.name, text, again, err)
		}
		want := x.want
		want.VocabSize, want.HiddenSize, want.IntermediateSize, want.NumHiddenLayers, want.NumAttentionHeads = 100, 64, 96, 4, 8
		want.Architectures, want.EOSTokenID, want.BOSTokenID = got.Architectures, got.EOSTokenID, got.BOSTokenID
		if want = want.WithDefaults(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read as\n%+v, want\n%+v", x.name, got, want)
		}
	}
}

// With a list of ends, the first is EOSTokenID.
func TestEndTokens(t *testing.T) {
	for text, want := range map[string][]int32{`null`: nil, `3`: {3}, `[3,4]`: {3, 4}, `[]`: nil} {
		c, err := ReadConfig([]byte(`{` + small + `"model_type":"llama","eos_token_id":` + text + `}`))
		if err != nil || !slices.Equal(c.EndTokens(), want) || (c.EOSTokenID == nil) != (want == nil) {
			t.Errorf("eos_token_id %s: %v, %v", text, c.EndTokens(), err)
		}
	}
}

// A config that is read is written and read as the same.
func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(`{` + small + `"model_type":"llama","eos_token_id":[3,4],"rope_scaling":{"type":"linear","factor":2}}`))
	f.Add([]byte(`{` + small + `"model_type":"mistral","sliding_window":null,"rope_parameters":{"rope_type":"yarn","factor":4,"truncate":false}}`))
	f.Add([]byte(`{` + small + `"model_type":"qwen3","head_dim":4,"use_sliding_window":true,"sliding_window":3,"layer_types":["full_attention","sliding_attention"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ReadConfig(text)
		if err != nil {
			return
		}
		for layer := range min(c.NumHiddenLayers, 100) {
			if w := c.window(layer); w < 0 || w >= c.Context() {
				t.Errorf("window %d of %d", w, c.Context())
			}
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadConfig(written); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("written as %s, read as %+v (%v), was %+v", written, again, err, c)
		}
	})
}
