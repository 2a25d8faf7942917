package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"stargate/internal/kernel"
)

// ErrCorrupt marks a file that is not well-formed safetensors.
var ErrCorrupt = errors.New("corrupt safetensors file")

// metadataKey is the entry of the header that is no tensor.
const metadataKey = "__metadata__"

// maxHeader is the format's own limit.
const maxHeader = 100 << 20

// entry is a tensor in the header.
type entry struct {
	DType   DType    `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// File is an opened file; tensors are decoded when asked for.
type File struct {
	Metadata map[string]string
	entries  map[string]entry
	data     []byte
}

// Read opens a file held in memory; data must not change while the File is used. A file
// that the reference implementation would refuse is [ErrCorrupt]: the tensors must cover the
// bytes behind the header without gap or overlap.
func Read(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return nil, fmt.Errorf("%w: the header claims %d bytes of %d", ErrCorrupt, n, len(data))
	}
	header := data[8 : 8+n]
	if len(header) == 0 || header[0] != '{' {
		return nil, fmt.Errorf("%w: the header does not begin with {", ErrCorrupt)
	}
	f := &File{entries: map[string]entry{}, data: data[8+n:]}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(header, &raw); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if name == metadataKey {
			if err := json.Unmarshal(raw[name], &f.Metadata); err != nil {
				return nil, fmt.Errorf("%w: metadata: %w", ErrCorrupt, err)
			}
			continue
		}
		var e entry
		if err := json.Unmarshal(raw[name], &e); err != nil {
			return nil, fmt.Errorf("%w: tensor %s: %w", ErrCorrupt, name, err)
		}
		if err := e.check(int64(len(f.data))); err != nil {
			return nil, fmt.Errorf("%w: tensor %s: %w", ErrCorrupt, name, err)
		}
		f.entries[name] = e
	}
	if err := f.checkCover(); err != nil {
		return nil, err
	}
	return f, nil
}

func (e entry) check(size int64) error {
	from, to := e.Offsets[0], e.Offsets[1]
	if from < 0 || to < from || to > size {
		return fmt.Errorf("bytes %d to %d of %d", from, to, size)
	}
	n := int64(1)
	for _, d := range e.Shape {
		if d < 0 || d > 0 && n > math.MaxInt64/8/int64(d) {
			return fmt.Errorf("shape %v", e.Shape)
		}
		n *= int64(d)
	}
	if s := int64(e.DType.size()); s > 0 && n*s != to-from {
		return fmt.Errorf("shape %v of %s needs %d bytes, not %d", e.Shape, e.DType, n*s, to-from)
	}
	return nil
}

func (f *File) checkCover() error {
	names := f.Names()
	slices.SortStableFunc(names, func(a, b string) int {
		x, y := f.entries[a].Offsets, f.entries[b].Offsets
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	})
	end := int64(0)
	for _, n := range names {
		switch from := f.entries[n].Offsets[0]; {
		case from < end:
			return fmt.Errorf("%w: tensor %s overlaps another", ErrCorrupt, n)
		case from > end:
			return fmt.Errorf("%w: %d bytes before tensor %s belong to none", ErrCorrupt, from-end, n)
		}
		end = f.entries[n].Offsets[1]
	}
	if end != int64(len(f.data)) {
		return fmt.Errorf("%w: %d bytes at the end belong to no tensor", ErrCorrupt, int64(len(f.data))-end)
	}
	return nil
}

// Names lists the tensors in alphabetical order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.entries)) }

// Shape is a tensor's shape; ok is false if there is no such tensor. The slice is the caller's.
func (f *File) Shape(name string) (shape []int, ok bool) {
	e, ok := f.entries[name]
	return slices.Clone(e.Shape), ok
}

// Float32 decodes a tensor; the slices are the caller's. A type other than those above is an
// error that names it.
func (f *File) Float32(name string) (data []float32, shape []int, err error) {
	e := f.entries[name]
	if size := int64(e.DType.size()); size > 0 {
		data = make([]float32, (e.Offsets[1]-e.Offsets[0])/size)
	}
	if err := f.Decode(data, name); err != nil {
		return nil, nil, err
	}
	return data, slices.Clone(e.Shape), nil
}

// Decode writes a tensor's elements to dst, which must have their number.
func (f *File) Decode(dst []float32, name string) error {
	raw, format, err := f.Raw(name)
	if err != nil {
		return err
	}
	if n := len(raw) / format.Bytes(); len(dst) != n {
		return fmt.Errorf("safetensors: tensor %s has %d elements, not %d", name, n, len(dst))
	}
	format.Decode(dst, raw)
	return nil
}

// Raw is a tensor as it lies in the file's data, in row-major order and little endian. It must
// not be changed. A type other than those above is an error that names it.
func (f *File) Raw(name string) ([]byte, kernel.Format, error) {
	e, ok := f.entries[name]
	if !ok {
		return nil, 0, fmt.Errorf("safetensors: no tensor %s", name)
	}
	format, ok := formats[e.DType]
	if !ok {
		return nil, 0, fmt.Errorf("safetensors: tensor %s is %s; F32, F16 and BF16 are read", name, e.DType)
	}
	return f.data[e.Offsets[0]:e.Offsets[1]], format, nil
}
