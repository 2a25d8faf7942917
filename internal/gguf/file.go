package gguf

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

var (
	// ErrCorrupt marks a file that is not well-formed GGUF.
	ErrCorrupt = errors.New("corrupt GGUF file")
	// ErrUnsupported marks a file that needs what this package does not have.
	ErrUnsupported = errors.New("unsupported GGUF file")
)

// File is an opened file; tensors are decoded when asked for.
type File struct {
	Version  uint32
	Metadata map[string]any // numbers, truth values, strings and slices of them
	tensors  map[string]tensor
	data     []byte // the tensors
}

// tensor is what the file says of one.
type tensor struct {
	kind   Type
	shape  []int  // outermost dimension first, as in PyTorch; the file has the innermost first
	offset uint64 // in data
	size   uint64 // bytes; 0 of types that are not read
}

// maxDims is ggml's own limit.
const maxDims = 4

// defaultAlignment of tensors, if general.alignment says nothing.
const defaultAlignment = 32

// Read opens a file held in memory; data must not change while the File is used. Tensors of
// types that are not read may be there, and are an error when decoded.
func Read(data []byte) (*File, error) {
	r := &reader{data: data}
	if magic := r.bytes(4); r.err != nil || string(magic) != "GGUF" {
		return nil, fmt.Errorf("%w: it does not begin with GGUF", ErrCorrupt)
	}
	f := &File{Version: r.uint32(), Metadata: map[string]any{}, tensors: map[string]tensor{}}
	switch {
	case r.err != nil:
		return nil, r.err
	case f.Version&0xffff == 0:
		return nil, fmt.Errorf("%w: numbers in big-endian order", ErrUnsupported)
	case f.Version != 2 && f.Version != 3:
		return nil, fmt.Errorf("%w: version %d; 2 and 3 are read", ErrUnsupported, f.Version)
	}
	tensors, values := r.uint64(), r.uint64()
	for i := uint64(0); i < values && r.err == nil; i++ {
		key := r.string()
		if _, ok := f.Metadata[key]; ok {
			r.fail("the key %q is there twice", key)
		}
		f.Metadata[key] = r.value(r.uint32(), 0)
	}
	order := []string{}
	for i := uint64(0); i < tensors && r.err == nil; i++ {
		name, t := r.string(), r.tensor()
		if _, ok := f.tensors[name]; ok {
			r.fail("the tensor %q is there twice", name)
		}
		f.tensors[name] = t
		order = append(order, name)
	}
	if r.err != nil {
		return nil, r.err
	}
	alignment := uint64(defaultAlignment)
	if v, ok := f.Metadata["general.alignment"]; ok {
		n, ok := v.(uint32)
		if !ok || n == 0 || n&(n-1) != 0 {
			return nil, fmt.Errorf("%w: general.alignment is %v, not a power of two", ErrCorrupt, v)
		}
		alignment = uint64(n)
	}
	begin := (r.at + alignment - 1) / alignment * alignment
	if len(order) > 0 {
		if begin > uint64(len(data)) {
			return nil, fmt.Errorf("%w: it ends before the tensors begin", ErrCorrupt)
		}
		f.data = data[begin:]
	}
	return f, f.checkPlaces(order, alignment)
}

// tensor reads what the header says of a tensor.
func (r *reader) tensor() (t tensor) {
	dims := r.uint32()
	if dims > maxDims {
		r.fail("a tensor of %d dimensions", dims)
		return t
	}
	n := uint64(1)
	for range dims {
		d := r.uint64()
		if d > math.MaxInt32 || d > 0 && n > math.MaxInt64/64/d {
			r.fail("a dimension of %d", d)
			return t
		}
		n *= d
		t.shape = append(t.shape, int(d))
	}
	columns := 1
	if dims > 0 {
		columns = t.shape[0]
	}
	slices.Reverse(t.shape)
	t.kind, t.offset = Type(r.uint32()), r.uint64()
	block, size := t.kind.block()
	if size == 0 {
		return t
	}
	if columns%block != 0 {
		r.fail("rows of %d values are not blocks of %d, which %s has", columns, block, t.kind)
	}
	t.size = n / uint64(block) * uint64(size)
	return t
}

// checkPlaces holds tensors to their alignment, to the file and apart.
func (f *File) checkPlaces(names []string, alignment uint64) error {
	for _, name := range names {
		t := f.tensors[name]
		if t.offset%alignment != 0 {
			return fmt.Errorf("%w: tensor %s at byte %d is not aligned to %d", ErrCorrupt, name, t.offset, alignment)
		}
		if n := uint64(len(f.data)); t.offset > n || t.size > n-t.offset {
			return fmt.Errorf("%w: tensor %s: bytes %d and %d more of %d", ErrCorrupt, name, t.offset, t.size, n)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		x, y := f.tensors[a], f.tensors[b]
		return cmp.Or(cmp.Compare(x.offset, y.offset), cmp.Compare(x.size, y.size))
	})
	for i := range len(names) - 1 {
		if t := f.tensors[names[i]]; t.offset+t.size > f.tensors[names[i+1]].offset {
			return fmt.Errorf("%w: tensors %s and %s overlap", ErrCorrupt, names[i], names[i+1])
		}
	}
	return nil
}

// Names lists the tensors in alphabetical order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Shape is a tensor's shape, outermost dimension first; ok is false if there is no such
// tensor. The slice is the caller's.
func (f *File) Shape(name string) (shape []int, ok bool) {
	t, ok := f.tensors[name]
	return slices.Clone(t.shape), ok
}

// Type is how a tensor is stored; ok is false if there is no such tensor.
func (f *File) Type(name string) (kind Type, ok bool) {
	t, ok := f.tensors[name]
	return t.kind, ok
}

// Float32 decodes a tensor; the slices are the caller's.
func (f *File) Float32(name string) (data []float32, shape []int, err error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, nil, fmt.Errorf("gguf: no tensor %s", name)
	}
	data = make([]float32, t.values())
	return data, slices.Clone(t.shape), f.Decode(data, name)
}

// values is the number of a tensor's elements; 0 of types that are not read, whose shape
// says nothing about the file.
func (t tensor) values() int {
	block, size := t.kind.block()
	if size == 0 {
		return 0
	}
	return int(t.size) / size * block
}

// Decode writes a tensor's elements to dst, which must have their number. A type that is not
// read is an error that names it.
func (f *File) Decode(dst []float32, name string) error {
	t, ok := f.tensors[name]
	switch {
	case !ok:
		return fmt.Errorf("gguf: no tensor %s", name)
	case t.kind.decoder() == nil:
		return fmt.Errorf("%w: tensor %s is %s; %s are read", ErrUnsupported, name, t.kind, readTypes())
	case len(dst) != t.values():
		return fmt.Errorf("gguf: tensor %s has %d elements, not %d", name, t.values(), len(dst))
	}
	t.kind.decode(dst, f.data[t.offset:t.offset+t.size])
	return nil
}
