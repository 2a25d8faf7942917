package kernel

// multiplyRef is the specification of the micro-kernel: a tile of C, rows × PanelWidth,
// from rows of A and a panel of B. Element (i, k) of A is a[i*lda+k*ks].
func multiplyRef(rows, k int, a []float32, lda, ks int, panel, c []float32, ldc int, add bool) {
	for i := range rows {
		var sum [PanelWidth]float32
		for x := range k {
			v := a[i*lda+x*ks]
			for j, w := range panel[x*PanelWidth:][:PanelWidth] {
				sum[j] += v * w
			}
		}
		row := c[i*ldc:][:PanelWidth]
		for j := range row {
			if add {
				row[j] += sum[j]
			} else {
				row[j] = sum[j]
			}
		}
	}
}

// multiplyRowRef is one row against four panels that lie stride elements apart.
func multiplyRowRef(k int, a []float32, ks int, panels []float32, stride int, c []float32, add bool) {
	for p := range 4 {
		multiplyRef(1, k, a, 0, ks, panels[p*stride:][:k*PanelWidth], c[p*PanelWidth:], 0, add)
	}
}

// copyColumnsRef copies the first PanelWidth columns of k rows of src, ld apart, to dst.
func copyColumnsRef(dst, src []float32, ld, k int) {
	for x := range k {
		copy(dst[x*PanelWidth:][:PanelWidth], src[x*ld:][:PanelWidth])
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
