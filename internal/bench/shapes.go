package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"stargate/internal/llama"
	"stargate/internal/safetensors"
)

// shape is that of a published model, which here has random weights. peer_torch.py has the same.
type shape struct {
	name   string // for peer_torch.py
	like   string
	config llama.Config
	whole  bool // small enough to train all weights
}

var shapes = []shape{
	{"135M", "SmolLM2-135M", llama.Config{ModelType: "llama", VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536, NumHiddenLayers: 30,
		NumAttentionHeads: 9, NumKeyValueHeads: 3, MaxPositionEmbeddings: 8192, RopeTheta: 100000, TieWordEmbeddings: true}, true},
	{"0.5B", "Qwen2.5-0.5B", llama.Config{ModelType: "qwen2", VocabSize: 151936, HiddenSize: 896, IntermediateSize: 4864, NumHiddenLayers: 24,
		NumAttentionHeads: 14, NumKeyValueHeads: 2, MaxPositionEmbeddings: 32768, RopeTheta: 1000000, TieWordEmbeddings: true}, false},
}

func shapeOf(name string) (shape, error) {
	for _, s := range shapes {
		if s.name == name {
			return s, nil
		}
	}
	return shape{}, fmt.Errorf("no shape is called %q", name)
}

// matrixBytes is what a step of a few tokens reads of the weights, so many bytes each: every
// matrix, and the head, which is also the embedding.
func (s shape) matrixBytes(each int) float64 {
	return float64(each) * float64(s.config.WithDefaults().NumParams())
}

// write makes a Hugging Face directory of the shape with random weights in bf16.
func (s shape) write(dir string) (err error) {
	m, err := llama.NewModel(s.config)
	if err != nil {
		return err
	}
	m.Init(1)
	c := m.Config
	c.TorchDtype = "bfloat16"
	config, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, llama.ConfigFile), config, 0o644); err != nil {
		return err
	}
	path := filepath.Join(dir, llama.WeightsFile)
	f, err := os.Create(path + ".partial")
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(path+".partial", path)
		}
	}()
	var tensors []safetensors.Tensor
	for _, p := range m.Params() {
		tensors = append(tensors, safetensors.Tensor{Name: p.Name, Shape: p.Shape, DType: safetensors.BF16, Data: p.Data})
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := safetensors.Write(w, tensors); err != nil {
		return err
	}
	return w.Flush()
}
