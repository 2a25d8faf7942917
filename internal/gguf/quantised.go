package gguf

// Blocks of quantised weights (ggml-common.h). Products are rounded to float32 before they
// are added, on every architecture: Go may fuse the two otherwise.

// decodeQ8_0: a scale, and 32 signed bytes.
func decodeQ8_0(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:34] {
		dst[i] = d * float32(int8(q))
	}
}

// decodeQ4_0: a scale, and 32 numbers of four bits less 8, the second half in the upper bits.
func decodeQ4_0(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:18] {
		dst[i] = d * float32(int(q&15)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

// decodeQ4_K: a scale of scales, a scale of minima, 8 of each in six bits, and 256 numbers of
// four bits; two sub-blocks of 32 share bytes.
func decodeQ4_K(dst []float32, b []byte) {
	d, dmin, packed, qs := half(b), half(b[2:]), b[4:16], b[16:144]
	for j := range 8 {
		s, m := scaleAndMin(packed, j)
		scale, least := d*float32(s), dmin*float32(m)
		for i, q := range qs[j/2*32:][:32] {
			dst[32*j+i] = float32(scale*float32(q>>(j%2*4)&15)) - least
		}
	}
}

// scaleAndMin unpacks the six bits of sub-block j: the first four are in the lower bits of
// their bytes, whose upper two bits belong to the last four.
func scaleAndMin(packed []byte, j int) (scale, least byte) {
	if j < 4 {
		return packed[j] & 63, packed[j+4] & 63
	}
	return packed[j+4]&15 | packed[j-4]>>6<<4, packed[j+4]>>4 | packed[j]>>6<<4
}

// decodeQ6_K: 256 numbers of six bits less 32, four lower and two upper bits apart, a signed
// scale for each 16 of them, and a scale of scales.
func decodeQ6_K(dst []float32, b []byte) {
	lower, upper, scales, d := b[:128], b[128:192], b[192:208], half(b[208:])
	for n := 0; n < 256; n += 16 { // those of one scale
		h, l := n/128, n%128 // halves of the block are packed apart
		scale := d * float32(int8(scales[n/16]))
		four, two := lower[64*h+l%64:][:16], upper[32*h+l%32:][:16]
		for i := range 16 {
			q := four[i]>>(l/64*4)&15 | two[i]>>(l/32*2)&3<<4
			dst[n+i] = scale * float32(int(q)-32)
		}
	}
}
