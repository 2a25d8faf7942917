package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The types of metadata values.
const (
	kindUint8 = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
)

// kindSizes are the bytes that a value takes at least.
var kindSizes = [...]uint64{1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8}

// reader reads front to back; after the first failure everything it reads is zero.
type reader struct {
	data []byte
	at   uint64
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: byte %d: %s", ErrCorrupt, r.at, fmt.Sprintf(format, args...))
	}
}

// bytes are the next n.
func (r *reader) bytes(n uint64) []byte {
	if left := uint64(len(r.data)) - r.at; n > left {
		r.fail("%d bytes are needed, %d are left", n, left)
	}
	if r.err != nil {
		return nil
	}
	b := r.data[r.at : r.at+n]
	r.at += n
	return b
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) string() string { return string(r.bytes(r.uint64())) }

// value reads a value of a kind: a Go value of the same type, or for an array a slice of
// them; arrays of arrays are []any.
func (r *reader) value(kind uint32, depth int) any {
	switch kind {
	case kindUint8:
		return scalar(r, func(b []byte) uint8 { return b[0] }, 1)
	case kindInt8:
		return scalar(r, func(b []byte) int8 { return int8(b[0]) }, 1)
	case kindUint16:
		return scalar(r, binary.LittleEndian.Uint16, 2)
	case kindInt16:
		return scalar(r, func(b []byte) int16 { return int16(binary.LittleEndian.Uint16(b)) }, 2)
	case kindUint32:
		return r.uint32()
	case kindInt32:
		return int32(r.uint32())
	case kindFloat32:
		return math.Float32frombits(r.uint32())
	case kindBool:
		b := r.bytes(1)
		if b != nil && b[0] > 1 {
			r.fail("a truth value of %d", b[0])
		}
		return b != nil && b[0] == 1
	case kindString:
		return r.string()
	case kindArray:
		return r.array(depth)
	case kindUint64:
		return r.uint64()
	case kindInt64:
		return int64(r.uint64())
	case kindFloat64:
		return math.Float64frombits(r.uint64())
	}
	r.fail("value type %d is not known", kind)
	return nil
}

func scalar[T any](r *reader, decode func([]byte) T, size uint64) (zero T) {
	if b := r.bytes(size); b != nil {
		return decode(b)
	}
	return zero
}

// maxDepth of arrays in arrays; the keys that anyone defines have none.
const maxDepth = 8

func (r *reader) array(depth int) any {
	kind, n := r.uint32(), r.uint64()
	switch {
	case r.err != nil:
		return nil
	case kind >= uint32(len(kindSizes)):
		r.fail("value type %d is not known", kind)
		return nil
	case n > (uint64(len(r.data))-r.at)/kindSizes[kind]:
		r.fail("an array of %d values does not fit", n)
		return nil
	case depth >= maxDepth:
		r.fail("arrays are nested deeper than %d", maxDepth)
		return nil
	}
	switch kind {
	case kindUint8:
		return list[uint8](r, kind, n)
	case kindInt8:
		return list[int8](r, kind, n)
	case kindUint16:
		return list[uint16](r, kind, n)
	case kindInt16:
		return list[int16](r, kind, n)
	case kindUint32:
		return list[uint32](r, kind, n)
	case kindInt32:
		return list[int32](r, kind, n)
	case kindFloat32:
		return list[float32](r, kind, n)
	case kindBool:
		return list[bool](r, kind, n)
	case kindString:
		return list[string](r, kind, n)
	case kindUint64:
		return list[uint64](r, kind, n)
	case kindInt64:
		return list[int64](r, kind, n)
	case kindFloat64:
		return list[float64](r, kind, n)
	}
	arrays := make([]any, 0, n)
	for i := uint64(0); i < n && r.err == nil; i++ {
		arrays = append(arrays, r.array(depth+1))
	}
	return arrays
}

func list[T any](r *reader, kind uint32, n uint64) []T {
	values := make([]T, 0, n)
	for i := uint64(0); i < n && r.err == nil; i++ {
		if v, ok := r.value(kind, 0).(T); ok {
			values = append(values, v)
		}
	}
	return values
}
