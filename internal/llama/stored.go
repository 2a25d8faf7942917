package llama

import (
	"errors"
	"io/fs"
	"runtime"

	"stargate/internal/kernel"
)

// Stored is a model for inference whose matrices stay as its files hold them, in float32, f16 or
// bf16: mapped from disk, where the system can, they are read as they are needed and are in
// memory once. A [Decoder] of it computes the bits of one of the same model read with [Load].
//
// The files must not be made shorter while the Stored, or a decoder of it, is in use. They are
// let go when nothing refers to it any more.
type Stored struct {
	vectors  *Model                    // norms and biases
	matrices map[string]*kernel.Stored // by Hugging Face's name
}

// LoadStored opens a model directory. It refuses what [Load] refuses.
func LoadStored(dir fs.FS) (*Stored, error) {
	c, err := LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	w, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	s, err := w.stored(c)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	runtime.AddCleanup(s, func(w *weights) {
		_ = w.close() // fails only for memory that is not mapped
	}, w)
	return s, nil
}

// stored reads the vectors of a model of configuration c and finds its matrices.
func (w *weights) stored(c Config) (*Stored, error) {
	if err := w.checkSize(c); err != nil {
		return nil, err
	}
	vectors, err := newModel(c, false)
	if err != nil {
		return nil, err
	}
	if err := w.check(vectors); err != nil {
		return nil, err
	}
	s := &Stored{vectors: vectors, matrices: map[string]*kernel.Stored{}}
	for _, p := range vectors.Params() {
		from := w.places[p.Name]
		if p.Data != nil {
			if err := from.decode(p); err != nil {
				return nil, err
			}
			continue
		}
		data, format, err := from.raw.Raw(p.Name)
		if err != nil {
			return nil, from.wrap(err)
		}
		s.matrices[p.Name] = &kernel.Stored{N: p.Shape[0], K: p.Shape[1], Format: format, Data: data}
	}
	return s, nil
}

// Config is the model's shape.
func (s *Stored) Config() Config { return s.vectors.Config }

// Narrow says whether every matrix is held in 16 bits a number.
func (s *Stored) Narrow() bool {
	for _, w := range s.matrices {
		if w.Format.Bytes() > 2 {
			return false
		}
	}
	return true
}

// Each calls fn for the tensors of the model, in the order of [Model.Params]. Their data are
// valid until fn returns.
func (s *Stored) Each(fn func(Param) error) error {
	defer runtime.KeepAlive(s)
	var buffer []float32
	for _, p := range s.vectors.Params() {
		if w, ok := s.matrices[p.Name]; ok {
			buffer = grow(buffer, w.N*w.K)
			w.Format.Decode(buffer, w.Data)
			p.Data = buffer
		}
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// Model is a copy in float32, for training.
func (s *Stored) Model() *Model {
	m, err := NewModel(s.Config())
	if err != nil { // the config was valid when s was made
		panic(err)
	}
	params := m.Params()
	_ = s.Each(func(p Param) error { // fails only where the function does
		copy(params[0].Data, p.Data)
		params = params[1:]
		return nil
	})
	return m
}

// matrix is the parts of a matrix of a layer whose rows are adjacent.
func (s *Stored) matrix(names ...string) storedSide {
	var side storedSide
	for _, n := range names {
		side = append(side, s.matrices[n])
	}
	return side
}
