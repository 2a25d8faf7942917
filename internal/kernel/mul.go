package kernel

// blockK cuts a sum over K into blocks that keep a panel's part in the first cache. It is
// a function of K alone, so that the order of summation is too.
func blockK(k int) int {
	const most = 384
	blocks := (k + most - 1) / most
	return (k + blocks - 1) / max(blocks, 1)
}

// blockM is the number of rows done with one panel before the next: their part of A stays
// in the second cache.
const blockM = 192

// Mul computes C = A B, or C += A B when accumulate, for the columns of panels [p0, p1).
// A is (m, b.K), C is (m, b.N). It runs on the calling goroutine.
func Mul(c []float32, ldc int, a []float32, lda int, b *Packed, m int, accumulate bool, p0, p1 int) {
	mul(c, ldc, a, lda, 1, 0, b, m, accumulate, p0, p1)
}

// mul is Mul for an A whose element (i, k) is at a[i*lda+k*ks] when tile is 0, and
// otherwise packed in tiles of tileRows rows, k-major, tile elements apart.
func mul(c []float32, ldc int, a []float32, lda, ks, tile int, b *Packed, m int, accumulate bool, p0, p1 int) {
	if m == 0 || p0 >= p1 {
		return
	}
	if b.K == 0 {
		if !accumulate {
			for i := range m {
				clear(c[i*ldc+p0*PanelWidth:][:min(p1*PanelWidth, b.N)-p0*PanelWidth])
			}
		}
		return
	}
	if m == 1 && tile == 0 {
		mulRow(c, a, ks, b, accumulate, p0, p1)
		return
	}
	step := blockK(b.K)
	var edge [tileRows * PanelWidth]float32
	for k0 := 0; k0 < b.K; k0 += step {
		k := min(step, b.K-k0)
		add := accumulate || k0 > 0
		for i0 := 0; i0 < m; i0 += blockM {
			i1 := min(i0+blockM, m)
			for p := p0; p < p1; p++ {
				panel := b.Data[p*b.K*PanelWidth+k0*PanelWidth:][:k*PanelWidth]
				j, width := p*PanelWidth, min(PanelWidth, b.N-p*PanelWidth)
				for i := i0; i < i1; i += tileRows {
					rows := min(tileRows, i1-i)
					at := i*lda + k0*ks
					if tile != 0 {
						at = i/tileRows*tile + k0*ks
					}
					if width == PanelWidth {
						multiply(rows, k, a[at:], lda, ks, panel, c[i*ldc+j:], ldc, add)
						continue
					}
					multiply(rows, k, a[at:], lda, ks, panel, edge[:], PanelWidth, false)
					for r := range rows {
						row := c[(i+r)*ldc+j:][:width]
						for x := range row {
							if add {
								row[x] += edge[r*PanelWidth+x]
							} else {
								row[x] = edge[r*PanelWidth+x]
							}
						}
					}
				}
			}
		}
	}
}

// mulRow is mul for one row, several panels at a time: with a single row, a panel alone
// would leave the multipliers waiting for each other.
func mulRow(c, a []float32, ks int, b *Packed, accumulate bool, p0, p1 int) {
	step := blockK(b.K)
	var edge [PanelWidth]float32
	for k0 := 0; k0 < b.K; k0 += step {
		k := min(step, b.K-k0)
		add := accumulate || k0 > 0
		p := p0
		for ; p+4 <= p1 && (p+4)*PanelWidth <= b.N; p += 4 {
			multiplyRow(k, a[k0*ks:], ks, b.Data[p*b.K*PanelWidth+k0*PanelWidth:], b.K*PanelWidth, c[p*PanelWidth:], add)
		}
		for ; p < p1; p++ {
			panel := b.Data[p*b.K*PanelWidth+k0*PanelWidth:][:k*PanelWidth]
			if (p+1)*PanelWidth <= b.N {
				multiply(1, k, a[k0*ks:], 0, ks, panel, c[p*PanelWidth:], 0, add)
				continue
			}
			multiply(1, k, a[k0*ks:], 0, ks, panel, edge[:], PanelWidth, false)
			row := c[p*PanelWidth : b.N]
			for x := range row {
				if add {
					row[x] += edge[x]
				} else {
					row[x] = edge[x]
				}
			}
		}
	}
}

// Mul computes C = A B (C += A B when accumulate) with the work divided among the workers:
// by rows when there are many, else by panels. The bits are those of the function Mul.
func (p *Pool) Mul(c []float32, ldc int, a []float32, lda int, b *Packed, m int, accumulate bool) {
	panels := b.Panels()
	if p.workers == 1 || m*b.K*b.N < 1<<15 {
		Mul(c, ldc, a, lda, b, m, accumulate, 0, panels)
		return
	}
	if m >= 2*tileRows*p.workers {
		p.For(m, tileRows, func(_, lo, hi int) {
			Mul(c[lo*ldc:], ldc, a[lo*lda:], lda, b, hi-lo, accumulate, 0, panels)
		})
		return
	}
	p.For(panels, 4, func(_, lo, hi int) { Mul(c, ldc, a, lda, b, m, accumulate, lo, hi) })
}

// MulTN computes C = Aᵀ B (C += when accumulate) for A (k, m) and B (k, n): the gradient
// of a weight from k rows. The rows of C are divided among the workers, so that the bits
// do not depend on their number.
func (p *Pool) MulTN(c []float32, ldc int, a []float32, lda int, b []float32, ldb, m, n, k int, accumulate bool) {
	p.Pack(&p.pack, b, k, n, ldb)
	p.For(m, tileRows, func(w, lo, hi int) {
		s := &p.tiles[w]
		tiles := (hi - lo + tileRows - 1) / tileRows
		if size := tiles * tileRows * k; cap(s.a) < size {
			s.a = make([]float32, size)
		}
		packTiles(s.a[:tiles*tileRows*k], a[lo:], lda, hi-lo, k)
		mul(c[lo*ldc:], ldc, s.a[:tiles*tileRows*k], 1, tileRows, tileRows*k, &p.pack, hi-lo, accumulate, 0, p.pack.Panels())
	})
}

// packTiles packs Aᵀ of A (k, m) into tiles of tileRows rows, k-major, zero padded.
func packTiles(dst, a []float32, lda, m, k int) {
	for i := 0; i < m; i += tileRows {
		tile := dst[i*k:][:tileRows*k]
		if m-i >= tileRows {
			for x := range k {
				*(*[tileRows]float32)(tile[x*tileRows:]) = *(*[tileRows]float32)(a[x*lda+i:])
			}
			continue
		}
		for x := range k {
			row := tile[x*tileRows:][:tileRows]
			clear(row[copy(row, a[x*lda+i:][:m-i]):])
		}
	}
}
