//go:build !amd64

package kernel

// Level names the kernels in use: "avx512", "avx2" or "portable".
func Level() string { return "portable" }

// Fast reports whether the assembly kernels are in use.
func Fast() bool { return false }

const (
	tallest      = 6 // rows of the tallest micro-kernel
	tallestOfAll = 6
)

func panelsFor(int) int { return 1 }

func multiply(rows, panels, tiles, k int, a []float32, lda, ks, next int, b []float32, stride int, c []float32, ldc int, add bool) {
	multiplyRef(rows, panels, tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
}

func copyTile(dst, src []float32, ld, k int)             { copyColumnsRef(dst, src, tallest, ld, k) }
func copyColumns(dst, src []float32, ld, k int)          { copyColumnsRef(dst, src, PanelWidth, ld, k) }
func transposeColumns(dst, src []float32, ld, k int) int { return transposeColumnsRef(dst, src, ld, k) }
func dot(x, y []float32) float32                         { return dotRef(x, y) }
func add(x, y []float32)                                 { addRef(x, y) }
func axpy(y, x []float32, a float32)                     { axpyRef(y, a, x) }
func scale(x []float32, s float32)                       { scaleRef(x, s) }
func maximum(x []float32) float32                        { return maxRef(x) }
func expSum(x []float32, s, m float32) float32           { return expSumRef(x, s, m) }
func expSum64(x []float32, m float32) float64            { return expSum64Ref(x, m) }
func softmaxGrad(dp, p []float32, d, s float32)          { softmaxGradRef(dp, p, d, s) }
func normScale(y, x, w []float32, r float32)             { normScaleRef(y, x, w, r) }
func normGradWeight(dw, dy, x, w []float32, r float32) float32 {
	return normGradWeightRef(dw, dy, x, w, r)
}
func normGradInput(dx, dy, x, w []float32, r, c float32) { normGradInputRef(dx, dy, x, w, r, c) }
func swiGLU(h, gate, up []float32)                       { swiGLURef(h, gate, up) }
func swiGLUGrad(dh, gate, up []float32)                  { swiGLUGradRef(dh, gate, up) }
func rotate(x, cos, sin []float32, n, heads, headDim int, sign float32) {
	rotateHeads(x, cos, sin, n, heads, headDim, sign)
}
func adamWStep(p, g, m, v []float32, k *adamW) { adamWRef(p, g, m, v, *k) }
func sumSquares(x []float32) float64           { return sumSquaresRef(x) }

func multiplyStored(_ []float32, _ int, _ []float32, _ int, _ *Stored, _ int, _ bool, p0, _ int) int {
	return p0
}

func transposeStored([]float32, *Stored, int, int, int) int { return 0 }

func widenPanel([]float32, *Stored, int, int, int) bool { return false }

func widenInt8(dst []float32, b []int8, scales []float32) { widenInt8Ref(dst, b, scales) }

func multiplyInt8(_, _ []float32, _ *Int8, _ bool, p0, _ int) int { return p0 }
