package tokenizer

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigFile(t *testing.T) {
	want := Config{EOSToken: "<|end|>", PadToken: "<|pad|>", ModelMaxLength: 512, ChatTemplate: "{{ '<|' + x }}"}
	data, err := JSON(want)
	if err != nil {
		t.Fatal(err)
	}
	if text := `{
  "tokenizer_class": "PreTrainedTokenizerFast",
  "bos_token": null,
  "eos_token": "<|end|>",
  "pad_token": "<|pad|>",
  "model_max_length": 512,
  "clean_up_tokenization_spaces": false,
  "chat_template": "{{ '<|' + x }}"
}
`; string(data) != text {
		t.Errorf("%s is\n%s", ConfigFile, cmp.Diff(text, string(data)))
	}
	got, err := ReadConfig(data)
	want.TokenizerClass = "PreTrainedTokenizerFast"
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("read again (%v):\n%s", err, diff)
	}
}

// Forms that older and larger models use.
func TestReadConfig(t *testing.T) {
	yes := true
	for text, want := range map[string]Config{
		`{"bos_token": {"__type": "AddedToken", "content": "<s>"}, "eos_token": null, "add_bos_token": true}`: {BOSToken: "<s>", AddBOSToken: &yes},
		`{"model_max_length": 1000000000000000019884624838656, "chat_template": null}`:                        {ModelMaxLength: 1e30},
		`{"chat_template": [{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]}`:    {ChatTemplate: "b"},
	} {
		got, err := ReadConfig([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s (%v):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{`{"chat_template": [{"name": "rag", "template": "a"}]}`, `{"eos_token": 3}`, `[`} {
		if _, err := ReadConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), ConfigFile) {
			t.Errorf("%s: %v, want an error that names the file", text, err)
		}
	}
}

func TestGenerationFile(t *testing.T) {
	pad := int32(0)
	for text, want := range map[string]Generation{
		`{"eos_token_id": 1, "pad_token_id": 0}`: {EOSTokenID: IDs{1}, PadTokenID: &pad},
		`{"eos_token_id": [2, 7]}`:               {EOSTokenID: IDs{2, 7}},
		`{"eos_token_id": null}`:                 {},
	} {
		got, err := ReadGeneration([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s (%v):\n%s", text, err, diff)
		}
		data, err := JSON(want)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadGeneration(data); !cmp.Equal(want, again) || err != nil {
			t.Errorf("%s written is %s (%v)", text, data, err)
		}
	}
	if _, err := ReadGeneration([]byte(`{"eos_token_id": "x"}`)); err == nil || !strings.Contains(err.Error(), GenerationFile) {
		t.Errorf("%v, want an error that names the file", err)
	}
}
