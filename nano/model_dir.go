package nano

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stargate/internal/chattemplate"
	"stargate/internal/llama"
	"stargate/internal/safetensors"
	"stargate/internal/tokenizer"
)

//go:embed model
var model embed.FS

// ModelFS is the built-in model as a Hugging Face directory.
func ModelFS() (fs.FS, error) { return fs.Sub(model, "model") }

// saveModel writes a Hugging Face directory with half-precision weights, each file
// atomically.
func saveModel(dir string, m *llama.Model, tok *tokenizer.Tokenizer) error {
	end := *m.Config.EOSTokenID
	pad, _ := tok.TokenID(special[0])
	tokJSON, err := json.Marshal(tok)
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	network, err := m.Files(safetensors.F16)
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	files := []struct {
		name string
		data any
	}{
		{llama.ConfigFile, network[llama.ConfigFile]},
		{"generation_config.json", map[string]any{"eos_token_id": end, "pad_token_id": pad}},
		{"tokenizer_config.json", map[string]any{
			"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": endToken, "pad_token": special[0],
			"model_max_length": m.Config.MaxPositionEmbeddings, "clean_up_tokenization_spaces": false, "chat_template": chattemplate.Nano,
		}},
		{"tokenizer.json", tokJSON},
		{llama.WeightsFile, network[llama.WeightsFile]},
	}
	for _, f := range files {
		data, ok := f.data.([]byte)
		if !ok {
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			if err := e.Encode(f.data); err != nil {
				return fmt.Errorf("save model: %s: %w", f.name, err)
			}
			data = b.Bytes()
		}
		if err := writeFile(filepath.Join(dir, f.name), data); err != nil {
			return fmt.Errorf("save model: %w", err)
		}
	}
	return nil
}

// writeFile replaces a file atomically.
func writeFile(path string, data []byte) error {
	if err := os.WriteFile(path+".part", data, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// trainingLog is the loss curve as CSV.
func trainingLog(steps []step) []byte {
	var b bytes.Buffer
	b.WriteString("update,tokens,loss,learning_rate,grad_norm\n")
	for _, s := range steps {
		fmt.Fprintf(&b, "%d,%d,%.6f,%.6g,%.4f\n", s.Step, s.Tokens, s.Loss, s.Rate, s.Norm)
	}
	return b.Bytes()
}
