package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// near compares with a tolerance relative to the size of the terms that were summed.
func near(got, want []float32, tolerance float64) error {
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*(1+math.Abs(float64(want[i])))) {
			return fmt.Errorf("element %d is %g, want %g", i, got[i], want[i])
		}
	}
	return nil
}

// naive is C (+)= op(A) B in float64.
func naive(c, a, b []float32, m, n, k int, at func(i, x int) int, accumulate bool) []float32 {
	out := make([]float32, m*n)
	for i := range m {
		for j := range n {
			s := 0.0
			if accumulate {
				s = float64(c[i*n+j])
			}
			for x := range k {
				s += float64(a[at(i, x)]) * float64(b[x*n+j])
			}
			out[i*n+j] = float32(s)
		}
	}
	return out
}

var shapes = [][3]int{{1, 1, 1}, {1, 16, 3}, {1, 64, 9}, {1, 70, 401}, {2, 17, 5}, {6, 16, 8}, {7, 33, 13}, {13, 48, 100}, {33, 70, 800}, {200, 40, 3}, {5, 5, 0}, {0, 3, 2}}

func TestMulMatchesNaive(t *testing.T) { atEveryLevel(t, checkMulMatchesNaive) }

func checkMulMatchesNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, workers := range []int{1, 2, 5} {
		pool := NewPool(workers)
		for _, s := range shapes {
			m, n, k := s[0], s[1], s[2]
			a, b, c, at := random(r, m*k), random(r, k*n), random(r, m*n), random(r, k*m)
			bt := make([]float32, n*k)
			for x := range k {
				for j := range n {
					bt[j*k+x] = b[x*n+j]
				}
			}
			for _, accumulate := range []bool{false, true} {
				want := naive(c, a, b, m, n, k, func(i, x int) int { return i*k + x }, accumulate)
				var packed, transposed Packed
				packed.Pack(b, k, n, n)
				pool.PackTransposed(&transposed, bt, n, k, k)
				if !slices.Equal(packed.Data, transposed.Data) {
					t.Fatalf("%v: the two ways of packing differ", s)
				}
				got := slices.Clone(c)
				pool.Mul(got, n, a, k, &packed, m, accumulate)
				if err := near(got, want, 1e-4); err != nil {
					t.Errorf("Mul %v, %d workers, accumulate %v: %v", s, workers, accumulate, err)
				}
				want = naive(c, at, b, m, n, k, func(i, x int) int { return x*m + i }, accumulate)
				got = slices.Clone(c)
				pool.MulTN(got, n, at, m, b, n, m, n, k, accumulate)
				if err := near(got, want, 1e-4); err != nil {
					t.Errorf("MulTN %v, %d workers, accumulate %v: %v", s, workers, accumulate, err)
				}
			}
		}
		pool.Close()
	}
}

// A row's bits depend on the row alone: not on the rows around it, the range of panels,
// or the number of workers. This is what makes a score independent of its batch.
func TestRowsAreIndependent(t *testing.T) { atEveryLevel(t, checkRowsAreIndependent) }

func checkRowsAreIndependent(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const m, n, k = 37, 203, 801
	a, b := random(r, m*k), random(r, k*n)
	var packed Packed
	packed.Pack(b, k, n, n)
	whole := make([]float32, m*n)
	Mul(whole, n, a, k, &packed, m, false, 0, packed.Panels())
	for rows := 1; rows <= 19; rows++ {
		for i := 0; i+rows <= m; i += 5 {
			part := make([]float32, rows*n)
			for p := 0; p < packed.Panels(); p += rows {
				Mul(part, n, a[i*k:], k, &packed, rows, false, p, min(p+rows, packed.Panels()))
			}
			if !slices.Equal(part, whole[i*n:(i+rows)*n]) {
				t.Fatalf("rows %d to %d differ from the same rows of the whole", i, i+rows)
			}
		}
	}
	for workers := 1; workers <= 8; workers++ {
		pool := NewPool(workers)
		for _, rows := range []int{1, 3, m} {
			got := make([]float32, rows*n)
			pool.Mul(got, n, a, k, &packed, rows, false)
			if !slices.Equal(got, whole[:rows*n]) {
				t.Errorf("%d workers, %d rows: other bits", workers, rows)
			}
		}
		grad := make([]float32, m*n)
		pool.MulTN(grad, n, a, m, b, n, m, n, k, false)
		one := NewPool(1)
		want := make([]float32, m*n)
		one.MulTN(want, n, a, m, b, n, m, n, k, false)
		if !slices.Equal(grad, want) {
			t.Errorf("MulTN with %d workers: other bits", workers)
		}
		pool.Close()
	}
}

