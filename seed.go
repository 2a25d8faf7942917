package stargate

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Seed names a random stream: the hash of the run's seed and of what is drawn. No draw
// depends on any other, so that worker count, batch size and resuming cannot change one.
func Seed(run uint64, names ...any) uint64 {
	h := sha256.New()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], run)
	h.Write(b[:])
	for _, n := range names {
		s := fmt.Sprint(n)
		binary.LittleEndian.PutUint64(b[:], uint64(len(s)))
		h.Write(b[:])
		h.Write([]byte(s))
	}
	return binary.LittleEndian.Uint64(h.Sum(nil))
}
