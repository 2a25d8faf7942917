package export_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"stargate/export"
	"stargate/export/exporttest"
	"stargate/internal/gguf"
)

// Real vocabularies, where they are at hand, with templates in the manner of their models: what
// is encoded passes the audit, is exact as tokens, and every other format is exact or refused.
func TestRealVocabularies(t *testing.T) {
	for _, v := range []struct {
		name, bos, eos, template string
		exact                    []string
	}{
		{"gpt-2", "", "<|endoftext|>",
			"{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}",
			[]string{"tokenized", "tokenized-parquet", "openai", "trl", "trl-text"}},
		{"llama-spm", "<s>", "</s>",
			"{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'] | trim + ' [/INST]' }}{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}",
			[]string{"tokenized", "tokenized-parquet", "openai", "trl", "trl-text"}},
		{"phi-3", "<s>", "<|end|>",
			"{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
			[]string{"tokenized", "tokenized-parquet", "openai", "trl-text"}},
	} {
		t.Run(v.name, func(t *testing.T) {
			path := filepath.Join(exporttest.Root(t), "..", "shared", "data", "tokenizers", v.name+".gguf")
			data, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("the vocabularies are not on this machine")
			}
			if err != nil {
				t.Fatal(err)
			}
			file, err := gguf.Read(data)
			if err != nil {
				t.Fatal(err)
			}
			vocabulary, err := file.TokenizerJSON()
			if err != nil {
				t.Fatal(err)
			}
			text := exporttest.WithTemplate(t, vocabulary, v.bos, v.eos, v.template)
			es := encoded(t, text)
			if r := audit(t, text, export.AuditOptions{}, es...); !r.OK() {
				t.Errorf("%+v", r)
			}
			for _, name := range v.exact {
				if _, err := write(t, name, text, es, export.Options{}); err != nil {
					t.Error(err)
				}
			}
			for _, f := range export.Formats() {
				if s, err := write(t, f.Name, text, es, export.Options{}); err != nil && !errors.Is(err, export.ErrLossy) {
					t.Errorf("%s: %v", f.Name, err)
				} else if err != nil {
					t.Logf("%s: %v", f.Name, s.Differences)
				}
			}
		})
	}
}
