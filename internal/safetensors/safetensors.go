package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// ErrCorrupt marks a file that is not well-formed safetensors.
var ErrCorrupt = errors.New("corrupt safetensors file")

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

// Read opens a file held in memory; data must not change while the File is used.
func Read(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return nil, fmt.Errorf("%w: the header claims %d bytes of %d", ErrCorrupt, n, len(data))
	}
	f := &File{entries: map[string]entry{}, data: data[8+n:]}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+n], &raw); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	for name, text := range raw {
		if name == "__metadata__" {
			if err := json.Unmarshal(text, &f.Metadata); err != nil {
				return nil, fmt.Errorf("%w: metadata: %w", ErrCorrupt, err)
			}
			continue
		}
		var e entry
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("%w: tensor %s: %w", ErrCorrupt, name, err)
		}
		if err := e.check(int64(len(f.data))); err != nil {
			return nil, fmt.Errorf("%w: tensor %s: %w", ErrCorrupt, name, err)
		}
		f.entries[name] = e
	}
	return f, f.checkOverlap()
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

func (f *File) checkOverlap() error {
	names := f.Names()
	slices.SortStableFunc(names, func(a, b string) int {
		return int(f.entries[a].Offsets[0] - f.entries[b].Offsets[0])
	})
	end := int64(0)
	for _, n := range names {
		e := f.entries[n]
		if e.Offsets[0] < end && e.Offsets[1] > e.Offsets[0] {
			return fmt.Errorf("%w: tensor %s overlaps another", ErrCorrupt, n)
		}
		end = max(end, e.Offsets[1])
	}
	return nil
}

// Names lists the tensors in alphabetical order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.entries)) }

// Float32 decodes a tensor.
func (f *File) Float32(name string) (data []float32, shape []int, err error) {
	e, ok := f.entries[name]
	if !ok {
		return nil, nil, fmt.Errorf("safetensors: no tensor %s", name)
	}
	raw := f.data[e.Offsets[0]:e.Offsets[1]]
	switch e.DType {
	case F32:
		data = make([]float32, len(raw)/4)
		for i := range data {
			data[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case F16, BF16:
		decode := FromF16
		if e.DType == BF16 {
			decode = FromBF16
		}
		data = make([]float32, len(raw)/2)
		for i := range data {
			data[i] = decode(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	default:
		return nil, nil, fmt.Errorf("safetensors: tensor %s is %s; F32, F16 and BF16 are read", name, e.DType)
	}
	return data, e.Shape, nil
}

// Tensor is one tensor to write.
type Tensor struct {
	Name  string
	Shape []int
	DType DType
	Data  []float32
}

// Write writes tensors in their order. The same tensors give the same bytes.
func Write(w io.Writer, tensors []Tensor) error {
	var header bytes.Buffer
	header.WriteString(`{"__metadata__":{"format":"pt"}`)
	offset := int64(0)
	for _, t := range tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		if n != len(t.Data) || t.DType.size() == 0 {
			return fmt.Errorf("safetensors: tensor %s of shape %v and type %q has %d elements", t.Name, t.Shape, t.DType, len(t.Data))
		}
		end := offset + int64(n*t.DType.size())
		name, err := json.Marshal(t.Name)
		if err != nil {
			return err
		}
		e, err := json.Marshal(entry{t.DType, t.Shape, [2]int64{offset, end}})
		if err != nil {
			return err
		}
		fmt.Fprintf(&header, ",%s:%s", name, e)
		offset = end
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	out := bufio.NewWriterSize(w, 1<<20)
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(header.Len()))
	out.Write(b[:]) // bufio keeps the first error for Flush
	out.Write(header.Bytes())
	for _, t := range tensors {
		for _, x := range t.Data {
			switch t.DType {
			case F32:
				binary.LittleEndian.PutUint32(b[:], math.Float32bits(x))
			case F16:
				binary.LittleEndian.PutUint16(b[:], ToF16(x))
			case BF16:
				binary.LittleEndian.PutUint16(b[:], ToBF16(x))
			}
			out.Write(b[:t.DType.size()])
		}
	}
	return out.Flush()
}