func TestVectorsMatchReference(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		for n := 1; n <= 70; n++ {
			checkVectors(t, uint64(n), n, 1)
		}
	})
}

// AdamW against the algorithm in float64 (Loshchilov and Hutter 2019, algorithm 2). The
// second moments are far below the squared gradients, where a careless form loses them.
func TestAdamWIsAccurate(t *testing.T) {
	const beta1, beta2, lr, eps, decay, step, n = 0.9, 0.999, 1e-2, 1e-8, 0.1, 3, 35
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 8))
		p, g, m, v := random(r, n), random(r, n), random(r, n), random(r, n)
		for i := range v {
			v[i] *= v[i] * 1e-4
		}
		wantP, wantV := make([]float32, n), make([]float32, n)
		for i := range p {
			d, q := float64(g[i])*0.5, float64(p[i])*(1-lr*decay)
			first, second := beta1*float64(m[i])+(1-beta1)*d, beta2*float64(v[i])+(1-beta2)*d*d
			update := first / (1 - math.Pow(beta1, step)) / (math.Sqrt(second/(1-math.Pow(beta2, step))) + eps)
			wantP[i], wantV[i] = float32(q-lr*update), float32(second)
		}
		AdamW(p, g, m, v, 0.5, beta1, beta2, lr, eps, decay, step)
		if err := near(p, wantP, 1e-6); err != nil {
			t.Errorf("parameters: %v", err)
		}
		for i := range v {
			if d := math.Abs(float64(v[i])/float64(wantV[i]) - 1); !(d < 4e-7) {
				t.Errorf("second moment %d is %g, want %g: wrong by %.1e of it", i, v[i], wantV[i], d)
			}
		}
	})
}

func TestVectorsOfNothing(t *testing.T) {
	if got := Max(nil); !math.IsInf(float64(got), -1) {
		t.Errorf("Max of nothing is %g", got)
	}
	if got := LogSumExp(nil); !math.IsInf(got, -1) {
		t.Errorf("LogSumExp of nothing is %g", got)
	}
	if got := Dot(nil, nil) + ExpSum(nil, 1, 0) + float32(SumSquares(nil)); got != 0 {
		t.Errorf("sums of nothing are %g", got)
	}
	Softmax(nil, 1)
	SoftmaxBackward(nil, nil, 1)
	Scale(nil, 2)
	Add(nil, nil)
	Axpy(nil, 1, nil)
	SwiGLU(nil, nil, nil)
	SwiGLUBackward(nil, nil, nil)
	AdamW(nil, nil, nil, nil, 1, 0.9, 0.9, 1, 1, 1, 1)
}

// A model that has diverged must show: NaN stays NaN wherever in a vector it is.
func TestNaNIsNotHidden(t *testing.T) {
	nan := float32(math.NaN())
	isNaN := func(v float32) bool { return v != v }
	atEveryLevel(t, func(t *testing.T) {
		for _, at := range []int{0, 9, 17} {
			fresh := func() []float32 {
				x := random(rand.New(rand.NewPCG(1, 1)), 19)
				x[at] = nan
				return x
			}
			x := fresh()
			if sum := ExpSum(x, 1, 0); !isNaN(sum) || !isNaN(x[at]) {
				t.Errorf("ExpSum with NaN at %d is %g, element %g", at, sum, x[at])
			}
			h, ones := make([]float32, 19), make([]float32, 19)
			if SwiGLU(h, fresh(), ones); !isNaN(h[at]) {
				t.Errorf("SwiGLU of NaN at %d is %g", at, h[at])
			}
			if r := RMSNorm(h, fresh(), ones, 1e-5); !isNaN(r) {
				t.Errorf("RMSNorm with NaN at %d returns %g", at, r)
			}
			if got := SumSquares(fresh()); !math.IsNaN(got) {
				t.Errorf("SumSquares with NaN at %d is %g", at, got)
			}
		}
	})
}

func FuzzVectors(f *testing.F) {
	f.Add(uint64(1), 17, float32(1))
	f.Add(uint64(2), 64, float32(30))
	f.Fuzz(func(t *testing.T, seed uint64, n int, size float32) {
		if n < 1 || n > 300 || !(size >= 1e-3 && size <= 30) {
			t.Skip()
		}
		checkVectors(t, seed, n, size)
	})
}

