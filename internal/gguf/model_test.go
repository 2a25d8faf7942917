package gguf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/internal/llama"
	"stargate/internal/tokenizer"
)

// settingsOf are the metadata of a model with a vocabulary of three tokens.
func settingsOf(architecture string, more map[string]any) map[string]any {
	all := map[string]any{
		"general.architecture": architecture, architecture + ".context_length": uint32(64), architecture + ".embedding_length": uint32(24), architecture + ".block_count": uint32(2),
		architecture + ".feed_forward_length": uint32(40), architecture + ".attention.head_count": uint32(4), architecture + ".attention.head_count_kv": uint32(2),
		architecture + ".attention.layer_norm_rms_epsilon": float32(1e-5), architecture + ".attention.key_length": uint32(8), architecture + ".attention.value_length": uint32(8),
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.tokens": []string{"a", "b", "ab", "<|end|>", "<|eot|>", "[PAD5]"},
		"tokenizer.ggml.token_type": []int32{1, 1, 1, 3, 3, 5}, "tokenizer.ggml.merges": []string{"a b"}, "tokenizer.ggml.eos_token_id": uint32(3), "tokenizer.ggml.eot_token_id": uint32(4),
	}
	maps.Copy(all, more)
	return all
}

// write is a GGUF file with tensors in float32.
func write(metadata map[string]any, tensors map[string]llama.Param) []byte {
	f := file{version: 3, tensors: uint64(len(tensors)), values: uint64(len(metadata))}
	put := func(v ...any) { f.rest = append(f.rest, v...) }
	strings := func(kind uint32, v []string) {
		put(uint32(kindArray), kind, uint64(len(v)))
		for _, s := range v {
			put(s)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		put(key)
		switch v := metadata[key].(type) {
		case string:
			put(uint32(kindString), v)
		case uint32:
			put(uint32(kindUint32), v)
		case float32:
			put(uint32(kindFloat32), v)
		case bool:
			put(uint32(kindBool), v)
		case []string:
			strings(kindString, v)
		case []int32:
			put(uint32(kindArray), uint32(kindInt32), uint64(len(v)), v)
		case []float32:
			put(uint32(kindArray), uint32(kindFloat32), uint64(len(v)), v)
		default:
			panic(fmt.Sprintf("%s is a %T", key, v))
		}
	}
	var data []float32
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		t := tensors[name]
		put(name, uint32(len(t.Shape)))
		for _, d := range slices.Backward(t.Shape) {
			put(uint64(d))
		}
		put(uint32(F32), uint64(4*len(data)))
		data = append(data, t.Data...)
		data = append(data, make([]float32, -len(data)&7)...) // to the next 32 bytes
	}
	head := f.bytes()
	put(make([]byte, -len(head)&31), data)
	return f.bytes()
}

// convert names and orders a model's tensors as llama.cpp does.
func convert(m *llama.Model, permuted bool) map[string]llama.Param {
	names := map[string]string{}
	for from, to := range outside {
		names[to] = from
	}
	for i := range m.Layers {
		for from, to := range layers {
			names[fmt.Sprintf("model.layers.%d.%s", i, to)] = fmt.Sprintf("blk.%d.%s", i, from)
		}
	}
	all := map[string]llama.Param{}
	for _, p := range m.Params() {
		p.Data = slices.Clone(p.Data)
		heads := map[bool]int{strings.Contains(p.Name, "q_proj"): m.Config.NumAttentionHeads, strings.Contains(p.Name, "k_proj"): m.Config.NumKeyValueHeads}[true]
		if permuted && heads > 0 {
			// Its converter: reshape(heads, 2, head/2, columns), swap the middle two.
			was, columns, n := slices.Clone(p.Data), len(p.Data)/p.Shape[0], m.Config.HeadDim/2
			for h := range heads {
				for half := range 2 {
					for i := range n {
						copy(p.Data[(h*2*n+2*i+half)*columns:][:columns], was[(h*2*n+half*n+i)*columns:])
					}
				}
			}
		}
		all[names[p.Name]] = p
	}
	return all
}

// llama3Factors are the frequencies' divisors by the formula of transformers.
func llama3Factors(n int, theta, factor, low, high, original float64) (out []float32) {
	for i := range n {
		length := 2 * math.Pi * math.Pow(theta, float64(i)/float64(n))
		switch {
		case length < original/high:
			out = append(out, 1)
		case length > original/low:
			out = append(out, float32(factor))
		default:
			smooth := (original/length - low) / (high - low)
			out = append(out, float32(1/((1-smooth)/factor+smooth)))
		}
	}
	return out
}

