package kernel

// tallestOfAll is the number of rows of the tallest micro-kernel of any level.
const tallestOfAll = 8

// tallest is the number of rows of the tallest micro-kernel in use. Eight rows by two
// panels of AVX-512 reach the peak; more rows would fall into the same cache set for
// strides that are a multiple of 4 KiB.
var tallest = tallestFor(wide)

func tallestFor(wide bool) int {
	if wide {
		return 8
	}
	return 6
}

// panelsFor is the number of panels to multiply together when there are only so many rows.
func panelsFor(rows int) int {
	switch {
	case rows == 1:
		return 4
	case rows <= 3 || wide:
		return 2
	}
	return 1
}

// multiply sets tiles of C, rows × panels*16 each and one below the other, to a product or adds
// it. Element (i, k) of the first tile's A is a[i*lda+k*ks], those of the next tile's lie next
// elements behind; the panels of B lie stride elements apart. panels is 1 or panelsFor(rows).
func multiply(rows, panels, tiles, k int, a []float32, lda, ks, next int, b []float32, stride int, c []float32, ldc int, add bool) {
	switch {
	case wide:
		multiplyAVX512(rows, panels, tiles, k, &a[0], lda*4, ks*4, next*4, &b[0], stride*4, &c[0], ldc*4, flag(add))
	case fast:
		multiplyAVX2(rows, panels, tiles, k, &a[0], lda*4, ks*4, next*4, &b[0], stride*4, &c[0], ldc*4, flag(add))
	default:
		multiplyRef(rows, panels, tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	}
}

func multiplyAVX2(rows, panels, tiles, k int, a *float32, lda, ks, next int, b *float32, stride int, c *float32, ldc, add int) {
	switch {
	case rows == 1 && panels > 1:
		multiply1x64AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 2 && panels > 1:
		multiply2x32AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 3 && panels > 1:
		multiply3x32AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 1:
		multiply1x16AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 2:
		multiply2x16AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 3:
		multiply3x16AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 4:
		multiply4x16AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 5:
		multiply5x16AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 6:
		multiply6x16AVX2(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	}
}

func multiplyAVX512(rows, panels, tiles, k int, a *float32, lda, ks, next int, b *float32, stride int, c *float32, ldc, add int) {
	switch {
	case rows == 1 && panels > 1:
		multiply1x64AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 2 && panels > 1:
		multiply2x32AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 3 && panels > 1:
		multiply3x32AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 4 && panels > 1:
		multiply4x32AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 5 && panels > 1:
		multiply5x32AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 6 && panels > 1:
		multiply6x32AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 7 && panels > 1:
		multiply7x32AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 8 && panels > 1:
		multiply8x32AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 1:
		multiply1x16AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 2:
		multiply2x16AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 3:
		multiply3x16AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 4:
		multiply4x16AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 5:
		multiply5x16AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 6:
		multiply6x16AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 7:
		multiply7x16AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	case rows == 8:
		multiply8x16AVX512(tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
	}
}
