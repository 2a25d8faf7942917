package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
)

// Format is how a number is stored, little endian.
type Format uint8

// The formats of weights on disk.
const (
	F32  Format = iota
	F16         // IEEE half
	BF16        // the upper half of a float32
)

// Bytes is the size of a number.
func (f Format) Bytes() int {
	if f == F32 {
		return 4
	}
	return 2
}

// at is number i of data.
func (f Format) at(data []byte, i int) float32 {
	switch f {
	case F16:
		return FromF16(binary.LittleEndian.Uint16(data[2*i:]))
	case BF16:
		return FromBF16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
}

// Decode writes the first len(dst) numbers of data to dst.
func (f Format) Decode(dst []float32, data []byte) {
	data = data[:len(dst)*f.Bytes()]
	switch f {
	case F16:
		for i := range dst {
			dst[i] = FromF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = FromBF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	default:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	}
}

// FromF16 is the value of an IEEE half.
func FromF16(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0:
		v := float32(frac) / (1 << 24)
		return math.Float32frombits(sign | math.Float32bits(v))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// FromBF16 is the value of a bfloat16.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBF16 is the bfloat16 nearest to x, of two equally near ones that whose last bit is 0. NaN
// stays NaN.
func ToBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 1<<6
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// EncodeBF16 writes the bfloat16 nearest to each number of src to dst, which has two bytes for
// each.
func EncodeBF16(dst []byte, src []float32) {
	for i, x := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], ToBF16(x))
	}
}

// RoundBF16 writes src rounded to bfloat16 to dst, which may be src.
func RoundBF16(dst, src []float32) {
	for i, x := range src {
		dst[i] = FromBF16(ToBF16(x))
	}
}

// Stored is a weight W (N, K) as a model's file holds it: row-major [out, in]. It is only read,
// and need not be aligned: it may be mapped memory.
type Stored struct {
	N, K   int
	Format Format
	Data   []byte // N*K numbers
}

// Check panics unless Data has the size of the matrix: the products read it without looking.
func (w *Stored) Check() {
	if want := w.N * w.K * w.Format.Bytes(); len(w.Data) != want {
		panic(fmt.Sprintf("kernel: %d bytes for a matrix (%d, %d), want %d", len(w.Data), w.N, w.K, want))
	}
}

// Row decodes row i to dst (K).
func (w *Stored) Row(dst []float32, i int) {
	size := w.K * w.Format.Bytes()
	w.Format.Decode(dst[:w.K], w.Data[i*size:])
}

// Panels is the number of panels of Wᵀ.
func (w *Stored) Panels() int { return (w.N + PanelWidth - 1) / PanelWidth }

// panelGroup is the number of panels that are packed together: the rows of A that lie in the
// second cache are used for all of them.
const panelGroup = 8

// packings are what mulGroups packs panels into.
var packings = sync.Pool{New: func() any { return new(Packed) }}

// MulStored computes C = A Wᵀ, or C += A Wᵀ when accumulate, for the columns of panels
// [p0, p1). A is (m, w.K), C is (m, w.N). The bits are those of Mul with the transpose of W
// packed as float32; instead of a packed copy of all of W, which would be read on each call,
// W is multiplied where it lies when there are few rows, else packed some panels at a time.
func MulStored(c []float32, ldc int, a []float32, lda int, w *Stored, m int, accumulate bool, p0, p1 int) {
	if m <= 0 || p0 >= p1 {
		return
	}
	w.Check()
	p0 = multiplyStored(c, ldc, a, lda, w, m, accumulate, p0, p1)
	mulGroups(c, ldc, a, lda, w.K, w.N, m, accumulate, p0, p1, func(b *Packed, j, n, k0, k int) { b.packStored(w, j, n, k0, k) })
}