func checkVectors(t *testing.T, seed uint64, n int, size float32) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 9))
	x, y, w, z := random(r, n), random(r, n), random(r, n), random(r, n)
	for i := range x {
		x[i] *= size
	}
	check := func(name string, tolerance float64, got, want []float32) {
		t.Helper()
		if err := near(got, want, tolerance); err != nil {
			t.Errorf("%s of %d: %v", name, n, err)
		}
	}
	scalar := func(v float32) []float32 { return []float32{v} }
	cl := slices.Clone[[]float32]
	spread := float64(n) * 1e-6 * float64(size)

	check("Dot", spread, scalar(Dot(x, y)), scalar(dotRef(x, y)))
	a, b := cl(x), cl(x)
	Add(a, y)
	addRef(b, y)
	check("Add", 0, a, b)
	Axpy(a, 0.3, y)
	axpyRef(b, 0.3, y)
	check("Axpy", 1e-6, a, b)
	Scale(a, 0.7)
	scaleRef(b, 0.7)
	check("Scale", 1e-6, a, b)
	check("Max", 0, scalar(Max(x)), scalar(maxRef(x)))

	a, b = cl(x), cl(x)
	sa, sb := ExpSum(a, 0.5, 0.5*Max(x)), expSumRef(b, 0.5, 0.5*maxRef(x))
	check("ExpSum", 1e-5, append(a, sa), append(b, sb))
	want := 0.0
	for _, v := range x {
		want += math.Exp(float64(v))
	}
	if got := LogSumExp(x); math.Abs(got-math.Log(want)) > 1e-6*(1+math.Abs(math.Log(want))) {
		t.Errorf("LogSumExp of %d is %.9g, want %.9g", n, got, math.Log(want))
	}
	a, b = cl(x), cl(x)
	Softmax(a, 0.5)
	s := expSumRef(b, 0.5, 0.5*maxRef(x))
	scaleRef(b, 1/s)
	check("Softmax", 1e-5, a, b)
	p := cl(a)
	da, db := cl(y), cl(y)
	SoftmaxBackward(da, p, 0.5)
	softmaxGradRef(db, p, dotRef(y, p), 0.5)
	check("SoftmaxBackward", 1e-5, da, db)

	rms := RMSNorm(a, x, w, 1e-5)
	normScaleRef(b, x, w, float32(1/math.Sqrt(sumSquaresRef(x)/float64(n)+1e-5)))
	check("RMSNorm", 1e-5, a, b)
	dxa, dxb, dwa, dwb := cl(y), cl(y), cl(z), cl(z)
	RMSNormBackward(dxa, dwa, z, x, w, rms)
	dot := normGradWeightRef(dwb, z, x, w, rms)
	normGradInputRef(dxb, z, x, w, rms, rms*rms*rms*dot/float32(n))
	check("RMSNormBackward dx", 1e-4, dxa, dxb)
	check("RMSNormBackward dw", 1e-4, dwa, dwb)

	SwiGLU(a, x, y)
	swiGLURef(b, x, y)
	check("SwiGLU", 1e-5, a, b)
	ga, gb, ua, ub := cl(x), cl(x), cl(y), cl(y)
	SwiGLUBackward(z, ga, ua)
	swiGLUGradRef(z, gb, ub)
	check("SwiGLUBackward gate", 2e-5, ga, gb)
	check("SwiGLUBackward up", 2e-5, ua, ub)

	if n%2 == 0 {
		cos, sin := make([]float32, n/2), make([]float32, n/2)
		for i := range cos {
			s, c := math.Sincos(float64(i))
			cos[i], sin[i] = float32(c), float32(s)
		}
		a, b = append(cl(x), y...), append(cl(x), y...)
		Rotate(a, cos, sin, 2, n, 1)
		for h := range 2 {
			rotateRef(b[h*n:][:n/2], b[h*n+n/2:][:n/2], cos, sin, 1)
		}
		check("Rotate", 1e-5, a, b)
		Rotate(a, cos, sin, 2, n, -1)
		check("Rotate back", 1e-5, a, append(cl(x), y...))
	}

	pa, pb, ma, mb, va, vb := cl(x), cl(x), cl(y), cl(y), cl(w), cl(w)
	for i := range va {
		va[i] *= va[i]
		vb[i] = va[i]
	}
	AdamW(pa, z, ma, va, 0.5, 0.9, 0.999, 1e-2, 1e-8, 0.1, 3)
	adamWRef(pb, z, mb, vb, newAdamW(0.5, 0.9, 0.999, 1e-2, 1e-8, 0.1, 3))
	check("AdamW p", 1e-5, pa, pb)
	check("AdamW m", 1e-5, ma, mb)
	check("AdamW v", 1e-5, va, vb)
	if got, want := SumSquares(x), sumSquaresRef(x); math.Abs(got-want) > 1e-12*want {
		t.Errorf("SumSquares of %d is %g, want %g", n, got, want)
	}
}
