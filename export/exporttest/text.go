// Package exporttest has tokenizers with chat templates of many manners, and conversations to
// put through them, for tests of exports.
package exporttest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/nano"
)

// family is a chat template with the markers that its tokenizer knows as special tokens.
type family struct {
	bos, eos string
	markers  []string
	template string
	addsBOS  bool   // the tokenizer puts bos in front of a text that is no chat
	end      string // generation_config.json: a token that ends a turn besides eos
	pieces   bool   // vocabulary in the manner of SentencePiece
}

// families are short templates in the manner of those they are named after.
var families = map[string]family{
	"chatml": {eos: "<|im_end|>", markers: []string{"<|im_start|>", "<|im_end|>"},
		template: "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"},
	"chatml, default system": {eos: "<|im_end|>", markers: []string{"<|im_start|>", "<|im_end|>"},
		template: "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"},
	"chatml, generation": {eos: "<|im_end|>", markers: []string{"<|im_start|>", "<|im_end|>"},
		template: "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"},
	"llama3": {bos: "<|begin_of_text|>", eos: "<|eot_id|>", markers: []string{"<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"}, addsBOS: true,
		template: "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"},
	"end of turn is not end of sequence": {bos: "<|begin_of_text|>", eos: "<|end_of_text|>", markers: []string{"<|begin_of_text|>", "<|end_of_text|>", "<|eot|>", "<|head|>"}, addsBOS: true, end: "<|eot|>",
		template: "{{ bos_token }}{% for m in messages %}{{ '<|head|>' + m['role'] + '\\n' + m['content'] + '<|eot|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|head|>assistant\\n' }}{% endif %}"},
	"mistral": {bos: "<s>", eos: "</s>", markers: []string{"<s>", "</s>", "[INST]", "[/INST]"}, addsBOS: true,
		template: "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate.') }}{% endif %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + '[/INST]' }}{% else %}{{ ' ' + m['content'] | trim + eos_token }}{% endif %}{% endfor %}"},
	"no end": {eos: "</s>", markers: []string{"</s>", "<|user|>", "<|assistant|>"},
		template: "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"},
	"refuses": {eos: "</s>", markers: []string{"</s>"}, template: "{{ raise_exception('Nothing pleases me.') }}"},
	"zephyr": {bos: "<s>", eos: "</s>", markers: []string{"<s>", "</s>", "<|user|>", "<|system|>", "<|assistant|>"},
		template: "{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] + eos_token + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"},
	"llama2, pieces": {bos: "<s>", eos: "</s>", pieces: true,
		template: "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'] | trim + ' [/INST]' }}{% elif m['role'] == 'system' %}{{ '<<SYS>>\\n' + m['content'] + '\\n<</SYS>>\\n\\n' }}{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"},
}

// Families are the names that [Text] knows, in order; "nano" is the built-in model. Two more are
// of no use: "no end" puts nothing behind a turn, "refuses" renders nothing.
func Families() []string {
	names := []string{"nano"}
	for name := range families {
		if name != "no end" && name != "refuses" { // nobody can train with them
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// texts are those that were opened, by name.
var texts sync.Map

// Text is the text side of a model of this family, with the built-in model's vocabulary or, for
// "pieces", a small one in the manner of SentencePiece.
func Text(t testing.TB, name string) *local.Text {
	t.Helper()
	if known, ok := texts.Load(name); ok {
		return known.(*local.Text)
	}
	text := open(t, name)
	texts.Store(name, text)
	return text
}

func open(t testing.TB, name string) *local.Text {
	t.Helper()
	model, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	if name == "nano" {
		text, err := local.OpenTextFS(model)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	f, ok := families[name]
	if !ok {
		t.Fatalf("no family %q", name)
	}
	var vocabulary []byte
	if f.pieces {
		vocabulary, err = os.ReadFile(filepath.Join(Root(t), "internal", "tokenizer", "testdata", "sentencepiece.json"))
	} else {
		vocabulary, err = fs.ReadFile(model, "tokenizer.json")
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.open(t, vocabulary)
}

// WithTemplate is a tokenizer.json with a chat template.
func WithTemplate(t testing.TB, vocabulary []byte, bos, eos, template string) *local.Text {
	t.Helper()
	return family{bos: bos, eos: eos, template: template}.open(t, vocabulary)
}

// open is the family with a tokenizer.json, to which its markers are added.
func (f family) open(t testing.TB, vocabulary []byte) *local.Text {
	t.Helper()
	var file map[string]any
	if err := json.Unmarshal(vocabulary, &file); err != nil {
		t.Fatal(err)
	}
	added, _ := file["added_tokens"].([]any)
	size := float64(len(file["model"].(map[string]any)["vocab"].(map[string]any)))
	known := map[string]float64{}
	for _, a := range added {
		token := a.(map[string]any)
		known[token["content"].(string)] = token["id"].(float64)
		size = max(size, token["id"].(float64)+1)
	}
	for _, m := range f.markers {
		if _, there := known[m]; !there {
			known[m] = size
			added = append(added, map[string]any{"id": size, "content": m, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
			size++
		}
	}
	file["added_tokens"] = added
	settings := map[string]any{"chat_template": f.template, "eos_token": f.eos}
	if f.bos != "" {
		settings["bos_token"] = f.bos
	}
	if f.addsBOS {
		settings["add_bos_token"] = true
	}
	files := map[string]any{"tokenizer.json": file, "tokenizer_config.json": settings}
	if f.end != "" {
		files["generation_config.json"] = map[string]any{"eos_token_id": []float64{known[f.eos], known[f.end]}}
	}
	dir := fstest.MapFS{}
	for name, v := range files {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		dir[name] = &fstest.MapFile{Data: data}
	}
	text, err := local.OpenTextFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Root is the module's directory.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

// Conversations are examples with loss on every assistant message: one turn, several, other
// scripts, texts that begin or end as markup does, many lines.
func Conversations() []lm.Example {
	talk := func(key string, words ...string) lm.Example {
		e := lm.Example{Key: key}
		for i, w := range words {
			role := lm.User
			if i%2 == 1 {
				role = lm.Assistant
				e.Loss = append(e.Loss, i)
			}
			e.Messages = append(e.Messages, lm.Message{Role: role, Content: w})
		}
		return e
	}
	long := []string{"My name is Ada. Plan a dinner for me."}
	for i := range 6 {
		long = append(long, fmt.Sprintf("What about course %d?", i+1), fmt.Sprintf("I like fish %d times.", i))
	}
	return []lm.Example{
		talk("one turn", "My name is Ada.", "Hello Ada."),
		talk("two turns", "My name is Ada. I want a dinner.", "What do you like to eat?", "I like fish.", "Then take fish with rice."),
		talk("long", append(long, "Take fish six times.")...),
		talk("scripts", "你好", "Ça va? 🙂🙂 naïve", "да", "いいえ\u00a0."),
		talk("markup", "[[x]] <b>", "[[dummy]] and ]]", "]]", "<b>&amp;</b> {{ braces }} {% if %}"),
		talk("lines", "A\n\nB", "1. one\n2. two\n\n- three", "ok", "Done.\n\tTab"),
	}
}