// A model written as GGUF is the same model when it is read: config.json, and every weight under
// its name of transformers.
func TestModel(t *testing.T) {
	scores := map[string]any{"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": []string{"<unk>", "<s>", "</s>", "▁", "a", "▁a"}, "tokenizer.ggml.token_type": []int32{2, 3, 3, 1, 1, 1},
		"tokenizer.ggml.scores": []float32{0, 0, 0, -3, -2, -1}, "tokenizer.ggml.merges": []string{}, "tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint32(2), "tokenizer.ggml.eot_token_id": uint32(2),
		"tokenizer.chat_template": "{{ messages[0].content }}", "llama.rope.freq_base": float32(500000), "llama.rope.dimension_count": uint32(8), "llama.vocab_size": uint32(6)}
	with := func(more map[string]any) map[string]any {
		all := maps.Clone(scores)
		maps.Copy(all, more)
		return all
	}
	for name, c := range map[string]struct {
		architecture string
		metadata     map[string]any
		factors      []float32
		config       string // fields besides those that all have
	}{
		"llama":   {"llama", scores, nil, `"model_type":"llama","rope_theta":500000,"bos_token_id":1,"eos_token_id":2`},
		"llama3":  {"llama", scores, llama3Factors(4, 500000, 8, 1, 4, 8192), `"model_type":"llama","rope_theta":500000,"bos_token_id":1,"eos_token_id":2,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}`},
		"linear":  {"llama", with(map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(2.5)}), nil, `"model_type":"llama","rope_theta":500000,"bos_token_id":1,"eos_token_id":2,"rope_scaling":{"rope_type":"linear","factor":2.5}`},
		"scale":   {"llama", with(map[string]any{"llama.rope.scale_linear": float32(4)}), nil, `"model_type":"llama","rope_theta":500000,"bos_token_id":1,"eos_token_id":2,"rope_scaling":{"rope_type":"linear","factor":4}`},
		"bias":    {"llama", scores, nil, `"model_type":"llama","rope_theta":500000,"bos_token_id":1,"eos_token_id":2,"attention_bias":true,"tie_word_embeddings":true`},
		"mistral": {"llama", with(map[string]any{"llama.attention.sliding_window": uint32(16)}), nil, `"model_type":"mistral","rope_theta":500000,"bos_token_id":1,"eos_token_id":2,"sliding_window":16`},
		"qwen2":   {"qwen2", nil, nil, `"model_type":"qwen2","eos_token_id":3,"tie_word_embeddings":true`},
		"qwen3":   {"qwen3", map[string]any{"qwen3.rope.scaling.type": "yarn", "qwen3.rope.scaling.factor": float32(4), "qwen3.rope.scaling.original_context_length": uint32(32)}, nil, `"model_type":"qwen3","eos_token_id":3,"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":32}`},
	} {
		t.Run(name, func(t *testing.T) {
			var fields struct {
				ModelType string `json:"model_type"`
			}
			text := []byte(`{"vocab_size":6,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":8,"max_position_embeddings":64,"rms_norm_eps":1e-05,"torch_dtype":"float32",` + c.config + `}`)
			want, err := llama.ReadConfig(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &fields); err != nil {
				t.Fatal(err)
			}
			want.Architectures = []string{map[string]string{"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}[fields.ModelType]}
			network, err := llama.NewModel(want)
			if err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 1))
			for i := range network.Flat() {
				network.Flat()[i] = random.Float32()
			}
			tensors := convert(network, c.architecture == "llama")
			if c.factors != nil {
				tensors[ropeFactors] = llama.Param{Shape: []int{len(c.factors)}, Data: c.factors}
			}
			f, err := Read(write(settingsOf(c.architecture, c.metadata), tensors))
			if err != nil {
				t.Fatal(err)
			}
			m, err := f.Model()
			if err != nil {
				t.Fatal(err)
			}
			got, err := llama.ReadConfig(m.Files["config.json"])
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("config.json (%v):\n%s", err, diff)
			}
			if len(m.Names()) != len(network.Params()) {
				t.Errorf("tensors %q", m.Names())
			}
			for _, p := range network.Params() {
				data, shape, err := m.Float32(p.Name)
				if err != nil || !slices.Equal(shape, p.Shape) || !slices.Equal(data, p.Data) {
					t.Errorf("%s of shape %d is not itself of shape %d (%v)", p.Name, shape, p.Shape, err)
				}
			}
			checkFiles(t, m)
		})
	}
}

// checkFiles holds the text files to each other.
func checkFiles(t *testing.T, m *Model) {
	t.Helper()
	tok, err := tokenizer.Load(m.Files[tokenizer.File])
	if err != nil {
		t.Fatal(err)
	}
	settings, err := tokenizer.ReadConfig(m.Files[tokenizer.ConfigFile])
	if err != nil {
		t.Fatal(err)
	}
	generation, err := tokenizer.ReadGeneration(m.Files[tokenizer.GenerationFile])
	if err != nil {
		t.Fatal(err)
	}
	end, ok := tok.TokenID(string(settings.EOSToken))
	if !ok || len(generation.EOSTokenID) == 0 || generation.EOSTokenID[0] != end {
		t.Errorf("eos_token %q is %d, but eos_token_id %d", settings.EOSToken, end, generation.EOSTokenID)
	}
	before, _ := tok.Around()
	begin, ok := tok.TokenID(string(settings.BOSToken))
	if *settings.AddBOSToken != (len(before) > 0) || ok && !slices.Equal(before, []int32{begin}) {
		t.Errorf("bos_token %q, add_bos_token %t, but %d before a text", settings.BOSToken, *settings.AddBOSToken, before)
	}
	if ok && settings.ChatTemplate == "" {
		t.Error("no chat_template")
	}
}

