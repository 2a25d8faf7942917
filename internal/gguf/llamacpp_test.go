package gguf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"stargate/internal/kernel"
	"stargate/internal/llama"
)

// Writes small random models of every family and what this engine predicts after 40 tokens, for
// testdata/llamacpp.mjs to compare with llama.cpp itself: settings, names and the order of rows
// mean there what they mean here.
//
//	STARGATE_GGUF=DIR go test ./internal/gguf -run LlamaCpp && node testdata/llamacpp.mjs DIR
func TestLlamaCpp(t *testing.T) {
	dir := os.Getenv("STARGATE_GGUF")
	if dir == "" {
		t.Skip("STARGATE_GGUF names no folder to write models to")
	}
	type prediction struct {
		IDs    []int32   `json:"ids"`
		Logits []float32 `json:"logits"`
	}
	predictions := map[string]prediction{}
	for name, c := range map[string]struct {
		architecture, config string
		more                 map[string]any
		factors              []float32
	}{
		"llama":  {"llama", `"model_type":"llama"`, nil, nil},
		"bias":   {"llama", `"model_type":"llama","attention_bias":true`, nil, nil},
		"llama3": {"llama", `"model_type":"llama","rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}`, nil, llama3Factors(8, 10000, 8, 1, 4, 8192)},
		"linear": {"llama", `"model_type":"llama","rope_scaling":{"rope_type":"linear","factor":4}`, map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(4)}, nil},
		"yarn":   {"qwen3", `"model_type":"qwen3","rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":32}`, map[string]any{"qwen3.rope.scaling.type": "yarn", "qwen3.rope.scaling.factor": float32(4), "qwen3.rope.scaling.original_context_length": uint32(32)}, nil},
		"qwen2":  {"qwen2", `"model_type":"qwen2"`, nil, nil},
		"qwen3":  {"qwen3", `"model_type":"qwen3"`, nil, nil},
	} {
		config, err := llama.ReadConfig([]byte(`{"vocab_size":300,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"max_position_embeddings":128,"rms_norm_eps":1e-05,"rope_theta":10000,` + c.config + `}`))
		if err != nil {
			t.Fatal(err)
		}
		m, err := llama.NewModel(config)
		if err != nil {
			t.Fatal(err)
		}
		m.Init(3)
		random := rand.New(rand.NewPCG(1, 1))
		for i := range m.Flat() {
			m.Flat()[i] += float32(random.NormFloat64() * 0.15)
		}
		tensors := convert(m, c.architecture == "llama")
		if c.factors != nil {
			tensors[ropeFactors] = llama.Param{Shape: []int{len(c.factors)}, Data: c.factors}
		}
		metadata := map[string]any{"context_length": uint32(128), "embedding_length": uint32(64), "block_count": uint32(2), "feed_forward_length": uint32(96), "attention.head_count": uint32(4), "attention.head_count_kv": uint32(2),
			"attention.layer_norm_rms_epsilon": float32(1e-5), "attention.key_length": uint32(16), "attention.value_length": uint32(16), "rope.freq_base": float32(10000), "rope.dimension_count": uint32(16)}
		all := map[string]any{"general.architecture": c.architecture, "tokenizer.ggml.model": "llama", "tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint32(2)}
		for key, value := range metadata {
			all[c.architecture+"."+key] = value
		}
		maps.Copy(all, byteVocabulary(300))
		maps.Copy(all, c.more)
		data := write(all, tensors)
		if err := os.WriteFile(filepath.Join(dir, name+".gguf"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		ids := make([]int32, 40)
		for i := range ids {
			ids[i] = int32(3 + i*37%290)
		}
		predictions[name] = prediction{ids, predict(m, ids)}
	}
	data, err := json.Marshal(predictions)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "predictions.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// byteVocabulary is a vocabulary of n tokens: bytes, and characters.
func byteVocabulary(n int) map[string]any {
	tokens, types, scores := []string{"<unk>", "<s>", "</s>"}, []int32{tokenUnknown, tokenControl, tokenControl}, make([]float32, n)
	for b := range 256 {
		tokens, types = append(tokens, fmt.Sprintf("<0x%02X>", b)), append(types, tokenByte)
	}
	for len(tokens) < n {
		tokens, types = append(tokens, string(rune(0x2581+len(tokens)-259))), append(types, tokenNormal)
	}
	return map[string]any{"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types, "tokenizer.ggml.scores": scores}
}

// predict is the logits after ids.
func predict(m *llama.Model, ids []int32) []float32 {
	cache := llama.NewCache(m.Config, llama.Pages(len(ids)))
	span := &llama.Span{Tokens: ids, WantLogits: true}
	last := llama.Page(-1)
	for range llama.Pages(len(ids)) {
		last, _ = cache.Alloc(last)
		span.Pages = append(span.Pages, last)
	}
	llama.NewDecoder(m, kernel.NewPool(1), cache).Forward([]*llama.Span{span})
	return span.Logits
}
