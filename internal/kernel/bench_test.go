package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// benchShapes are m, k, n of the products of the engine and some squares.
var benchShapes = [][3]int{
	{512, 512, 512}, {1024, 1024, 1024}, {4096, 256, 2048}, {4096, 256, 688},
	{1, 256, 2048}, {2, 512, 2048}, {8, 512, 2048}, {32, 256, 688},
}

// timed runs f in a benchmark and reports the mean rate and that of the fastest call: on a
// machine that is shared only the latter says what the kernel can do.
func timed(b *testing.B, flops float64, f func()) {
	f()
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	b.ReportMetric(flops/best.Seconds()/1e9, "best-GFLOP/s")
}

// openblas_bench.py times the same shapes in OpenBLAS, in turns with this benchmark.
func BenchmarkMul(b *testing.B) {
	for _, s := range benchShapes {
		m, k, n := s[0], s[1], s[2]
		flops := 2 * float64(m) * float64(n) * float64(k)
		for _, workers := range []int{1, 2} {
			run := func(name string, f func(b *testing.B, pool *Pool, x, w, c []float32)) {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/workers=%d", name, m, k, n, workers), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 1))
					pool := NewPool(workers)
					defer pool.Close()
					f(b, pool, random(r, m*k), random(r, n*k), make([]float32, m*n))
				})
			}
			run("packed", func(b *testing.B, pool *Pool, x, w, c []float32) {
				var packed Packed
				packed.PackTransposed(w, n, k, k)
				timed(b, flops, func() { pool.Mul(c, n, x, k, &packed, m, false) })
			})
			run("unpacked", func(b *testing.B, pool *Pool, x, w, c []float32) {
				var packed Packed
				timed(b, flops, func() {
					pool.PackTransposed(&packed, w, n, k, k)
					pool.Mul(c, n, x, k, &packed, m, false)
				})
			})
			if m < 512 {
				continue
			}
			// Aᵀ B with A (m, k) and B (m, n): the gradient of a weight (k, n) from m rows.
			run("gradient", func(b *testing.B, pool *Pool, x, w, c []float32) {
				timed(b, flops, func() { pool.MulTN(w, n, x, k, c, n, k, n, m, true) })
			})
		}
	}
}

func BenchmarkVectors(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	x, y, z, w := random(r, 1024), random(r, 1024), random(r, 1024), random(r, 1024)
	v := make([]float32, 1024)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"Dot", func() { Dot(x, y) }},
		{"Max", func() { Max(x) }},
		{"Softmax", func() { Softmax(z, 1) }},
		{"LogSumExp", func() { LogSumExp(x) }},
		{"SwiGLU", func() { SwiGLU(z, x, y) }},
		{"RMSNorm", func() { RMSNorm(z, x, y, 1e-5) }},
		{"SumSquares", func() { SumSquares(x) }},
		{"AdamW", func() { AdamW(w, x, z, v, 1, 0.9, 0.95, 0, 1e-8, 0, 10) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4096)
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
		})
	}
}

// A call of Run is the price of every parallel kernel.
func BenchmarkPoolRun(b *testing.B) {
	pool := NewPool(2)
	defer pool.Close()
	for b.Loop() {
		pool.Run(func(int) {})
	}
}