func TestModelErrors(t *testing.T) {
	tensors := func(more ...string) map[string]llama.Param {
		all := map[string]llama.Param{"token_embd.weight": {Shape: []int{6, 24}, Data: make([]float32, 144)}}
		for _, name := range more {
			all[name] = llama.Param{Shape: []int{3}, Data: make([]float32, 3)}
		}
		return all
	}
	for name, c := range map[string]struct {
		architecture string
		metadata     map[string]any
		tensors      map[string]llama.Param
		want         string
	}{
		"architecture":   {"falcon", nil, tensors(), `general.architecture "falcon", only llama, qwen2, qwen3`},
		"setting":        {"llama", map[string]any{"llama.attention.magic": float32(1)}, tensors(), "the setting llama.attention.magic"},
		"kind":           {"llama", map[string]any{"llama.context_length": "x"}, tensors(), "llama.context_length is a string, not a number"},
		"experts":        {"llama", map[string]any{"llama.expert_count": uint32(8)}, tensors(), "8 experts"},
		"window":         {"qwen2", map[string]any{"qwen2.attention.sliding_window": uint32(8)}, tensors(), "qwen2.attention.sliding_window"},
		"partial":        {"llama", map[string]any{"llama.rope.dimension_count": uint32(4)}, tensors(), "llama.rope.dimension_count is 4"},
		"split":          {"llama", map[string]any{"split.count": uint32(3)}, tensors(), "one of 3 files"},
		"longrope":       {"llama", map[string]any{"llama.rope.scaling.type": "longrope"}, tensors(), `"longrope"`},
		"factors":        {"llama", nil, tensors(ropeFactors), "not those of Llama 3"},
		"vocabulary":     {"llama", nil, nil, "no tensor token_embd.weight"},
		"tensor":         {"llama", nil, tensors("blk.0.attn_rot.weight"), "the tensor blk.0.attn_rot.weight"},
		"layer":          {"llama", nil, tensors("blk.00.attn_q.weight"), "the tensor blk.00.attn_q.weight"},
		"heads":          {"llama", nil, tensors("blk.0.attn_q.weight"), "is not 4 heads"},
		"unigram":        {"llama", map[string]any{"tokenizer.ggml.model": "t5"}, tensors(), `tokenizer.ggml.model "t5"`},
		"pre":            {"llama", map[string]any{"tokenizer.ggml.pre": "viking"}, tensors(), `tokenizer.ggml.pre "viking"`},
		"no tokens":      {"llama", map[string]any{"tokenizer.ggml.tokens": []string{}}, tensors(), "no tokens"},
		"no scores":      {"llama", map[string]any{"tokenizer.ggml.model": "llama"}, tensors(), "without scores"},
		"same tokens":    {"llama", map[string]any{"tokenizer.ggml.tokens": []string{"a", "a", "c", "d", "e", "f"}}, tensors(), `token 1 is "a"`},
		"types":          {"llama", map[string]any{"tokenizer.ggml.token_type": []int32{1}}, tensors(), "6 tokens have 1 types"},
		"special":        {"llama", map[string]any{"tokenizer.ggml.eos_token_id": uint32(6)}, tensors(), "special token 6 of 6"},
		"template":       {"llama", map[string]any{"tokenizer.chat_template": uint32(1)}, tensors(), "tokenizer.chat_template is a uint32"},
		"without spaces": {"llama", map[string]any{"tokenizer.ggml.merges": []string{"ab"}}, tensors(), `merge 0 is "ab"`},
	} {
		f, err := Read(write(settingsOf(c.architecture, c.metadata), c.tensors))
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := f.Model(); err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Whatever file is read is a model or an error that says why, and what a model has can be used.
func FuzzModel(f *testing.F) {
	c, err := llama.ReadConfig([]byte(`{"model_type":"llama","vocab_size":6,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":8,"max_position_embeddings":64}`))
	if err != nil {
		f.Fatal(err)
	}
	network, err := llama.NewModel(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(write(settingsOf("llama", nil), convert(network, true)))
	f.Add(write(settingsOf("llama", map[string]any{"tokenizer.ggml.model": "llama", "tokenizer.ggml.scores": []float32{0, 1, 2, 3, 4, 5}}), convert(network, true)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(data)
		if err != nil {
			return
		}
		m, err := file.Model()
		if err != nil {
			return
		}
		for _, name := range m.Names() {
			if _, _, err := m.Float32(name); err != nil && !errors.Is(err, ErrUnsupported) {
				t.Fatal(err)
			}
		}
		if tok, err := tokenizer.Load(m.Files[tokenizer.File]); err == nil {
			tok.Decode(tok.Encode("ab <|end|> é", true), false)
		}
	})
}
