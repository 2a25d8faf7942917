package llama

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"stargate/internal/safetensors"
)

// The files of a Hugging Face model directory that hold the network itself.
const (
	ConfigFile  = "config.json"
	WeightsFile = "model.safetensors"
)

// Load reads a model directory: config.json and model.safetensors. Every tensor must be
// there, in the right shape, and no other.
func Load(dir fs.FS) (*Model, error) {
	text, err := fs.ReadFile(dir, ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("model directory: %w", err)
	}
	c, err := ReadConfig(text)
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(dir, WeightsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model directory: %w (weights in several files, or as .bin, are not read)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("model directory: %w", err)
	}
	return fromSafetensors(c, data)
}

func fromSafetensors(c Config, data []byte) (*Model, error) {
	file, err := safetensors.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", WeightsFile, err)
	}
	m, err := NewModel(c)
	if err != nil {
		return nil, err
	}
	left := map[string]bool{}
	for _, n := range file.Names() {
		// Old checkpoints keep the rotary frequencies, and tied models a second head.
		left[n] = !strings.HasSuffix(n, "rotary_emb.inv_freq") && !(c.TieWordEmbeddings && n == "lm_head.weight")
	}
	for _, p := range m.Params() {
		values, shape, err := file.Float32(p.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", WeightsFile, err)
		}
		if len(values) != len(p.Data) || len(shape) != len(p.Shape) || shape[0] != p.Shape[0] {
			return nil, fmt.Errorf("%s: tensor %s has shape %v, config.json asks for %v", WeightsFile, p.Name, shape, p.Shape)
		}
		copy(p.Data, values)
		left[p.Name] = false
	}
	for _, n := range file.Names() {
		if left[n] {
			return nil, fmt.Errorf("%s: %w: tensor %s, which this engine would ignore", WeightsFile, ErrUnsupported, n)
		}
	}
	return m, nil
}

// Files gives config.json and model.safetensors, by name, in the form transformers loads.
func (m *Model) Files(dtype safetensors.DType) (map[string][]byte, error) {
	c := m.Config
	c.TorchDtype = map[safetensors.DType]string{safetensors.F32: "float32", safetensors.F16: "float16", safetensors.BF16: "bfloat16"}[dtype]
	if len(c.Architectures) == 0 {
		c.Architectures = []string{c.family().architecture}
	}
	config, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	var tensors []safetensors.Tensor
	for _, p := range m.Params() {
		tensors = append(tensors, safetensors.Tensor{Name: p.Name, Shape: p.Shape, DType: dtype, Data: p.Data})
	}
	var weights bytes.Buffer
	if err := safetensors.Write(&weights, tensors); err != nil {
		return nil, err
	}
	return map[string][]byte{ConfigFile: append(config, '\n'), WeightsFile: weights.Bytes()}, nil
}
