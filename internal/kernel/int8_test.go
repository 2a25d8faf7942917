package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func quantised(r *rand.Rand, n, k int) (*Int8, []float32) {
	w, rows := NewInt8(n, k), make([]float32, n*k)
	for i := range n {
		w.Quantise(i, random(r, k))
		w.Row(rows[i*k:][:k], i)
	}
	return w, rows
}

// checkMulInt8 holds a product with bytes to that with the same numbers in float32, bit for bit.
func checkMulInt8(t *testing.T, r *rand.Rand, m, n, k, workers int, accumulate bool) {
	t.Helper()
	w, rows := quantised(r, n, k)
	var packed Packed
	packed.PackTransposed(rows, n, k, k)
	lda, ldc := k+3, n+2
	a, start := random(r, m*lda), random(r, m*ldc)
	want := append([]float32(nil), start...)
	Mul(want, ldc, a, lda, &packed, m, accumulate, 0, packed.Panels())
	whole, got := fenced(start)
	pool := NewPool(workers)
	defer pool.Close()
	pool.MulInt8(got, ldc, a, lda, w, m, accumulate)
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%d rows, W (%d, %d), accumulate %v: element %d is %g, want %g", m, n, k, accumulate, i, got[i], want[i])
		}
	}
	if !stillFenced(whole) {
		t.Fatalf("%d rows, W (%d, %d): written outside of C", m, n, k)
	}
}

func TestMulInt8IsMul(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(19, 20))
		for _, s := range append(shapes, [3]int{1, 300, 900}, [3]int{1, 31, 4}, [3]int{3, 129, 385}, [3]int{49, 257, 391}) {
			for _, accumulate := range []bool{false, true} {
				for _, workers := range []int{1, 3} {
					checkMulInt8(t, r, s[0], s[1], s[2], workers, accumulate)
				}
			}
		}
	})
}

func FuzzMulInt8(f *testing.F) {
	f.Add(uint64(1), uint8(0), uint8(31), uint16(299), false)
	f.Add(uint64(2), uint8(7), uint8(70), uint16(896), true)
	f.Fuzz(func(t *testing.T, seed uint64, rows, columns uint8, depth uint16, accumulate bool) {
		r := rand.New(rand.NewPCG(seed, 21))
		checkMulInt8(t, r, int(rows)%9+1, int(columns)+1, int(depth)%1600+1, 1, accumulate)
	})
}

// A number is off by at most half a step, and a block's greatest by rounding alone.
func TestQuantise(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 23))
	const n, k = 20, 900
	w := NewInt8(n, k)
	step := blockK(k)
	for i := range n {
		src, got := random(r, k), make([]float32, k)
		w.Quantise(i, src)
		w.Row(got, i)
		for b := 0; b < k; b += step {
			most := 0.0
			for _, x := range src[b:min(b+step, k)] {
				most = max(most, math.Abs(float64(x)))
			}
			for x := b; x < min(b+step, k); x++ {
				if d := math.Abs(float64(got[x]) - float64(src[x])); d > most/127/2*1.001 {
					t.Fatalf("row %d, column %d: %g became %g; the greatest of its block is %g", i, x, src[x], got[x], most)
				}
			}
		}
	}
}

func TestQuantiseExtremes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name string
		src  []float32
		want []float32
	}{
		{"zeros", []float32{0, 0}, []float32{0, 0}},
		{"signs", []float32{-127, 127, 1, -1, 0.4}, []float32{-127, 127, 1, -1, 0}},
		{"halves to even", []float32{127, 0.5, 1.5, -2.5}, []float32{127, 0, 2, -2}},
		{"not a number", []float32{1, nan}, []float32{nan, nan}},
		{"not a number first", []float32{nan, 1}, []float32{nan, nan}},
		{"infinite", []float32{1, -inf}, []float32{nan, nan}},
		{"smaller than a scale can be", []float32{math.SmallestNonzeroFloat32, 0}, []float32{0, 0}},
	} {
		w, got := NewInt8(1, len(c.src)), make([]float32, len(c.src))
		w.Quantise(0, c.src)
		w.Row(got, 0)
		for i := range got {
			if got[i] != c.want[i] && !(got[i] != got[i] && c.want[i] != c.want[i]) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
}
