package gguf

import (
	"bytes"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"stargate/internal/llama"
)

var update = flag.Bool("update", false, "rewrite the model that other packages read")

// fixture is a whole model that can chat, in a file for the tests of other packages.
var fixture = filepath.Join("..", "..", "lm", "local", "testdata", "tiny.gguf")

func TestGoldenFixture(t *testing.T) {
	tokens := byteTokens()
	kinds := make([]int32, len(tokens))
	for i := range kinds {
		kinds[i] = 1
	}
	for _, special := range []string{"<|user|>", "<|assistant|>", "<|end|>"} {
		tokens, kinds = append(tokens, special), append(kinds, 3)
	}
	metadata := settingsOf("qwen2", map[string]any{
		"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": kinds, "tokenizer.ggml.merges": []string{"t h"}, "tokenizer.ggml.eos_token_id": uint32(258),
		"tokenizer.chat_template": "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
	})
	delete(metadata, "tokenizer.ggml.eot_token_id")
	metadata["tokenizer.ggml.tokens"] = append(tokens, "th")
	metadata["tokenizer.ggml.token_type"] = append(kinds, 1)
	config, err := llama.ReadConfig([]byte(`{"model_type":"qwen2","vocab_size":260,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":8,"max_position_embeddings":64,"rms_norm_eps":1e-05,"tie_word_embeddings":true}`))
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
		m.Flat()[i] += float32(random.NormFloat64() * 0.1)
	}
	data := write(maps.Clone(metadata), convert(m, false))
	if *update {
		if err := os.WriteFile(fixture, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Errorf("%s is not what this test makes; run it with -update", fixture)
	}
}

// byteTokens are GPT-2's letters for the 256 bytes.
func byteTokens() []string {
	var tokens []string
	next := rune(256)
	for b := range rune(256) {
		if b >= '!' && b <= '~' || b >= '¡' && b <= '¬' || b >= '®' {
			tokens = append(tokens, string(b))
			continue
		}
		tokens = append(tokens, string(next))
		next++
	}
	return tokens
}
