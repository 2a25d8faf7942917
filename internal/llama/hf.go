package llama

import (
	"bytes"
	"encoding/json"
	"fmt"

	"stargate/internal/safetensors"
)

// The files of a Hugging Face model directory that hold the network itself.
const (
	ConfigFile  = "config.json"
	WeightsFile = "model.safetensors"
	IndexFile   = "model.safetensors.index.json" // of weights in several files
)

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
