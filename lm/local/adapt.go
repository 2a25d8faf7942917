package local

import (
	"errors"
	"fmt"
	"io/fs"

	"stargate/internal/llama"
	"stargate/internal/lora"
)

// ErrAdapted is returned when a model that has an adapter is to get another.
var ErrAdapted = errors.New("the model has an adapter already; adapt the model it was made for")

// Adapt is the model with a low-rank adapter that is not merged: its products add the adapter's
// part row by row, so beside the weights, which it shares with m, it takes the adapter's memory
// (its numbers twice) and pages of its own as they are needed, up to Options.KVBytes. m and the
// adapted model may be used, tuned and closed independently; they take turns on m's engine, so
// requests to both are not one batch.
//
// A prediction differs from that of merged weights by rounding (about 1e-6 of a nat); [Model.Save]
// and [Model.Tune] merge.
//
// Errors: [lora.ErrMismatch] for an adapter of another model, [ErrAdapted], [ErrClosed].
func (m *Model) Adapt(a *lora.Adapter) (*Model, error) {
	if m.weights.low != nil {
		return nil, ErrAdapted
	}
	shapes, err := m.shapes()
	if err != nil {
		return nil, fmt.Errorf("adapt: %w", err)
	}
	if err := a.Check(shapes); err != nil {
		return nil, fmt.Errorf("adapt: %w", err)
	}
	for _, x := range a.Matrices {
		for _, part := range [][]float32{x.A, x.B} {
			for _, v := range part {
				if v-v != 0 { // NaN or infinite
					return nil, fmt.Errorf("adapt: %s holds a number that is not finite", x.Name)
				}
			}
		}
	}
	w, o := m.weights, m.opts
	w.low, w.base, o.Engine = a, m.sched.decoder, m.engine
	adapted, err := assemble(w, m.codec, m.files, o)
	if err != nil {
		return nil, fmt.Errorf("adapt: %w", err)
	}
	adapted.adapter, adapted.weights.base = a, nil // the base's pages end with it
	return adapted, nil
}

// OpenAdapter is [Model.Adapt] with a PEFT directory of rank at most mostRank (0: any). It does
// not read more than such an adapter of this model can have.
//
// Errors, beside those of Adapt: [lora.ErrUnsupported], and [fs.ErrNotExist] where a file is
// missing.
func (m *Model) OpenAdapter(dir fs.FS, mostRank int) (*Model, error) {
	c, err := lora.OpenConfig(dir)
	if err != nil {
		return nil, err
	}
	if mostRank > 0 && c.Rank > mostRank {
		return nil, fmt.Errorf("lora adapter: its rank is %d, the limit is %d", c.Rank, mostRank)
	}
	file, err := fs.Stat(dir, lora.WeightsFile)
	if err != nil {
		return nil, fmt.Errorf("lora adapter: %w", err)
	}
	shapes, err := m.shapes()
	if err != nil {
		return nil, fmt.Errorf("lora adapter: %w", err)
	}
	most := int64(1 << 20) // of names and offsets
	for _, w := range shapes {
		most += 4 * int64(c.Rank) * int64(w.Out+w.In)
	}
	if !file.Mode().IsRegular() || file.Size() > most {
		return nil, fmt.Errorf("lora adapter: %s has %d bytes; an adapter of rank %d for this model is a regular file of at most %d", lora.WeightsFile, file.Size(), c.Rank, most)
	}
	a, err := lora.Open(dir)
	if err != nil {
		return nil, err
	}
	return m.Adapt(a)
}

// shapes are the model's matrices without their numbers.
func (m *Model) shapes() ([]lora.Weight, error) {
	params, err := m.weights.Config.Shapes()
	if err != nil {
		return nil, err
	}
	var ws []lora.Weight
	for _, p := range params {
		if len(p.Shape) == 2 {
			ws = append(ws, lora.Weight{Name: p.Name, Out: p.Shape[0], In: p.Shape[1]})
		}
	}
	return ws, nil
}

// updates are an adapter as the decoder takes it.
func updates(a *lora.Adapter) []llama.LowRank {
	us := make([]llama.LowRank, len(a.Matrices))
	for i, m := range a.Matrices {
		us[i] = llama.LowRank{Name: m.Name, Rank: a.Config.Rank, A: m.A, B: m.B, Scale: float32(a.Config.Scale())}
	}
	return us
}
