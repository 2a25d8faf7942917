package local

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"stargate/internal/optim"
	"stargate/internal/safetensors"
	"stargate/lm"
	"stargate/lm/trainset"
)

// Checkpoints say where a fine-tune writes down how far it is, and how often. They change no
// result.
type Checkpoints struct {
	Dir   string        // "": nowhere
	Every time.Duration // at least so long between two; 0: after every step

	Step func(s lm.TuneStep, steps int) // may be nil; told of every step as it is done, and of how many there are
}

// checkpointFile holds a training run between two steps: the trained numbers, both moments, and
// the log so far.
const checkpointFile = "checkpoint.safetensors"

// Its tensors, each with the trained tensors one behind the other.
const (
	savedParameters = "parameters"
	savedFirst      = "first_moments"
	savedSecond     = "second_moments"
)

// training is the checkpoint of one fine-tune.
type training struct {
	path  string // "": none
	key   string // names model, examples and hyperparameters
	every time.Duration
	last  time.Time
}

// open is the checkpoint of a fine-tune of m.
func (c Checkpoints) open(m *Model, set trainset.Set, h lm.Hyper) (*training, error) {
	if c.Dir == "" {
		return &training{}, nil
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	h.GradientCheckpointing = false // changes no bit
	parts := []any{m.Digest(), set, h}
	if h.LoRA != nil { // one by the gradient of merged weights, as earlier versions did it, ends with other bits
		parts = append(parts, "gradient from activations")
	}
	name, err := json.Marshal(parts)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return &training{path: filepath.Join(c.Dir, checkpointFile), key: fmt.Sprintf("%x", sha256.Sum256(name)), every: c.Every, last: time.Now()}, nil
}

// restore brings f and log to where the checkpoint is; found is false where there is none.
func (t *training) restore(f *fit, log *lm.TuneLog) (found bool, err error) {
	if t.path == "" {
		return false, nil
	}
	data, err := os.ReadFile(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("checkpoint: %w", err)
	}
	if err := t.read(data, f, log); err != nil {
		return false, fmt.Errorf("checkpoint %s: %w; remove it to train from the beginning", t.path, err)
	}
	return true, nil
}

func (t *training) read(data []byte, f *fit, log *lm.TuneLog) error {
	file, err := safetensors.Read(data)
	if err != nil {
		return err
	}
	if key := file.Metadata["key"]; key != t.key {
		return errors.New("it belongs to another fine-tune: the model, the examples or the hyperparameters differ")
	}
	var saved lm.TuneLog
	if err := json.Unmarshal([]byte(file.Metadata["log"]), &saved); err != nil {
		return err
	}
	parts := map[string][]float32{}
	for _, name := range []string{savedParameters, savedFirst, savedSecond} {
		if parts[name], _, err = file.Float32(name); err != nil {
			return err
		}
	}
	// The moments first: they are held to the size of what is trained.
	if err := f.optimizer.Restore(optim.State{Step: len(saved.Steps), M: parts[savedFirst], V: parts[savedSecond]}); err != nil {
		return err
	}
	rest := parts[savedParameters]
	if len(rest) != len(parts[savedFirst]) {
		return fmt.Errorf("%d parameters, but %d moments", len(rest), len(parts[savedFirst]))
	}
	for _, p := range f.tensors {
		rest = rest[copy(p.Param, rest):]
	}
	*log = saved
	return nil
}

// write saves f after the last step of log, if it is time to; done says that the step was the
// very last, whose result need not be kept.
func (t *training) write(f *fit, log lm.TuneLog, done bool) error {
	if t.path == "" || done || time.Since(t.last) < t.every {
		return nil
	}
	meta, err := json.Marshal(log)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	var parameters []float32
	for _, p := range f.tensors {
		parameters = append(parameters, p.Param...)
	}
	state := f.optimizer.State()
	var b bytes.Buffer
	tensor := func(name string, data []float32) safetensors.Tensor {
		return safetensors.Tensor{Name: name, Shape: []int{len(data)}, DType: safetensors.F32, Data: data}
	}
	if err := safetensors.WriteMetadata(&b, []safetensors.Tensor{tensor(savedFirst, state.M), tensor(savedParameters, parameters), tensor(savedSecond, state.V)},
		map[string]string{"key": t.key, "log": string(meta)}); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := replace(t.path, b.Bytes()); err != nil {
		return fmt.Errorf("checkpoint: %w; what was saved before is still there", err)
	}
	t.last = time.Now()
	return nil
}

// replace writes a file so that it is the old one or the new one, whatever happens.
func replace(path string, data []byte) error {
	partial := path + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeSynced(partial, data); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return os.Rename(partial, path)
}
