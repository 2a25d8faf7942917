package local

import (
	"io/fs"

	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/lora"
)

// weights are a model's numbers: in float32, or as their files hold them; with an adapter that
// is not merged, those of the model it was made for.
type weights struct {
	Config llama.Config
	full   *llama.Model
	stored *llama.Stored
	bytes  bool // predicts with matrices rounded to bytes

	low  *lora.Adapter  // nil: none
	base *llama.Decoder // of the same weights without low; nil when the decoder has been made
}

func fullWeights(m *llama.Model) weights { return weights{Config: m.Config, full: m} }

// mostFloat32 is the default of Options.Float32Bytes.
const mostFloat32 = 2 << 30

// loadWeights reads a directory's weights, as float32 where that takes at most Float32Bytes and
// they are predicted with.
func loadWeights(dir fs.FS, o Options) (weights, error) {
	most := o.Float32Bytes
	if most <= 0 {
		most = mostFloat32
	}
	if o.Weights == Int8 {
		most = 0
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

// decoder is a decoder that computes the same bits whether the weights are stored or not; others
// where they are rounded.
func (w weights) decoder(p *kernel.Pool, cache *llama.Cache) (*llama.Decoder, error) {
	switch {
	case w.low != nil:
		return w.base.Adapt(updates(w.low), cache)
	case w.bytes && w.stored != nil:
		return llama.NewInt8Decoder(w.stored.Int8(p), p, cache), nil
	case w.bytes:
		return llama.NewInt8Decoder(w.full.Int8(p), p, cache), nil
	}
	return w.exact(p, cache), nil
}

// exact is a decoder of the weights as they are, without the adapter.
func (w weights) exact(p *kernel.Pool, cache *llama.Cache) *llama.Decoder {
	if w.stored != nil {
		return llama.NewStoredDecoder(w.stored, p, cache)
	}
	return llama.NewDecoder(w.full, p, cache)
}

// each calls fn for every tensor without the adapter. The data are valid until fn returns.
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

// float32 is the model in float32 with the adapter merged, not to be changed: itself, or a copy
// made now.
func (w weights) float32(p *kernel.Pool) (*llama.Model, error) {
	m := w.full
	if w.stored != nil {
		m = w.stored.Model()
	}
	if w.low == nil {
		return m, nil
	}
	if w.stored == nil {
		m = m.Clone()
	}
	return m, w.low.Merge(p, matrices(m), matrices(m))
}

// copied says whether float32 makes a copy.
func (w weights) copied() bool { return w.full == nil || w.low != nil }
