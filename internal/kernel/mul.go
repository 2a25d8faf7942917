package kernel

// blockK cuts a sum over K into blocks that keep a panel's part in the first cache. It is
// a function of K alone, so that the order of summation is too.
func blockK(k int) int {
	const most = 384
	blocks := (k + most - 1) / most
	return (k + blocks - 1) / max(blocks, 1)
}

// blockM is about the number of rows done with one panel before the next: their part of A
// stays in the second cache.
const blockM = 192

// Mul computes C = A B, or C += A B when accumulate, for the columns of panels [p0, p1).
// A is (m, b.K), C is (m, b.N). It runs on the calling goroutine and panics when a slice
// is too short for its matrix.
func Mul(c []float32, ldc int, a []float32, lda int, b *Packed, m int, accumulate bool, p0, p1 int) {
	if m <= 0 || p0 >= p1 {
		return
	}
	n := min(p1*PanelWidth, b.N)
	_ = c[(m-1)*ldc+n-1] // assembly checks no bounds
	if b.K == 0 {
		if !accumulate {
			for i := range m {
				clear(c[i*ldc+p0*PanelWidth : i*ldc+n])
			}
		}
		return
	}
	_, _ = a[(m-1)*lda+b.K-1], b.Data[p1*b.K*PanelWidth-1]

	// Rows are shared out evenly, so that no tile is more than one row shorter than another.
	tiles := (m + tallest - 1) / tallest
	together := panelsFor(tallest) // or of fewer rows: more than half as many
	if tiles == 1 {
		together = panelsFor(m)
	}
	step := blockK(b.K)
	for k0 := 0; k0 < b.K; k0 += step {
		k := min(step, b.K-k0)
		add := accumulate || k0 > 0
		for t0 := 0; t0 < tiles; t0 += blockM / tallest {
			t1 := min(t0+blockM/tallest, tiles)
			for p := p0; p < p1; {
				panels := together
				if p+panels > p1 || (p+panels)*PanelWidth > b.N {
					panels = 1
				}
				j, width := p*PanelWidth, min(panels*PanelWidth, b.N-p*PanelWidth)
				panel := b.Data[(p*b.K+k0)*PanelWidth:]
				tall, rows := m%tiles, m/tiles // so many tiles have a row more, the first ones
				for t := t0; t < t1; {
					i, count, height := t*(rows+1), min(t1, tall)-t, rows+1
					if t >= tall {
						i, count, height = t*rows+tall, t1-t, rows
					}
					strip(height, panels, count, k, a[i*lda+k0:], lda, 1, height*lda, panel, b.K*PanelWidth, c[i*ldc+j:], ldc, width, add)
					t += count
				}
				p += panels
			}
		}
	}
}

// strip is multiply for tiles of C that may be narrower than their panel.
func strip(rows, panels, tiles, k int, a []float32, lda, ks, next int, b []float32, stride int, c []float32, ldc, width int, add bool) {
	if width == panels*PanelWidth {
		multiply(rows, panels, tiles, k, a, lda, ks, next, b, stride, c, ldc, add)
		return
	}
	var whole [tallestOfAll * PanelWidth]float32
	for t := range tiles {
		multiply(rows, 1, 1, k, a[t*next:], lda, ks, next, b, stride, whole[:], PanelWidth, false)
		for r := range rows {
			row, sums := c[(t*rows+r)*ldc:][:width], whole[r*PanelWidth:][:width]
			for x, v := range sums {
				if add {
					v += row[x]
				}
				row[x] = v
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
	if m >= 4*tallest*p.workers {
		p.each(m, tallest, 4, func(_, lo, hi int) {
			Mul(c[lo*ldc:], ldc, a[lo*lda:], lda, b, hi-lo, accumulate, 0, panels)
		})
		return
	}
	p.each(panels, 4, 4, func(_, lo, hi int) { Mul(c, ldc, a, lda, b, m, accumulate, lo, hi) })
}
