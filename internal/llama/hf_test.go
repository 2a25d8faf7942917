package llama

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stargate/internal/safetensors"
)

func TestFilesRoundTrip(t *testing.T) {
	for _, name := range []string{"tied", "untied"} {
		_, m := loadFixture(t, name)
		files, err := m.Files(safetensors.F32)
		if err != nil {
			t.Fatal(err)
		}
		dir := fstest.MapFS{}
		for n, data := range files {
			dir[n] = &fstest.MapFile{Data: data}
		}
		got, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Flat(), m.Flat()) {
			t.Errorf("%s: weights changed", name)
		}
	}
}

func TestReadConfigRefuses(t *testing.T) {
	const base = `"vocab_size":8,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,`
	for text, want := range map[string]string{
		`{` + base + `"model_type":"gpt2"}`:                              "model_type",
		`{` + base + `"model_type":"llama","hidden_act":"gelu"}`:         "hidden_act",
		`{` + base + `"model_type":"llama","rope_scaling":{"factor":2}}`: "rope_scaling",
		`{` + base + `"model_type":"llama","attention_bias":true}`:       "attention_bias",
		`{"model_type":"llama"}`:                                         "vocab_size",
		`{`:                                                              "config.json",
	} {
		if _, err := ReadConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that names %s", text, err, want)
		}
	}
	c, err := ReadConfig([]byte(`{` + base + `"model_type":"llama","eos_token_id":[3,4]}`))
	if err != nil || *c.EOSTokenID != 3 {
		t.Errorf("a list of end tokens: %v, %v", c.EOSTokenID, err)
	}
	_, m := loadFixture(t, "tied")
	files, err := m.Files(safetensors.F16)
	if err != nil {
		t.Fatal(err)
	}
	c = m.Config
	c.IntermediateSize++
	if _, err := fromSafetensors(c, files[WeightsFile]); err == nil || !strings.Contains(err.Error(), "shape") {
		t.Errorf("a wrong shape: %v", err)
	}
	c = m.Config
	c.NumHiddenLayers--
	if _, err := fromSafetensors(c, files[WeightsFile]); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a tensor too many: %v", err)
	}
}
