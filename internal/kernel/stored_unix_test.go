//go:build unix

package kernel

import (
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Nothing is read before or after a matrix: it lies between two pages that may not be read.
func TestMulStoredReadsTheMatrixAlone(t *testing.T) {
	page := os.Getpagesize()
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for _, f := range formats {
			for _, s := range [][2]int{{32, 16}, {32, 17}, {33, 31}, {64, 299}, {48, 401}} {
				w, _ := store(r, s[0], s[1], f)
				size := (len(w.Data) + page - 1) / page * page
				memory, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
				if err != nil {
					t.Fatal(err)
				}
				for _, fence := range [][]byte{memory[:page], memory[page+size:]} {
					if err := unix.Mprotect(fence, unix.PROT_NONE); err != nil {
						t.Fatal(err)
					}
				}
				first, last := memory[page:][:len(w.Data)], memory[page+size-len(w.Data):][:len(w.Data)]
				for _, at := range [][]byte{first, last} {
					copy(at, w.Data)
					at := &Stored{N: w.N, K: w.K, Format: f, Data: at}
					for m := 1; m <= 9; m++ {
						MulStored(make([]float32, m*w.N), w.N, make([]float32, m*w.K), w.K, at, m, false, 0, w.Panels())
					}
				}
				if err := unix.Munmap(memory); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
