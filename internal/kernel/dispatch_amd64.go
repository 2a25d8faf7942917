package kernel

import (
	"os"

	"golang.org/x/sys/cpu"
)

//go:generate go run -C avogen . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg kernel

// The kernels in use. STARGATE_KERNEL=portable or avx2 asks for less than the processor
// can do; the bits of avx2 and avx512 are the same.
var fast, wide = detect(os.Getenv("STARGATE_KERNEL"))

func detect(limit string) (avx2, avx512 bool) {
	avx2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C && limit != "portable"
	return avx2, avx2 && cpu.X86.HasAVX512F && limit != "avx2"
}

// Level names the kernels in use: "avx512", "avx2" or "portable".
func Level() string {
	switch {
	case wide:
		return "avx512"
	case fast:
		return "avx2"
	}
	return "portable"
}

// Fast reports whether the assembly kernels are in use.
func Fast() bool { return fast }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func copyTile(dst, src []float32, ld, k int) {
	switch {
	case wide:
		copyColumns8(&dst[0], &src[0], ld*4, k)
	case fast:
		copyColumns6(&dst[0], &src[0], ld*4, k)
	default:
		copyColumnsRef(dst, src, tallest, ld, k)
	}
}

func copyColumns(dst, src []float32, ld, k int) {
	if !fast {
		copyColumnsRef(dst, src, PanelWidth, ld, k)
		return
	}
	copyColumns16(&dst[0], &src[0], ld*4, k)
}

func transposeColumns(dst, src []float32, ld, k int) int {
	if !fast {
		return transposeColumnsRef(dst, src, ld, k)
	}
	done := k &^ 7
	for x := 0; x < done; x += 8 {
		transpose8(&dst[x*PanelWidth], PanelWidth*4, &src[x], ld*4)
		transpose8(&dst[x*PanelWidth+8], PanelWidth*4, &src[8*ld+x], ld*4)
	}
	return done
}

// transposeStored is transposeColumns for elements as w stores them, from row j and column k0
// of w on.
func transposeStored(dst []float32, w *Stored, j, k0, k int) int {
	if !fast || k < 8 {
		return 0
	}
	pack := transposePanelF32
	switch w.Format {
	case F16:
		pack = transposePanelF16
	case BF16:
		pack = transposePanelBF16
	}
	size := w.Format.Bytes()
	from := func(x int) *byte { return &w.Data[(j*w.K+k0+x)*size] }
	pack(&dst[0], from(0), w.K*size, k&^7)
	if k%8 != 0 { // the last eight, some of them once more
		pack(&dst[(k-8)*PanelWidth], from(k-8), w.K*size, 8)
	}
	return k
}

// widenPanel writes 16 columns of k rows of w, from row i and column j on, to dst; false where
// there is no assembly for it.
func widenPanel(dst []float32, w *Stored, i, j, k int) bool {
	if !fast {
		return false
	}
	pack := widenPanelF32
	switch w.Format {
	case F16:
		pack = widenPanelF16
	case BF16:
		pack = widenPanelBF16
	}
	size := w.Format.Bytes()
	_, _ = dst[k*PanelWidth-1], w.Data[((i+k-1)*w.K+j+PanelWidth)*size-1] // assembly checks no bounds
	pack(&dst[0], &w.Data[(i*w.K+j)*size], w.K*size, k)
	return true
}

func dot(x, y []float32) float32 {
	if !fast {
		return dotRef(x, y)
	}
	return dotAVX(&x[0], &y[0], len(x))
}

func add(x, y []float32) {
	if !fast {
		addRef(x, y)
		return
	}
	addAVX(&x[0], &y[0], len(x))
}

func axpy(y, x []float32, a float32) {
	if !fast {
		axpyRef(y, a, x)
		return
	}
	axpyAVX(&y[0], &x[0], len(y), a)
}

func scale(x []float32, s float32) {
	if !fast {
		scaleRef(x, s)
		return
	}
	scaleAVX(&x[0], len(x), s)
}

func maximum(x []float32) float32 {
	if !fast {
		return maxRef(x)
	}
	return maximumAVX(&x[0], len(x))
}

func expSum(x []float32, s, m float32) float32 {
	if !fast {
		return expSumRef(x, s, m)
	}
	return expSumAVX(&x[0], len(x), s, m)
}

func expSum64(x []float32, m float32) float64 {
	if !fast {
		return expSum64Ref(x, m)
	}
	return expSum64AVX(&x[0], len(x), m)
}

func sumSquares(x []float32) float64 {
	if !fast {
		return sumSquaresRef(x)
	}
	return sumSquaresAVX(&x[0], len(x))
}

func softmaxGrad(dp, p []float32, d, s float32) {
	if !fast {
		softmaxGradRef(dp, p, d, s)
		return
	}
	softmaxGradAVX(&dp[0], &p[0], len(dp), d, s)
}

func normScale(y, x, w []float32, r float32) {
	if !fast {
		normScaleRef(y, x, w, r)
		return
	}
	normScaleAVX(&y[0], &x[0], &w[0], len(y), r)
}

func normGradWeight(dw, dy, x, w []float32, r float32) float32 {
	if !fast {
		return normGradWeightRef(dw, dy, x, w, r)
	}
	return normGradWeightAVX(&dw[0], &dy[0], &x[0], &w[0], len(dw), r)
}

func normGradInput(dx, dy, x, w []float32, r, c float32) {
	if !fast {
		normGradInputRef(dx, dy, x, w, r, c)
		return
	}
	normGradInputAVX(&dx[0], &dy[0], &x[0], &w[0], len(dx), r, c)
}

func swiGLU(h, gate, up []float32) {
	if !fast {
		swiGLURef(h, gate, up)
		return
	}
	swiGLUAVX(&h[0], &gate[0], &up[0], len(h))
}

func swiGLUGrad(dh, gate, up []float32) {
	if !fast {
		swiGLUGradRef(dh, gate, up)
		return
	}
	swiGLUGradAVX(&dh[0], &gate[0], &up[0], len(dh))
}

func rotate(x, cos, sin []float32, n, heads, headDim int, sign float32) {
	if !fast {
		rotateHeads(x, cos, sin, n, heads, headDim, sign)
		return
	}
	rotateAVX(&x[0], &cos[0], &sin[0], n, heads, headDim/2, sign)
}

func adamWStep(p, g, m, v []float32, k *adamW) {
	if !fast {
		adamWRef(p, g, m, v, *k)
		return
	}
	adamWAVX(&p[0], &g[0], &m[0], &v[0], len(p), &k.scale)
}
