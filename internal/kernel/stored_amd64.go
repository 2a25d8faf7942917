package kernel

// storedKernel multiplies rows of A by rows of W, lds bytes apart, and asks for those at ahead.
type storedKernel func(k int, a *float32, lda int, w *byte, lds int, ahead *byte, c *float32, ldc, add int)

// storedKernels are those for 1 to 4 rows of A, in each format.
var storedKernels = [...][4]storedKernel{
	F32:  {multiplyStored1x32F32, multiplyStored2x16F32, multiplyStored3x8F32, multiplyStored4x8F32},
	F16:  {multiplyStored1x32F16, multiplyStored2x16F16, multiplyStored3x8F16, multiplyStored4x8F16},
	BF16: {multiplyStored1x32BF16, multiplyStored2x16BF16, multiplyStored3x8BF16, multiplyStored4x8BF16},
}

// multiplyStored is MulStored for few rows: it multiplies with W where it lies, so that a weight
// is read once and nothing is written but C. It does whole groups of rows of W and returns the
// first panel that it has not done.
func multiplyStored(c []float32, ldc int, a []float32, lda int, w *Stored, m int, accumulate bool, p0, p1 int) int {
	const shortest = 16 // values of K that a kernel takes at least
	step := blockK(w.K)
	if !fast || m > len(storedKernels[F32]) || w.K < shortest || (w.K-1)%step+1 < shortest {
		return p0
	}
	kernel, wide := storedKernels[w.Format][m-1], []int{32, 16, 8, 8}[m-1] // rows of W
	size := w.Format.Bytes()
	j, end := p0*PanelWidth, p1*PanelWidth
	end = j + (min(end, w.N)-j)/PanelWidth*PanelWidth
	if wide > PanelWidth {
		end = j + (end-j)/wide*wide
	}
	if j >= end {
		return p0
	}
	_, _ = a[(m-1)*lda+w.K-1], c[(m-1)*ldc+end-1] // assembly checks no bounds
	for ; j < end; j += wide {
		for k0 := 0; k0 < w.K; k0 += step {
			k := min(step, w.K-k0)
			next := (j*w.K + k0 + step) * size
			if k0+step >= w.K {
				next = (j + wide) * w.K * size
			}
			if next >= len(w.Data) {
				next = 0
			}
			kernel(k, &a[k0], lda*4, &w.Data[(j*w.K+k0)*size], w.K*size, &w.Data[next], &c[j], ldc*4, flag(accumulate || k0 > 0))
		}
	}
	return j / PanelWidth
}
