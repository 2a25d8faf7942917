package kernel

// scratch is what one worker packs the operands of MulTN into: a block of Aᵀ and a block
// of B, both small enough for the second cache.
type scratch struct {
	a []float32
	b Packed
}

// blockN is the number of columns of B that MulTN packs at once.
const blockN = 512

// MulTN computes C = Aᵀ B (C += when accumulate) for A (k, m) and B (k, n): the gradient
// of a weight from k rows. Blocks of C are divided among the workers; each element is
// summed as in Mul, so that the bits do not depend on the number of workers. It panics
// when a slice is too short for its matrix.
func (p *Pool) MulTN(c []float32, ldc int, a []float32, lda int, b []float32, ldb, m, n, k int, accumulate bool) {
	if m <= 0 || n <= 0 {
		return
	}
	if p.workers == 1 || m*n*k < 1<<15 {
		p.scratch[0].mulTN(c, ldc, a, lda, b, ldb, m, n, k, accumulate)
		return
	}
	// Every block packs its own operands: the longer side is divided, so that the shorter
	// is the one packed more than once.
	if n >= m {
		p.each(n, 2*PanelWidth, 2, func(w, lo, hi int) {
			p.scratch[w].mulTN(c[lo:], ldc, a, lda, b[min(lo, len(b)):], ldb, m, hi-lo, k, accumulate)
		})
		return
	}
	p.each(m, 2*tallest, 2, func(w, lo, hi int) {
		p.scratch[w].mulTN(c[lo*ldc:], ldc, a[min(lo, len(a)):], lda, b, ldb, hi-lo, n, k, accumulate)
	})
}

// mulTN is MulTN on the calling goroutine.
func (s *scratch) mulTN(c []float32, ldc int, a []float32, lda int, b []float32, ldb, m, n, k int, accumulate bool) {
	_ = c[(m-1)*ldc+n-1] // assembly checks no bounds
	if k == 0 {
		if !accumulate {
			for i := range m {
				clear(c[i*ldc:][:n])
			}
		}
		return
	}
	_, _ = a[(k-1)*lda+m-1], b[(k-1)*ldb+n-1]
	step := blockK(k)
	rows := blockM / tallest * tallest
	if size := rows * step; cap(s.a) < size {
		s.a = make([]float32, size)
	}
	for j0 := 0; j0 < n; j0 += blockN {
		columns := min(blockN, n-j0)
		for k0 := 0; k0 < k; k0 += step {
			depth := min(step, k-k0)
			s.b.Pack(b[k0*ldb+j0:], depth, columns, ldb)
			for i0 := 0; i0 < m; i0 += rows {
				height := min(rows, m-i0)
				packTiles(s.a[:cap(s.a)], a[k0*lda+i0:], lda, height, depth)
				s.multiply(c[i0*ldc+j0:], ldc, height, accumulate || k0 > 0)
			}
		}
	}
}

// multiply adds to C, or sets it to, the product of the packed blocks.
func (s *scratch) multiply(c []float32, ldc, m int, add bool) {
	stride := s.b.K * PanelWidth
	for p := 0; p < s.b.Panels(); {
		together := panelsFor(tallest)
		if (p+together)*PanelWidth > s.b.N {
			together = 1
		}
		for i := 0; i < m; i += tallest {
			rows := min(tallest, m-i)
			panels := together
			if panelsFor(rows) != together {
				panels = 1
			}
			for q := p; q < p+together; q += panels {
				j, width := q*PanelWidth, min(panels*PanelWidth, s.b.N-q*PanelWidth)
				tile(rows, panels, s.b.K, s.a[i*s.b.K:cap(s.a)], 1, tallest, s.b.Data[q*stride:], stride, c[i*ldc+j:], ldc, width, add)
			}
		}
		p += together
	}
}

// packTiles packs Aᵀ of A (k, m) into tiles of tallest rows, k-major. What lies behind the
// last row of the last tile is left as it is.
func packTiles(dst, a []float32, lda, m, k int) {
	for i := 0; i < m; i += tallest {
		tile, rows := dst[i*k:][:tallest*k], min(tallest, m-i)
		if rows == tallest {
			copyTile(tile, a[i:], lda, k)
			continue
		}
		for x := range k {
			copy(tile[x*tallest:][:rows], a[x*lda+i:])
		}
	}
}
