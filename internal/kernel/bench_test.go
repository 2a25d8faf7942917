package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Sgemm rates in GFLOP/s; openblas_bench.py times the same shapes through PyTorch.
func BenchmarkMul(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range [][3]int{{512, 512, 512}, {1024, 1024, 1024}, {4096, 256, 2048}, {4096, 256, 688}, {8, 512, 2048}, {32, 256, 688}, {1, 256, 2048}} {
		m, k, n := s[0], s[1], s[2]
		x, w, c := random(r, m*k), random(r, n*k), make([]float32, m*n)
		flops := 2 * float64(m) * float64(n) * float64(k)
		for _, workers := range []int{1, 2} {
			pool := NewPool(workers)
			var packed Packed
			packed.PackTransposed(w, n, k, k)
			run := func(name string, f func()) {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/workers=%d", name, m, k, n, workers), func(b *testing.B) {
					for b.Loop() {
						f()
					}
					b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
			run("packed", func() { pool.Mul(c, n, x, k, &packed, m, false) })
			run("unpacked", func() {
				pool.PackTransposed(&packed, w, n, k, k)
				pool.Mul(c, n, x, k, &packed, m, false)
			})
			if m >= 512 {
				// Aᵀ B with A (m, k) and B (m, n): the gradient of a weight (k, n) from m rows.
				g := make([]float32, k*n)
				run("gradient", func() { pool.MulTN(g, n, x, k, c, n, k, n, m, true) })
			}
			pool.Close()
		}
	}
}

func BenchmarkVectors(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	x, y, z := random(r, 1024), random(r, 1024), random(r, 1024)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"Dot", func() { Dot(x, y) }}, {"Softmax", func() { Softmax(x, 1) }}, {"SwiGLU", func() { SwiGLU(z, x, y) }},
		{"RMSNorm", func() { RMSNorm(z, x, y, 1e-5) }}, {"LogSumExp", func() { LogSumExp(x) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4096)
			for b.Loop() {
				c.f()
			}
		})
	}
}
