package llama

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"stargate/internal/safetensors"
)

// Load reads a model directory: config.json, and model.safetensors or the files that
// model.safetensors.index.json names. Every tensor must be there, in the right shape, and no
// other; the error names the one that is not ([ErrUnsupported] for a tensor this engine has no
// use for).
//
// Files of a directory on disk are mapped into memory where the system can, and let go when the
// weights are read.
func Load(dir fs.FS) (*Model, error) {
	c, err := LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	w, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	m, err := w.model(c)
	if err := errors.Join(err, w.close()); err != nil {
		return nil, err
	}
	return m, nil
}

// LoadConfig reads the config.json of a model directory.
func LoadConfig(dir fs.FS) (Config, error) {
	text, err := fs.ReadFile(dir, ConfigFile)
	if err != nil {
		return Config{}, fmt.Errorf("model directory: %w", err)
	}
	return ReadConfig(text)
}

// weights are the tensors of a model directory, in one file or several.
type weights struct {
	list   string           // the file that says which tensors there are
	places map[string]place // by tensor
	closes []func() error
}

// place is where a tensor is.
type place struct {
	file string
	Tensors
	raw *safetensors.File // nil where the bytes cannot be used as they are
}

// Tensors are arrays by name that can be had in float32: those of a safetensors file, or of a
// GGUF file seen as a Hugging Face directory.
type Tensors interface {
	Names() []string
	Shape(name string) (shape []int, ok bool)
	Decode(dst []float32, name string) error // dst has the tensor's number of elements
}

// FromTensors makes a model of configuration c of tensors under Hugging Face's names, held to
// the same rules as those of [Load]. Errors call them file.
func FromTensors(c Config, file string, t Tensors) (*Model, error) {
	w := &weights{list: file, places: map[string]place{}}
	for _, name := range t.Names() {
		w.places[name] = place{file, t, nil}
	}
	return w.model(c)
}

// openWeights finds the tensors of a directory. As in transformers, a single file goes before
// an index.
func openWeights(dir fs.FS) (*weights, error) {
	w := &weights{list: WeightsFile, places: map[string]place{}}
	file, err := w.open(dir, WeightsFile)
	switch {
	case err == nil:
		for _, name := range file.Names() {
			w.places[name] = place{WeightsFile, file, file}
		}
		return w, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, errors.Join(err, w.close())
	}
	text, err := fs.ReadFile(dir, IndexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model directory: neither %s nor %s: %w (weights in other formats, such as .bin, are not read)", WeightsFile, IndexFile, err)
	}
	if err != nil {
		return nil, fmt.Errorf("model directory: %w", err)
	}
	w.list = IndexFile
	if err := w.openIndex(dir, text); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// openIndex opens the files of an index and holds them to it: each has the tensors that the
// index places there and no other.
func (w *weights) openIndex(dir fs.FS, text []byte) error {
	var index struct {
		Files map[string]string `json:"weight_map"` // tensor to file
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return fmt.Errorf("%s: %w", IndexFile, err)
	}
	if len(index.Files) == 0 {
		return fmt.Errorf("%s: weight_map is missing or empty", IndexFile)
	}
	opened := map[string]*safetensors.File{}
	for _, tensor := range slices.Sorted(maps.Keys(index.Files)) {
		name := index.Files[tensor]
		if !fs.ValidPath(name) {
			return fmt.Errorf("%s: tensor %s is in %q, which is no file of the directory", IndexFile, tensor, name)
		}
		if opened[name] == nil {
			file, err := w.open(dir, name)
			if err != nil {
				return fmt.Errorf("%s: %w", IndexFile, err)
			}
			opened[name] = file
		}
		if _, ok := opened[name].Shape(tensor); !ok {
			return fmt.Errorf("%s: no tensor %s, which %s places there", name, tensor, IndexFile)
		}
		w.places[tensor] = place{name, opened[name], opened[name]}
	}
	for _, name := range slices.Sorted(maps.Keys(opened)) {
		for _, tensor := range opened[name].Names() {
			if w.places[tensor].file != name {
				return fmt.Errorf("%s: tensor %s, which %s does not place there", name, tensor, IndexFile)
			}
		}
	}
	return nil
}

func (w *weights) open(dir fs.FS, name string) (*safetensors.File, error) {
	data, unmap, err := mapFile(dir, name)
	if err != nil {
		return nil, fmt.Errorf("model directory: %w", err)
	}
	w.closes = append(w.closes, unmap)
	file, err := safetensors.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// close lets go of the files; nothing of them can be read any more.
func (w *weights) close() error {
	var errs []error
	for _, unmap := range w.closes {
		errs = append(errs, unmap())
	}
	return errors.Join(errs...)
}

// model reads the weights of a model of configuration c.
func (w *weights) model(c Config) (*Model, error) {
	if err := w.checkSize(c); err != nil {
		return nil, err
	}
	m, err := NewModel(c)
	if err != nil {
		return nil, err
	}
	if err := w.check(m); err != nil {
		return nil, err
	}
	for _, p := range m.Params() {
		if err := w.places[p.Name].decode(p); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (from place) decode(p Param) error { return from.wrap(from.Decode(p.Data, p.Name)) }

// wrap names the file in an error.
func (from place) wrap(err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", from.file, err)
	}
	return err
}

// checkSize refuses a config that asks for far more than the files hold, before memory is taken
// for it. What is missing exactly, check says.
func (w *weights) checkSize(c Config) error {
	have := 0.0
	for name, from := range w.places {
		n := 1.0
		shape, _ := from.Shape(name)
		for _, d := range shape {
			n *= float64(d)
		}
		have += n
	}
	d, wide := float64(c.HiddenSize), float64(c.NumAttentionHeads+2*c.NumKeyValueHeads)*float64(c.HeadDim)
	want := float64(c.VocabSize)*d + float64(c.NumHiddenLayers)*d*(wide+3*float64(c.IntermediateSize))
	if want > 4*have+1e6 {
		return fmt.Errorf("%s asks for a model of %.3g parameters, %s has %.3g", ConfigFile, want, w.list, have)
	}
	return nil
}

// check compares names and shapes with those of m.
func (w *weights) check(m *Model) error {
	wanted := map[string]bool{}
	for _, p := range m.Params() {
		wanted[p.Name] = true
		from, ok := w.places[p.Name]
		if !ok {
			return fmt.Errorf("%s: no tensor %s, which %s asks for", w.list, p.Name, ConfigFile)
		}
		if shape, _ := from.Shape(p.Name); !slices.Equal(shape, p.Shape) {
			return fmt.Errorf("%s: tensor %s has shape %v, %s asks for %v", from.file, p.Name, shape, ConfigFile, p.Shape)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.places)) {
		// Old checkpoints keep the rotary frequencies, and tied models a second head.
		spare := strings.HasSuffix(name, "rotary_emb.inv_freq") || m.Config.TieWordEmbeddings && name == headName
		if !wanted[name] && !spare {
			return fmt.Errorf("%s: %w: tensor %s, which this engine would ignore", w.places[name].file, ErrUnsupported, name)
		}
	}
	return nil
}
