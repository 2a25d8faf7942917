package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var formats = []Format{F32, F16, BF16}

// store encodes random numbers that the format holds exactly, at an odd address.
func store(r *rand.Rand, n, k int, f Format) (*Stored, []float32) {
	data := []byte{0}
	for range n * k {
		switch x := float32(r.NormFloat64()); f {
		case F32:
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		case BF16:
			data = binary.LittleEndian.AppendUint16(data, uint16(math.Float32bits(x)>>16))
		case F16: // sign, exponents of a few sizes, any fraction
			data = binary.LittleEndian.AppendUint16(data, uint16(r.UintN(2)<<15|(r.UintN(16)<<10)|r.UintN(1<<10)))
		}
	}
	w := &Stored{N: n, K: k, Format: f, Data: data[1:]}
	wide := make([]float32, n*k)
	f.Decode(wide, w.Data)
	return w, wide
}

// A product with stored weights has the bits of that with packed float32 weights.
func TestMulStoredIsMul(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, f := range formats {
			for _, s := range append(shapes, [3]int{1, 300, 900}, [3]int{3, 129, 385}, [3]int{49, 257, 391}) {
				m, n, k := s[0], s[1], s[2]
				w, wide := store(r, n, k, f)
				a, start := random(r, m*k), random(r, m*n)
				var packed Packed
				packed.PackTransposed(wide, n, k, k)
				for _, accumulate := range []bool{false, true} {
					want := slices.Clone(start)
					Mul(want, n, a, k, &packed, m, accumulate, 0, packed.Panels())
					for _, workers := range []int{1, 3} {
						pool := NewPool(workers)
						whole, got := fenced(start)
						pool.MulStored(got, n, a, k, w, m, accumulate)
						pool.Close()
						if !slices.Equal(got, want) || !stillFenced(whole) {
							t.Errorf("format %d, %v, %d workers, accumulate %v: other bits", f, s, workers, accumulate)
						}
					}
				}
			}
		}
	})
}

// So has one with stored weights that are not transposed, in one matrix or in several.
func TestMulStoredNNIsMul(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for _, f := range formats {
			for _, s := range append(shapes, [3]int{1, 300, 900}, [3]int{3, 129, 385}, [3]int{49, 257, 391}) {
				m, n, k := s[0], s[1], s[2]
				w, wide := store(r, k, n, f)
				a, start := random(r, m*k), random(r, m*n)
				var packed Packed
				packed.Pack(wide, k, n, n)
				size := n * f.Bytes()
				rows := func(lo, hi int) *Stored { return &Stored{N: hi - lo, K: n, Format: f, Data: w.Data[lo*size : hi*size]} }
				for _, parts := range [][]*Stored{{w}, {rows(0, k/3), rows(k/3, k)}, {rows(0, k/2), rows(k/2, k/2), rows(k/2, k)}} {
					for _, accumulate := range []bool{false, true} {
						want := slices.Clone(start)
						Mul(want, n, a, k, &packed, m, accumulate, 0, packed.Panels())
						whole, got := fenced(start)
						MulStoredNN(got, n, a, k, parts, m, accumulate, 0, packed.Panels()/2)
						MulStoredNN(got, n, a, k, parts, m, accumulate, packed.Panels()/2, packed.Panels())
						if !slices.Equal(got, want) || !stillFenced(whole) {
							t.Errorf("format %d, %v, %d matrices, accumulate %v: other bits", f, s, len(parts), accumulate)
						}
					}
				}
			}
		}
	})
}

// Every half is widened to its value, by rows and in products alike.
func TestEveryHalfIsWidened(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		for _, f := range []Format{F16, BF16} {
			w := &Stored{N: 16, K: 1 << 12, Format: f, Data: make([]byte, 2<<16)}
			for i := range 1 << 16 {
				binary.LittleEndian.PutUint16(w.Data[2*i:], uint16(i))
			}
			var b Packed
			b.packStored(w, 0, w.N, 0, w.K)
			row := make([]float32, w.K)
			for i := range w.N {
				w.Row(row, i)
				for k, x := range row {
					if y := b.Data[k*PanelWidth+i]; x != y && (x == x || y == y) {
						t.Fatalf("format %d, half %#04x: %g and %g", f, i*w.K+k, x, y)
					}
				}
			}
		}
	})
	for h, want := range map[uint16]float32{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: 1.0 / (1 << 24), 0x0400: 1.0 / (1 << 14)} {
		if got := FromF16(h); got != want {
			t.Errorf("half %#04x is %g, want %g", h, got, want)
		}
	}
	if x := FromF16(0x7e00); x == x || !math.IsInf(float64(FromF16(0xfc00)), -1) {
		t.Error("NaN or infinity is a number")
	}
}

func BenchmarkMulStored(b *testing.B) {
	const n, k = 4864, 896 // the feed-forward of a 0.5 B model
	r := rand.New(rand.NewPCG(1, 1))
	pool := NewPool(0)
	defer pool.Close()
	for _, m := range []int{1, 8, 32, 256} {
		a, c := random(r, m*k), make([]float32, m*n)
		flops := func(b *testing.B) {
			b.ReportMetric(2*float64(m*n*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		}
		for _, f := range []Format{F32, BF16, F16} {
			var ws []*Stored // more than the last cache holds
			for range 6 {
				w, _ := store(r, n, k, f)
				ws = append(ws, w)
			}
			b.Run(fmt.Sprintf("rows=%d/format=%d", m, f), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					pool.MulStored(c, n, a, k, ws[i%len(ws)], m, false)
				}
				flops(b)
			})
			if f != F32 {
				continue
			}
			ps := make([]Packed, len(ws))
			for i, w := range ws {
				wide := make([]float32, n*k)
				f.Decode(wide, w.Data)
				ps[i].PackTransposed(wide, n, k, k)
			}
			b.Run(fmt.Sprintf("rows=%d/packed", m), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					pool.Mul(c, n, a, k, &ps[i%len(ps)], m, false)
				}
				flops(b)
			})
		}
	}
}
