// Command avogen writes the AVX2 and FMA kernels of package kernel. Run it by
// "go generate" in the parent directory.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	for rows := 1; rows <= 6; rows++ {
		multiply(rows)
	}
	multiplyRow()
	copyColumns()
	transpose8()
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
