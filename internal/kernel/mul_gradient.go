package kernel

// packed is what MulTN packs its operands into, for all workers: a block of Aᵀ in tiles of
// tallest rows, k-major, and a block of B in panels.
type packed struct {
	a []float32
	b Packed
}

// A block of C: its part of Aᵀ (blockM rows) and of B stay in the second cache.
const blockN = 128

// packAtOnce bounds the rows of Aᵀ and the columns of B that MulTN packs at once, and with them
// its memory; a multiple of every tile's height and of the panels' width.
const packAtOnce = 48 * 48

// MulTN computes C = Aᵀ B (C += when accumulate) for A (k, m) and B (k, n): the gradient
// of a weight from k rows. Blocks of C are divided among the workers; each element is
// summed as in Mul, so that the bits do not depend on the number of workers. It panics
// when a slice is too short for its matrix.
func (p *Pool) MulTN(c []float32, ldc int, a []float32, lda int, b []float32, ldb, m, n, k int, accumulate bool) {
	if m <= 0 || n <= 0 {
		return
	}
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
	each := p.each
	if m*n*k < 1<<15 { // not worth waking anybody
		each = func(n, _, _ int, fn func(_, lo, hi int)) { fn(0, 0, n) }
	}
	step := blockK(k)
	for j0 := 0; j0 < n; j0 += packAtOnce {
		columns := min(packAtOnce, n-j0)
		for k0 := 0; k0 < k; k0 += step {
			depth := min(step, k-k0)
			for i0 := 0; i0 < m; i0 += packAtOnce {
				rows := min(packAtOnce, m-i0)
				p.packed.pack(each, a[k0*lda+i0:], lda, rows, b[k0*ldb+j0:], ldb, columns, depth, i0 == 0)
				p.packed.multiply(each, c[i0*ldc+j0:], ldc, rows, accumulate || k0 > 0)
			}
		}
	}
}

// pack packs Aᵀ of A (k, m), and B (k, n) unless it is there.
func (s *packed) pack(each func(n, grain, perWorker int, fn func(worker, lo, hi int)), a []float32, lda, m int, b []float32, ldb, n, k int, needB bool) {
	tiles, panels := (m+tallest-1)/tallest, 0
	if size := tiles * tallest * k; cap(s.a) < size {
		s.a = make([]float32, size)
	}
	if needB {
		s.b.resize(k, n)
		panels = s.b.Panels()
	}
	each(panels+tiles, 1, 4, func(_, lo, hi int) {
		if lo < panels {
			s.b.pack(b, ldb, lo, min(hi, panels))
		}
		for t := max(lo-panels, 0); t < hi-panels; t++ {
			i := t * tallest
			packTile(s.a[:cap(s.a)][i*k:][:tallest*k], a[i:], lda, min(tallest, m-i), k)
		}
	})
}

// packTile packs so many columns of A as a tile. What lies behind them is left as it is.
func packTile(tile, a []float32, lda, rows, k int) {
	if rows == tallest {
		copyTile(tile, a, lda, k)
		return
	}
	for x := range k {
		copy(tile[x*tallest:][:rows], a[x*lda:])
	}
}

// multiply adds to C, or sets it to, the product of what is packed, m rows of it.
func (s *packed) multiply(each func(n, grain, perWorker int, fn func(worker, lo, hi int)), c []float32, ldc, m int, add bool) {
	down := (m + blockM - 1) / blockM
	across := (s.b.N + blockN - 1) / blockN
	tiles := (m + tallest - 1) / tallest
	each(down*across, 1, down*across, func(_, lo, hi int) {
		for block := lo; block < hi; block++ {
			x, y := block/down, block%down
			i0, i1 := tiles*y/down*tallest, min(tiles*(y+1)/down*tallest, m)
			s.multiplyBlock(c, ldc, i0, i1, x*blockN/PanelWidth, min((x+1)*blockN/PanelWidth, s.b.Panels()), add)
		}
	})
}

// multiplyBlock is multiply for rows [i0, i1), which begin with a tile, and panels [p0, p1).
func (s *packed) multiplyBlock(c []float32, ldc, i0, i1, p0, p1 int, add bool) {
	stride := s.b.K * PanelWidth
	for p := p0; p < p1; {
		together := panelsFor(tallest)
		if p+together > p1 || (p+together)*PanelWidth > s.b.N {
			together = 1
		}
		for i := i0; i < i1; {
			rows, tiles := tallest, (i1-i)/tallest
			if tiles == 0 {
				rows, tiles = i1-i, 1
			}
			panels := together
			if panelsFor(rows) != together {
				panels = 1
			}
			for q := p; q < p+together; q += panels {
				j, width := q*PanelWidth, min(panels*PanelWidth, s.b.N-q*PanelWidth)
				strip(rows, panels, tiles, s.b.K, s.a[i*s.b.K:cap(s.a)], 1, tallest, tallest*s.b.K, s.b.Data[q*stride:], stride, c[i*ldc+j:], ldc, width, add)
			}
			i += rows * tiles
		}
		p += together
	}
}
