package lora

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"stargate/internal/safetensors"
)

// The files of a PEFT adapter directory.
const (
	ConfigFile  = "adapter_config.json"
	WeightsFile = "adapter_model.safetensors"
)

// prefix is what PEFT puts before a module's name: its own wrapper's, then the base model's.
const prefix = "base_model.model."

// Files are the adapter's files by name. Numbers are written as float32: nothing is lost.
func (a *Adapter) Files() (map[string][]byte, error) {
	config, err := a.Config.marshal()
	if err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	var tensors []safetensors.Tensor
	for _, m := range a.Matrices {
		module := prefix + strings.TrimSuffix(m.Name, ".weight")
		tensors = append(tensors,
			safetensors.Tensor{Name: module + ".lora_A.weight", Shape: []int{a.Config.Rank, m.In}, DType: safetensors.F32, Data: m.A},
			safetensors.Tensor{Name: module + ".lora_B.weight", Shape: []int{m.Out, a.Config.Rank}, DType: safetensors.F32, Data: m.B})
	}
	slices.SortFunc(tensors, func(x, y safetensors.Tensor) int { return strings.Compare(x.Name, y.Name) })
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors); err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	return map[string][]byte{ConfigFile: config, WeightsFile: b.Bytes()}, nil
}

// mostConfig bounds adapter_config.json, which names at most a few hundred modules.
const mostConfig = 1 << 20

// OpenConfig reads adapter_config.json of a PEFT adapter directory.
func OpenConfig(dir fs.FS) (Config, error) {
	text, err := readConfigFile(dir)
	if err != nil {
		return Config{}, fmt.Errorf("lora adapter: %w", err)
	}
	c, err := readConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("lora adapter: %w", err)
	}
	return c, nil
}

func readConfigFile(dir fs.FS) ([]byte, error) {
	info, err := fs.Stat(dir, ConfigFile)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > mostConfig {
		return nil, fmt.Errorf("%s: %w: want a regular file of at most %d bytes", ConfigFile, ErrUnsupported, mostConfig)
	}
	return fs.ReadFile(dir, ConfigFile)
}

// Open reads a PEFT adapter directory: adapter_config.json and adapter_model.safetensors. Every
// tensor must be the A or B of a target module, in a shape that fits the rank, and none may
// lack its partner.
func Open(dir fs.FS) (*Adapter, error) {
	c, err := OpenConfig(dir)
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(dir, WeightsFile)
	if err != nil {
		return nil, fmt.Errorf("lora adapter: %w", err)
	}
	file, err := safetensors.Read(data)
	if err != nil {
		return nil, fmt.Errorf("lora adapter: %s: %w", WeightsFile, err)
	}
	a := &Adapter{Config: c}
	for _, name := range file.Names() {
		if err := a.add(file, name); err != nil {
			return nil, fmt.Errorf("lora adapter: %s: %w", WeightsFile, err)
		}
	}
	for _, m := range a.Matrices {
		if m.A == nil || m.B == nil {
			return nil, fmt.Errorf("lora adapter: %s: %s has only one of lora_A and lora_B", WeightsFile, m.Name)
		}
	}
	if len(a.Matrices) == 0 {
		return nil, fmt.Errorf("lora adapter: %s holds no tensor", WeightsFile)
	}
	return a, nil
}

// add puts one tensor of the file in its place.
func (a *Adapter) add(file *safetensors.File, name string) error {
	module, rest, ok := strings.Cut(name, ".lora_")
	module, wrapped := strings.CutPrefix(module, prefix)
	if !ok || !wrapped || !a.Config.adapts(module+".weight") {
		return fmt.Errorf("%w: tensor %s belongs to no target module", ErrUnsupported, name)
	}
	data, shape, err := file.Float32(name)
	if err != nil {
		return err
	}
	k := slices.IndexFunc(a.Matrices, func(m Matrix) bool { return m.Name == module+".weight" })
	if k < 0 {
		k = len(a.Matrices)
		a.Matrices = append(a.Matrices, Matrix{Name: module + ".weight"})
	}
	m := &a.Matrices[k]
	switch {
	case rest == "A.weight" && len(shape) == 2 && shape[0] == a.Config.Rank:
		m.A, m.In = data, shape[1]
	case rest == "B.weight" && len(shape) == 2 && shape[1] == a.Config.Rank:
		m.B, m.Out = data, shape[0]
	case rest == "A.weight" || rest == "B.weight":
		return fmt.Errorf("tensor %s has shape %v, which does not fit rank %d", name, shape, a.Config.Rank)
	default:
		return fmt.Errorf("%w: tensor %s", ErrUnsupported, name)
	}
	return nil
}
