package kernel

import "math"

// Int8 is a weight W (N, K) rounded to bytes: row-wise symmetric quantisation. An element is a
// whole number in [-127, 127] times the scale of its row within a block of at most 384 columns,
// the blocks in which products are summed. It is laid out as Packed is, in panels, with the
// scales of a panel's rows beside each other.
//
// A product with it has the bits of one with the same elements in float32.
type Int8 struct {
	N, K   int
	Data   []int8    // [panel][K][PanelWidth], zero padded
	Scales []float32 // [panel][block][PanelWidth]
}

// Panels is the number of panels of Wᵀ.
func (w *Int8) Panels() int { return (w.N + PanelWidth - 1) / PanelWidth }

func (w *Int8) blocks() int {
	step := max(blockK(w.K), 1)
	return (w.K + step - 1) / step
}

// NewInt8 is a matrix (n, k) of zeros, to be filled row by row.
func NewInt8(n, k int) *Int8 {
	w := &Int8{N: n, K: k}
	w.Data = make([]int8, w.Panels()*k*PanelWidth)
	w.Scales = make([]float32, w.Panels()*w.blocks()*PanelWidth)
	return w
}

// Quantise sets row i to the numbers nearest to src (K): the greatest of each block becomes 127
// or -127 times the scale. A block with a number that is not finite becomes NaN.
func (w *Int8) Quantise(i int, src []float32) {
	p, lane := i/PanelWidth, i%PanelWidth
	step := blockK(w.K)
	for b := range w.blocks() {
		block := src[b*step : min((b+1)*step, w.K)]
		most := float32(0)
		for _, x := range block {
			if x = float32(math.Abs(float64(x))); !(x <= most) { // NaN too
				most = x
			}
			if most != most {
				break
			}
		}
		scale := most / 127
		if scale-scale != 0 {
			scale = float32(math.NaN())
		}
		w.Scales[(p*w.blocks()+b)*PanelWidth+lane] = scale
		data := w.Data[(p*w.K+b*step)*PanelWidth+lane:]
		for x, v := range block {
			q := int8(0)
			if scale > 0 {
				q = int8(min(max(math.RoundToEven(float64(v)/float64(scale)), -127), 127))
			}
			data[x*PanelWidth] = q
		}
	}
}

// Row writes row i to dst (K).
func (w *Int8) Row(dst []float32, i int) {
	p, lane, step := i/PanelWidth, i%PanelWidth, blockK(w.K)
	for x := range dst[:w.K] {
		dst[x] = float32(w.Data[(p*w.K+x)*PanelWidth+lane]) * w.Scales[(p*w.blocks()+x/step)*PanelWidth+lane]
	}
}

// MulInt8 computes C = A Wᵀ, or C += A Wᵀ when accumulate, for the columns of panels [p0, p1). A
// is (m, w.K), C is (m, w.N). The bits are those of Mul with the rows of W packed.
func MulInt8(c []float32, ldc int, a []float32, lda int, w *Int8, m int, accumulate bool, p0, p1 int) {
	if m <= 0 || p0 >= p1 {
		return
	}
	if m == 1 {
		p0 = multiplyInt8(c, a, w, accumulate, p0, p1)
	}
	mulGroups(c, ldc, a, lda, w.K, w.N, m, accumulate, p0, p1, func(b *Packed, j, n, k0, k int) { b.packInt8(w, j, n, k0, k) })
}

// packInt8 makes b the transpose of rows [j, j+n) and columns [k0, k0+k) of w, from a panel and
// a block on.
func (b *Packed) packInt8(w *Int8, j, n, k0, k int) {
	b.resize(k, n)
	if k == 0 {
		return
	}
	block := k0 / blockK(w.K)
	for i := range b.Panels() {
		p := j/PanelWidth + i
		widenInt8(b.Data[i*k*PanelWidth:][:k*PanelWidth], w.Data[(p*w.K+k0)*PanelWidth:], w.Scales[(p*w.blocks()+block)*PanelWidth:])
	}
}

// MulInt8 is the function MulInt8 for all of W, with its panels divided among the workers.
func (p *Pool) MulInt8(c []float32, ldc int, a []float32, lda int, w *Int8, m int, accumulate bool) {
	if p.workers == 1 || m*w.K*w.N < 1<<15 {
		MulInt8(c, ldc, a, lda, w, m, accumulate, 0, w.Panels())
		return
	}
	p.each(w.Panels(), 4, 4, func(_, lo, hi int) { MulInt8(c, ldc, a, lda, w, m, accumulate, lo, hi) })
}

// widenInt8Ref is the specification of widenInt8: rows of a panel of bytes, times their scales.
func widenInt8Ref(dst []float32, b []int8, scales []float32) {
	for i := range dst {
		dst[i] = float32(b[i]) * scales[i%PanelWidth]
	}
}
