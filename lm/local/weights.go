package local

import (
	"io/fs"

	"stargate/internal/kernel"
	"stargate/internal/llama"
)

// weights are a model's numbers: in float32, or as their files hold them.
type weights struct {
	Config llama.Config
	full   *llama.Model
	stored *llama.Stored
}

func fullWeights(m *llama.Model) weights { return weights{Config: m.Config, full: m} }

// mostFloat32 is the default of Options.Float32Bytes.
const mostFloat32 = 2 << 30

// loadWeights reads a directory's weights, as float32 where that takes at most so many bytes.
func loadWeights(dir fs.FS, most int64) (weights, error) {
	if most <= 0 {
		most = mostFloat32
	}
	c, err := llama.LoadConfig(dir)
	if err != nil {
		return weights{}, err
	}
	if float32Bytes(c) <= most {
		m, err := llama.Load(dir)
		if err != nil {
			return weights{}, err
		}
		return fullWeights(m), nil
	}
	s, err := llama.LoadStored(dir)
	if err != nil {
		return weights{}, err
	}
	return weights{Config: s.Config(), stored: s}, nil
}

// float32Bytes is what a model takes in float32: its weights and their packed copy.
func float32Bytes(c llama.Config) int64 { return 2 * 4 * int64(c.NumParams()) }

// decoder is a decoder that computes the same bits either way.
func (w weights) decoder(p *kernel.Pool, cache *llama.Cache) *llama.Decoder {
	if w.stored != nil {
		return llama.NewStoredDecoder(w.stored, p, cache)
	}
	return llama.NewDecoder(w.full, p, cache)
}

// each calls fn for every tensor, whose data are valid until it returns.
func (w weights) each(fn func(llama.Param) error) error {
	if w.stored != nil {
		return w.stored.Each(fn)
	}
	for _, p := range w.full.Params() {
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// float32 is the model in float32, not to be changed: itself, or a copy made now.
func (w weights) float32() *llama.Model {
	if w.stored != nil {
		return w.stored.Model()
	}
	return w.full
}
