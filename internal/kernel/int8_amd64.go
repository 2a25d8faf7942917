package kernel

func widenInt8(dst []float32, b []int8, scales []float32) {
	if !fast {
		widenInt8Ref(dst, b, scales)
		return
	}
	_, _ = b[len(dst)-1], scales[PanelWidth-1] // assembly checks no bounds
	widenInt8Panel(&dst[0], &b[0], &scales[0], len(dst)/PanelWidth)
}

// multiplyInt8 is MulInt8 for one row and whole panels: the bytes are widened in registers. It
// returns the first panel that it has not done.
func multiplyInt8(c, a []float32, w *Int8, accumulate bool, p0, p1 int) int {
	if !fast || w.K == 0 {
		return p0
	}
	p1 = min(p1, w.N/PanelWidth)
	if p0 >= p1 {
		return p0
	}
	step, blocks := blockK(w.K), w.blocks()
	_, _, _, _ = a[w.K-1], c[p1*PanelWidth-1], w.Data[p1*w.K*PanelWidth-1], w.Scales[p1*blocks*PanelWidth-1]
	for p := p0; p < p1; {
		panels, kernel := 1, multiplyInt8x16
		if p+2 <= p1 {
			panels, kernel = 2, multiplyInt8x32
		}
		for b := range blocks {
			k0 := b * step
			kernel(min(step, w.K-k0), &a[k0], &w.Data[(p*w.K+k0)*PanelWidth], w.K*PanelWidth,
				&w.Scales[(p*blocks+b)*PanelWidth], blocks*PanelWidth*4, &c[p*PanelWidth], flag(accumulate || b > 0))
		}
		p += panels
	}
	return p1
}
