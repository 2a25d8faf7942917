package safetensors

import (
	"math"

	"stargate/internal/kernel"
)

// DType is how a tensor's elements are stored.
type DType string

// The types read and written.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// formats are the types by how the kernels call them.
var formats = map[DType]kernel.Format{F32: kernel.F32, F16: kernel.F16, BF16: kernel.BF16}

// size is the bytes of an element, or 0 of an unknown type.
func (d DType) size() int {
	if f, ok := formats[d]; ok {
		return f.Bytes()
	}
	return 0
}

// ToF16 rounds to the nearest IEEE half, ties to even.
func ToF16(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	exp, frac := int(b>>23&0xff), b&0x7fffff
	switch {
	case exp == 0xff: // infinity, NaN
		if frac != 0 {
			return sign | 0x7e00
		}
		return sign | 0x7c00
	case exp > 142: // 65520 and more
		return sign | 0x7c00
	case exp < 102: // less than half the smallest
		return sign
	case exp < 113: // subnormal: shift the fraction with its leading one
		frac |= 0x800000
		shift := uint(126 - exp)
		return sign | uint16(round(frac, shift))
	}
	h := uint32(exp-112)<<10<<13 | frac
	return sign | uint16(round(h, 13))
}

// round drops the low shift bits, nearest, ties to even.
func round(x uint32, shift uint) uint32 {
	half := uint32(1) << (shift - 1)
	q, r := x>>shift, x&(1<<shift-1)
	if r > half || r == half && q&1 == 1 {
		q++
	}
	return q
}

// FromF16 is the value of an IEEE half.
func FromF16(h uint16) float32 { return kernel.FromF16(h) }

// ToBF16 rounds to the nearest bfloat16, ties to even.
func ToBF16(x float32) uint16 { return kernel.ToBF16(x) }

// FromBF16 is the value of a bfloat16.
func FromBF16(h uint16) float32 { return kernel.FromBF16(h) }
