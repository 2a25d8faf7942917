package kernel

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// fence is the value around an output that a kernel must leave alone.
const fence = 12345

// fenced is x with a margin before and after that stillFenced inspects.
func fenced(x []float32) (whole, inside []float32) {
	whole = make([]float32, len(x)+64)
	for i := range whole {
		whole[i] = fence
	}
	inside = whole[32 : 32+len(x)]
	copy(inside, x)
	return whole, inside
}

func stillFenced(whole []float32) bool {
	touched := func(v float32) bool { return v != fence }
	return !slices.ContainsFunc(whole[:32], touched) && !slices.ContainsFunc(whole[len(whole)-32:], touched)
}

// Every micro-kernel, for a sum over few and many k, with A by rows and A packed, for one tile and
// several.
func TestMultiplyMatchesReference(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 5))
		for rows := 1; rows <= tallest; rows++ {
			for _, panels := range slices.Compact([]int{1, panelsFor(rows)}) {
				for _, k := range []int{1, 2, 3, 4, 5, 7, 8, 31, 384} {
					for _, tiles := range []int{1, 3} {
						for _, add := range []bool{false, true} {
							for _, packed := range []bool{false, true} {
								if err := checkMultiply(r, rows, panels, tiles, k, add, packed); err != nil {
									t.Errorf("%d tiles of %d rows, %d panels, k = %d, add %v, packed %v: %v", tiles, rows, panels, k, add, packed, err)
								}
							}
						}
					}
				}
			}
		}
	})
}

func checkMultiply(r *rand.Rand, rows, panels, tiles, k int, add, packed bool) error {
	a, b := random(r, tiles*tallest*k), random(r, panels*k*PanelWidth)
	lda, ks, next := k, 1, rows*k
	if packed {
		lda, ks, next = 1, tallest, tallest*k
	}
	ldc := panels*PanelWidth + 3
	start := random(r, (tiles*rows-1)*ldc+panels*PanelWidth)
	whole, got := fenced(start)
	multiply(rows, panels, tiles, k, a, lda, ks, next, b, k*PanelWidth, got, ldc, add)
	want := slices.Clone(start)
	multiplyRef(rows, panels, tiles, k, a, lda, ks, next, b, k*PanelWidth, want, ldc, add)
	if err := near(got, want, 1e-4); err != nil {
		return err
	}
	if !stillFenced(whole) {
		return errors.New("wrote outside C")
	}
	for i := range tiles*rows - 1 {
		if gap := i*ldc + panels*PanelWidth; !slices.Equal(got[gap:gap+3], start[gap:gap+3]) {
			return fmt.Errorf("wrote behind row %d", i)
		}
	}
	return nil
}

func TestCopiesMatchReference(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(6, 6))
		for _, k := range []int{1, 2, 7, 8, 9, 40} {
			const ld = 21
			src := random(r, max(k*ld, PanelWidth*(k+3)))
			for name, c := range map[string]struct {
				n    int
				copy func(dst []float32)
				want func(dst []float32)
			}{
				"copyColumns": {PanelWidth, func(d []float32) { copyColumns(d, src, ld, k) }, func(d []float32) { copyColumnsRef(d, src, PanelWidth, ld, k) }},
				"copyTile":    {tallest, func(d []float32) { copyTile(d, src, ld, k) }, func(d []float32) { copyColumnsRef(d, src, tallest, ld, k) }},
				"transpose": {PanelWidth, func(d []float32) {
					for x := transposeColumns(d, src, k+3, k); x < k; x++ {
						transposeColumnsRef(d[x*PanelWidth:], src[x:], k+3, 1)
					}
				}, func(d []float32) { transposeColumnsRef(d, src, k+3, k) }},
			} {
				whole, got := fenced(make([]float32, c.n*k))
				want := make([]float32, c.n*k)
				c.copy(got)
				c.want(want)
				if !slices.Equal(got, want) || !stillFenced(whole) {
					t.Errorf("%s of %d rows differs", name, k)
				}
			}
		}
	})
}

// strided is a matrix with room between its rows, and a copy of it without.
func strided(r *rand.Rand, rows, columns, ld int) (loose, tight []float32) {
	if rows == 0 || columns == 0 {
		return nil, nil
	}
	loose = random(r, (rows-1)*ld+columns)
	for i := range rows {
		tight = append(tight, loose[i*ld:][:columns]...)
	}
	return loose, tight
}

