package gguf

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"stargate/internal/safetensors"
)

// Type is how a tensor's elements are stored (ggml_type).
type Type uint32

// The types read.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q8_0 Type = 8
	Q4_K Type = 12
	Q6_K Type = 14
	BF16 Type = 30
)

// format is how a block of values is stored: with a scale of its own, if it is quantised.
type format struct {
	name   string
	values int                              // in a block
	size   int                              // bytes of a block
	decode func(dst []float32, data []byte) // one block; for values that stand alone, all of them
}

var formats = map[Type]format{
	F32:  {"F32", 1, 4, decodeF32},
	F16:  {"F16", 1, 2, decodeF16},
	BF16: {"BF16", 1, 2, decodeBF16},
	Q4_0: {"Q4_0", 32, 18, decodeQ4_0},
	Q8_0: {"Q8_0", 32, 34, decodeQ8_0},
	Q4_K: {"Q4_K", 256, 144, decodeQ4_K},
	Q6_K: {"Q6_K", 256, 210, decodeQ6_K},
}

// others are the names of types that are not read, for messages.
var others = map[Type]string{3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 13: "Q5_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
	20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4"}

// String is ggml's name of the type.
func (t Type) String() string {
	if f, ok := formats[t]; ok {
		return f.name
	}
	if name, ok := others[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

func readTypes() string {
	var names []string
	for _, t := range slices.Sorted(maps.Keys(formats)) {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}

// block is the number of values stored together, and their bytes; 0 of a type that is not read.
func (t Type) block() (values, size int) {
	f := formats[t]
	return f.values, f.size
}

func (t Type) decoder() func([]float32, []byte) { return formats[t].decode }

// decode writes whole blocks to dst.
func (t Type) decode(dst []float32, data []byte) {
	f := formats[t]
	if f.values == 1 {
		f.decode(dst, data)
		return
	}
	for len(data) > 0 {
		f.decode(dst[:f.values], data[:f.size])
		dst, data = dst[f.values:], data[f.size:]
	}
}

func decodeF32(dst []float32, data []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
}

func decodeF16(dst []float32, data []byte) {
	for i := range dst {
		dst[i] = half(data[2*i:])
	}
}

func decodeBF16(dst []float32, data []byte) {
	for i := range dst {
		dst[i] = safetensors.FromBF16(binary.LittleEndian.Uint16(data[2*i:]))
	}
}

// half is an IEEE half.
func half(b []byte) float32 { return safetensors.FromF16(binary.LittleEndian.Uint16(b)) }