// mulGroups computes C = A B, or C += A B when accumulate, for the columns of panels [p0, p1) of
// B (k, n), which pack packs some panels and one block of k at a time: it makes b the columns
// [j, j+n) and rows [k0, k0+k) of B.
func mulGroups(c []float32, ldc int, a []float32, lda int, k, n, m int, accumulate bool, p0, p1 int, pack func(b *Packed, j, n, k0, k int)) {
	group := panelGroup
	if m <= tallest {
		group = panelsFor(m)
	}
	b := packings.Get().(*Packed)
	defer packings.Put(b)
	step := max(blockK(k), 1)
	for p := p0; p < p1; p += group {
		j := p * PanelWidth
		width := min(min(group, p1-p)*PanelWidth, n-j)
		for k0 := 0; k0 == 0 || k0 < k; k0 += step {
			pack(b, j, width, k0, min(step, k-k0))
			Mul(c[j:], ldc, a[min(k0, len(a)):], lda, b, m, accumulate || k0 > 0, 0, b.Panels())
		}
	}
}

// packStored makes b the transpose of rows [j, j+n) and columns [k0, k0+k) of w.
func (b *Packed) packStored(w *Stored, j, n, k0, k int) {
	b.resize(k, n)
	for p := range b.Panels() {
		dst, from, width := b.Data[p*k*PanelWidth:][:k*PanelWidth], j+p*PanelWidth, min(PanelWidth, n-p*PanelWidth)
		x := 0
		if width == PanelWidth {
			x = transposeStored(dst, w, from, k0, k)
		}
		for ; x < k; x++ {
			row := dst[x*PanelWidth:][:PanelWidth]
			for i := range width {
				row[i] = w.Format.at(w.Data, (from+i)*w.K+k0+x)
			}
			clear(row[width:])
		}
	}
}

// MulStored computes C = A Wᵀ (C += when accumulate) with the panels of W divided among the
// workers. The bits are those of the function MulStored.
func (p *Pool) MulStored(c []float32, ldc int, a []float32, lda int, w *Stored, m int, accumulate bool) {
	if p.workers == 1 || m*w.K*w.N < 1<<15 {
		MulStored(c, ldc, a, lda, w, m, accumulate, 0, w.Panels())
		return
	}
	p.each(w.Panels(), 4, 4, func(_, lo, hi int) { MulStored(c, ldc, a, lda, w, m, accumulate, lo, hi) })
}

// MulStoredNN computes C = A W, or C += A W when accumulate, for the columns of panels [p0, p1).
// W is the matrices of w one below the other, which must have one K: A is (m, Σ N), C is
// (m, K). The bits are those of Mul with W packed as float32.
func MulStoredNN(c []float32, ldc int, a []float32, lda int, w []*Stored, m int, accumulate bool, p0, p1 int) {
	if m <= 0 || p0 >= p1 {
		return
	}
	rows, n := 0, w[0].K
	for _, part := range w {
		part.Check()
		if part.K != n {
			panic(fmt.Sprintf("kernel: matrices of %d and %d columns one below the other", n, part.K))
		}
		rows += part.N
	}
	mulGroups(c, ldc, a, lda, rows, n, m, accumulate, p0, p1, func(b *Packed, j, n, k0, k int) { b.packStoredRows(w, k0, k, j, n) })
}

// packStoredRows makes b rows [k0, k0+k) and columns [j, j+n) of the matrices of w, which lie
// one below the other.
func (b *Packed) packStoredRows(w []*Stored, k0, k, j, n int) {
	b.resize(k, n)
	above := 0 // rows of the matrices before
	for _, part := range w {
		from, to := max(k0, above), min(k0+k, above+part.N)
		for p := range b.Panels() {
			if from >= to {
				break
			}
			column, width := j+p*PanelWidth, min(PanelWidth, n-p*PanelWidth)
			dst := b.Data[(p*k+from-k0)*PanelWidth:][:(to-from)*PanelWidth]
			if width == PanelWidth && widenPanel(dst, part, from-above, column, to-from) {
				continue
			}
			for x := range to - from {
				row := dst[x*PanelWidth:][:PanelWidth]
				part.Format.Decode(row[:width], part.Data[((from-above+x)*part.K+column)*part.Format.Bytes():])
				clear(row[width:])
			}
		}
		above += part.N
	}
}
