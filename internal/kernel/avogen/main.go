// Command avogen writes the AVX2 and AVX-512 kernels of package kernel. Run it by
// "go generate" in the parent directory.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	for rows := 1; rows <= 6; rows++ {
		avx2.multiply(rows, 1)
	}
	for rows := 1; rows <= 8; rows++ {
		avx512.multiply(rows, 1)
	}
	for rows := 4; rows <= 8; rows++ {
		avx512.multiply(rows, 2)
	}
	for _, u := range []unit{avx2, avx512} {
		u.multiply(1, 4)
		u.multiply(2, 2)
		u.multiply(3, 2)
	}
	for _, n := range []int{16, 8, 6} {
		copyColumns(n)
	}
	transpose8()
	transposePanel("transposePanelF32", 4, loadF32)
	transposePanel("transposePanelF16", 2, loadF16)
	transposePanel("transposePanelBF16", 2, loadBF16)
	widenPanel("widenPanelF32", 4, loadF32)
	widenPanel("widenPanelF16", 2, loadF16)
	widenPanel("widenPanelBF16", 2, loadBF16)
	multiplyInt8(1)
	multiplyInt8(2)
	widenInt8Panel()
	for _, w := range words {
		multiplyStored(1, 4, w)
		multiplyStored(2, 2, w)
		multiplyStored(3, 1, w)
		multiplyStored(4, 1, w)
	}
	dot()
	add()
	axpy()
	scale()
	maximum()
	expSum()
	expSum64()
	sumSquares()
	softmaxGrad()
	normScale()
	normGradWeight()
	normGradInput()
	swiGLU()
	swiGLUGrad()
	rotate()
	adamW()
	Generate()
}