// checkProducts holds Mul and MulTN, on matrices with room between rows, to the naive
// product, and looks for writes outside C.
func checkProducts(t *testing.T, seed uint64, m, n, k, extra int, accumulate bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	pool := NewPool(1 + int(seed%3))
	defer pool.Close()
	lda, ldt, ldb, ldc := k+extra, m+extra, n+extra, n+extra
	a, ta := strided(r, m, k, lda)
	at, tat := strided(r, k, m, ldt)
	b, tb := strided(r, k, n, ldb)
	start, tc := strided(r, m, n, ldc)
	var packed Packed
	packed.Pack(b, k, n, ldb)
	for name, c := range map[string]struct {
		run  func(c []float32)
		want []float32
	}{
		"Mul": {func(c []float32) { pool.Mul(c, ldc, a, lda, &packed, m, accumulate) },
			naive(tc, ta, tb, m, n, k, func(i, x int) int { return i*k + x }, accumulate)},
		"MulTN": {func(c []float32) { pool.MulTN(c, ldc, at, ldt, b, ldb, m, n, k, accumulate) },
			naive(tc, tat, tb, m, n, k, func(i, x int) int { return x*m + i }, accumulate)},
	} {
		whole, got := fenced(start)
		c.run(got)
		for i := range m {
			if err := near(got[i*ldc:][:n], c.want[i*n:][:n], 1e-4); err != nil {
				t.Errorf("%s %d×%d×%d, room %d, accumulate %v: row %d: %v", name, m, n, k, extra, accumulate, i, err)
			}
			if i < m-1 && !slices.Equal(got[i*ldc+n:(i+1)*ldc], start[i*ldc+n:(i+1)*ldc]) {
				t.Errorf("%s %d×%d×%d, room %d: wrote behind row %d", name, m, n, k, extra, i)
			}
		}
		if !stillFenced(whole) {
			t.Errorf("%s %d×%d×%d, room %d: wrote outside C", name, m, n, k, extra)
		}
	}
}

func TestProductsOfStridedMatrices(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		for i, s := range append(shapes, [3]int{400, 30, 390}, [3]int{20, 600, 50}) {
			checkProducts(t, uint64(i), s[0], s[1], s[2], i%4*5, i%2 == 0)
		}
	})
}

func FuzzProducts(f *testing.F) {
	f.Add(uint64(1), 7, 33, 13, 0, false)
	f.Add(uint64(2), 1, 70, 401, 3, true)
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k, extra int, accumulate bool) {
		if m < 0 || n < 1 || k < 0 || extra < 0 || m > 60 || n > 150 || k > 900 || extra > 20 {
			t.Skip()
		}
		checkProducts(t, seed, m, n, k, extra, accumulate)
	})
}

// The assembly checks no bounds, so the products must: a wrong shape stops the program
// instead of writing into other memory.
func TestShortSlicesPanic(t *testing.T) {
	const m, n, k = 20, 40, 30
	pool := NewPool(2)
	defer pool.Close()
	x := func(n int) []float32 { return make([]float32, n) }
	var b, short Packed
	b.Pack(x(k*n), k, n, n)
	short = Packed{K: k, N: n, Data: b.Data[:len(b.Data)-1]}
	for name, f := range map[string]func(){
		"short C":      func() { Mul(x(m*n-1), n, x(m*k), k, &b, m, false, 0, b.Panels()) },
		"short A":      func() { Mul(x(m*n), n, x(m*k-1), k, &b, m, false, 0, b.Panels()) },
		"short panels": func() { Mul(x(m*n), n, x(m*k), k, &short, m, false, 0, b.Panels()) },
		"too many":     func() { Mul(x(m*n), n, x(m*k), k, &b, m, false, 0, b.Panels()+1) },
		"pack":         func() { new(Packed).Pack(x(k*n-1), k, n, n) },
		"pack weights": func() { new(Packed).PackTransposed(x(k*n-1), n, k, k) },
		"gradient C":   func() { pool.MulTN(x(m*n-1), n, x(k*m), m, x(k*n), n, m, n, k, false) },
		"gradient A":   func() { pool.MulTN(x(m*n), n, x(k*m-1), m, x(k*n), n, m, n, k, false) },
		"gradient B":   func() { pool.MulTN(x(m*n), n, x(k*m), m, x(k*n-1), n, m, n, k, false) },
		"Dot":          func() { Dot(x(16), x(15)) },
		"AdamW":        func() { AdamW(x(16), x(16), x(16), x(15), 1, 0.9, 0.9, 1, 1, 0, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// AVX2 and AVX-512 compute the same bits, so a
// score does not depend on which of the two a machine has.
func TestLevelsGiveTheSameBits(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	const m, n, k = 29, 150, 500
	a, at, b := random(r, m*k), random(r, k*m), random(r, k*n)
	results := map[string][]float32{}
	atEveryLevel(t, func(*testing.T) {
		pool := NewPool(2)
		defer pool.Close()
		var packed Packed
		packed.Pack(b, k, n, n)
		c := make([]float32, 2*m*n)
		pool.Mul(c, n, a, k, &packed, m, false)
		pool.MulTN(c[m*n:], n, at, m, b, n, m, n, k, false)
		results[Level()] = c
	})
	if results["avx2"] != nil && results["avx512"] != nil && !slices.Equal(results["avx2"], results["avx512"]) {
		t.Error("avx2 and avx512 differ")
	}
}

// Products of a decoding loop leave nothing for the collector.
func TestMulDoesNotAllocate(t *testing.T) {
	for _, n := range []int{64, 70} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			a, c, b := make([]float32, 9*50), make([]float32, 9*n), Packed{}
			b.Pack(make([]float32, 50*n), 50, n, n)
			if got := testing.AllocsPerRun(20, func() { Mul(c, n, a, 50, &b, 9, true, 0, b.Panels()) }); got != 0 {
				t.Errorf("%v allocations", got)
			}
		})
	}
}
