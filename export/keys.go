package export

import "crypto/sha256"

// keySet remembers where keys were used first, in 24 bytes each: files of millions of rows are
// read in little memory.
type keySet map[[16]byte]int

// add notes a key; used tells whether it was there, and first where.
func (k keySet) add(key string, where int) (first int, used bool) {
	sum := sha256.Sum256([]byte(key))
	short := [16]byte(sum[:16])
	if first, used = k[short]; !used {
		k[short] = where
	}
	return first, used
}
