package kernel

// multiplyRef is the specification of the micro-kernels: tiles of C, rows × panels*16 each and
// one below the other, from rows of A and panels of B that lie stride elements apart. Element
// (i, k) of the first tile's A is a[i*lda+k*ks], those of the next tile's lie next behind.
func multiplyRef(rows, panels, tiles, k int, a []float32, lda, ks, next int, b []float32, stride int, c []float32, ldc int, add bool) {
	for i := range tiles * rows {
		from := i/rows*next + i%rows*lda
		for p := range panels {
			var sum [PanelWidth]float32
			for x := range k {
				v := a[from+x*ks]
				for j, w := range (*[PanelWidth]float32)(b[p*stride+x*PanelWidth:]) {
					sum[j] += v * w
				}
			}
			row := c[i*ldc+p*PanelWidth:][:PanelWidth]
			for j := range row {
				if add {
					row[j] += sum[j]
				} else {
					row[j] = sum[j]
				}
			}
		}
	}
}

// copyColumnsRef copies the first n columns of k rows of src, ld apart, to dst.
func copyColumnsRef(dst, src []float32, n, ld, k int) {
	for x := range k {
		copy(dst[x*n:][:n], src[x*ld:])
	}
}

// transposeColumnsRef writes the transpose of PanelWidth rows of src, ld apart, for the
// first k columns; it returns how many columns it did.
func transposeColumnsRef(dst, src []float32, ld, k int) int {
	for x := range k {
		for j := range PanelWidth {
			dst[x*PanelWidth+j] = src[j*ld+x]
		}
	}
	return k
}
