package local

import (
	"os"
	"path/filepath"

	"stargate/internal/gguf"
	"stargate/internal/llama"
)

// OpenGGUF opens a model of llama.cpp's format: weights, tokenizer and chat template of one file.
// Quantised weights are decoded to float32 once, so it generates and scores as the quantised
// model does, not as the one it was made of, and [Model.Save] writes it as a Hugging Face
// directory.
func OpenGGUF(path string, o Options) (*Model, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := gguf.Read(data)
	if err != nil {
		return nil, err
	}
	m, err := file.Model()
	if err != nil {
		return nil, err
	}
	c, err := llama.ReadConfig(m.Files[llama.ConfigFile])
	if err != nil {
		return nil, err
	}
	weights, err := llama.FromTensors(c, filepath.Base(path), m)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for name, text := range m.Files {
		if name != llama.ConfigFile {
			files[name] = text
		}
	}
	return New(weights, files, o)
}
