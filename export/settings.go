package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// What a trainer must be told so that it trains a file as it was checked. The rest, models,
// rates and devices, is the user's.

// sideFile is written beside an export.
type sideFile struct {
	suffix string // behind the export's own name, or
	name   string // the file's whole name, in the same directory
	text   string
	merge  map[string]any // instead of text: entries of a JSON object that may be there already
}

func (s sideFile) path(export string) string {
	if s.name != "" {
		return filepath.Join(filepath.Dir(export), s.name)
	}
	return export + s.suffix
}

func (s sideFile) write(export string) error {
	path := s.path(export)
	if s.merge == nil {
		return writeAtOnce(path, []byte(s.text))
	}
	there := map[string]any{}
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(data, &there); err != nil {
			return fmt.Errorf("%s is there and is no JSON object: %w; move it away", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for k, v := range s.merge {
		there[k] = v
	}
	if data, err = json.MarshalIndent(there, "", "  "); err != nil {
		return err
	}
	return writeAtOnce(path, append(data, '\n'))
}

// writeAtOnce writes a file that is there whole or not at all.
func writeAtOnce(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".partial-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is left there after a success
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

const settingsNote = "# What the trainer must be told so that it trains this file as \"stargate export\" checked it.\n"

// yamlText is a YAML scalar of any text: JSON's strings are YAML's.
func yamlText(s string) string { return strconv.QuoteToASCII(s) }

// trlSettings are fields of SFTConfig, as "trl sft --config" reads them. max_length is 1024 by
// default, and longer rows are cut at the end without a word.
func trlSettings(j *job, s Summary) []sideFile {
	var b strings.Builder
	fmt.Fprintf(&b, "%scompletion_only_loss: true\nmax_length: %d # the longest row; the default of 1024 cuts at the end\npacking: false\n", settingsNote, s.LongestRow)
	if end := j.otherEnd(); end != "" {
		fmt.Fprintf(&b, "eos_token: %s # ends a turn in this template; the tokenizer's eos_token is another\n", yamlText(end))
	}
	return []sideFile{{suffix: ".trl.yaml", text: b.String()}}
}

func trlMessageSettings(_ *job, s Summary) []sideFile {
	return []sideFile{{suffix: ".trl.yaml", text: fmt.Sprintf("%sassistant_only_loss: true # every assistant message; a single one cannot be left out\nmax_length: %d # the longest row; the default of 1024 cuts at the end\npacking: false\n", settingsNote, s.LongestRow)}}
}

func axolotlSettings(j *job, s Summary) []sideFile {
	var b strings.Builder
	fmt.Fprintf(&b, `%sdatasets:
  - path: %s
    ds_type: json
    type: chat_template
    chat_template: tokenizer_default
    field_messages: messages
    message_field_training: train
    roles_to_train: []
    train_on_eos: turn
train_on_inputs: false
sequence_len: %d # the longest row; longer ones are dropped
`, settingsNote, yamlText(s.name()), s.LongestRow)
	if end := j.otherEnd(); end != "" {
		fmt.Fprintf(&b, "eot_tokens:\n  - %s # ends a turn in this template; the tokenizer's eos_token is another\n", yamlText(end))
	}
	return []sideFile{{suffix: ".axolotl.yaml", text: b.String()}}
}

func tokenizedSettings(_ *job, s Summary) []sideFile {
	return []sideFile{{suffix: ".axolotl.yaml", text: fmt.Sprintf("%sdatasets:\n  - path: %s\n    ds_type: json\n    type: # empty: the tokens are taken as they are\nsequence_len: %d # the longest row; longer ones are dropped\n", settingsNote, yamlText(s.name()), s.LongestRow)},
		{suffix: ".trl.yaml", text: fmt.Sprintf("%smax_length: %d # the longest row; the default of 1024 cuts at the end\npacking: false\n", settingsNote, s.LongestRow)}}
}

// llamaFactory describes the file in dataset_info.json (data/README.md), and the fields of the
// training file that matter.
func llamaFactory(j *job, s Summary, maskHistory bool, entry map[string]any) []sideFile {
	name := strings.TrimSuffix(s.name(), filepath.Ext(s.name()))
	entry["file_name"] = s.name()
	template := "# template: none, so that it is made of the model's own chat template\n"
	if j.options.LlamaFactoryTemplate != "" {
		template = fmt.Sprintf("template: %s\ndefault_system: \"\" # else some of its templates begin with one of their own\n", yamlText(j.options.LlamaFactoryTemplate))
	}
	return []sideFile{
		{name: "dataset_info.json", merge: map[string]any{name: entry}},
		{suffix: ".llama-factory.yaml", text: fmt.Sprintf("%sdataset_dir: %s\ndataset: %s\n%smask_history: %t\ntrain_on_prompt: false\ncutoff_len: %d # more than the longest row; longer ones are cut\npacking: false\n", settingsNote, yamlText("."), yamlText(name), template, maskHistory, s.LongestRow+1)},
	}
}

func sharegptEntry() map[string]any {
	return map[string]any{"formatting": "sharegpt", "columns": map[string]any{"messages": "conversations", "system": "system"}}
}

func sharegptSettings(j *job, s Summary) []sideFile {
	return llamaFactory(j, s, false, sharegptEntry())
}

func sharegptLastSettings(j *job, s Summary) []sideFile {
	return llamaFactory(j, s, true, sharegptEntry())
}

func alpacaSettings(j *job, s Summary) []sideFile {
	return llamaFactory(j, s, false, map[string]any{"columns": map[string]any{"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history"}})
}
