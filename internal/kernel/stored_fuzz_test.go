package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// FuzzMulStored holds products with stored weights to those with packed ones, bit for bit: few
// rows, which are multiplied with W where it lies, and many, for which it is packed.
func FuzzMulStored(f *testing.F) {
	for m := range uint8(8) {
		for _, k := range []uint16{1, 15, 16, 17, 31, 288, 385, 401, 896} {
			f.Add(uint64(m), m, uint8(8*m+3), k, m)
		}
	}
	f.Fuzz(func(t *testing.T, seed uint64, rows, columns uint8, depth uint16, options uint8) {
		m, n, k := int(rows)%9+1, int(columns)+1, int(depth)%1600+1
		r := rand.New(rand.NewPCG(seed, 15))
		w, wide := store(r, n, k, formats[int(options)%3])
		lda, ldc, accumulate := k+int(options>>2&3), n+int(options>>4&3), options&64 > 0
		a, c := random(r, m*lda), random(r, m*ldc)
		var packed Packed
		packed.PackTransposed(wide, n, k, k)
		want := append([]float32(nil), c...)
		Mul(want, ldc, a, lda, &packed, m, accumulate, 0, packed.Panels())
		whole, got := fenced(c)
		MulStored(got, ldc, a, lda, w, m, accumulate, 0, w.Panels())
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("%d rows, W (%d, %d) in format %d, accumulate %v: element %d is %g, want %g", m, n, k, w.Format, accumulate, i, got[i], want[i])
			}
		}
		if !stillFenced(whole) {
			t.Fatalf("%d rows, W (%d, %d) in format %d: written outside of C", m, n, k, w.Format)
		}
	})
}
