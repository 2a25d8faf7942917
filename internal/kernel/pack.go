package kernel

// PanelWidth is the number of columns of a panel: two AVX2 registers.
const PanelWidth = 16

// Packed is a right-hand matrix B (K, N) in panels of PanelWidth columns: panel p holds
// columns 16p … 16p+15, row after row, zero padded. Data is [panel][K][PanelWidth].
type Packed struct {
	K, N int
	Data []float32
}

// Panels is the number of panels.
func (b *Packed) Panels() int { return (b.N + PanelWidth - 1) / PanelWidth }

func (b *Packed) resize(k, n int) {
	b.K, b.N = k, n
	size := b.Panels() * k * PanelWidth
	if cap(b.Data) < size {
		b.Data = make([]float32, size)
	}
	b.Data = b.Data[:size]
}

// Pack makes b the matrix src (k, n) with row stride ld, re-using b's memory.
func (b *Packed) Pack(src []float32, k, n, ld int) {
	b.resize(k, n)
	b.pack(src, ld, 0, b.Panels())
}

// PackTransposed makes b the transpose of w (n, k) with row stride ld: the right-hand side
// of y = x wᵀ for a weight stored as [out, in].
func (b *Packed) PackTransposed(w []float32, n, k, ld int) {
	b.resize(k, n)
	b.packTransposed(w, ld, 0, b.Panels())
}

// Pack is b.Pack with the panels divided among the workers.
func (p *Pool) Pack(b *Packed, src []float32, k, n, ld int) {
	b.resize(k, n)
	p.For(b.Panels(), 1, func(_, lo, hi int) { b.pack(src, ld, lo, hi) })
}

// PackTransposed is b.PackTransposed with the panels divided among the workers.
func (p *Pool) PackTransposed(b *Packed, w []float32, n, k, ld int) {
	b.resize(k, n)
	p.For(b.Panels(), 1, func(_, lo, hi int) { b.packTransposed(w, ld, lo, hi) })
}

func (b *Packed) pack(src []float32, ld, p0, p1 int) {
	if b.K == 0 {
		return
	}
	if p0 < p1 {
		_ = src[(b.K-1)*ld+min(p1*PanelWidth, b.N)-1] // assembly checks no bounds
	}
	for p := p0; p < p1; p++ {
		j, width := p*PanelWidth, min(PanelWidth, b.N-p*PanelWidth)
		dst := b.Data[p*b.K*PanelWidth:][:b.K*PanelWidth]
		if width == PanelWidth {
			copyColumns(dst, src[j:], ld, b.K)
			continue
		}
		for k := range b.K {
			row := dst[k*PanelWidth:][:PanelWidth]
			clear(row[copy(row, src[k*ld+j:][:width]):])
		}
	}
}

func (b *Packed) packTransposed(w []float32, ld, p0, p1 int) {
	if b.K == 0 {
		return
	}
	if p0 < p1 {
		_ = w[(min(p1*PanelWidth, b.N)-1)*ld+b.K-1] // assembly checks no bounds
	}
	for p := p0; p < p1; p++ {
		j, width := p*PanelWidth, min(PanelWidth, b.N-p*PanelWidth)
		dst := b.Data[p*b.K*PanelWidth:][:b.K*PanelWidth]
		k := 0
		if width == PanelWidth {
			k = transposeColumns(dst, w[j*ld:], ld, b.K)
		}
		for ; k < b.K; k++ {
			row := dst[k*PanelWidth:][:PanelWidth]
			for i := range width {
				row[i] = w[(j+i)*ld+k]
			}
			clear(row[width:])
		}
	}
}
