package build

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// MinHash signatures find candidates (Broder, 1997) and banding keeps them few; the exact
// Jaccard similarity decides, so that a reported pair is always one. With bands rows of
// rowsPerBand hashes a pair of similarity s is found with probability 1-(1-s^4)^48: more
// than 0.99999 from s = 0.7 on.
const (
	bands       = 48
	rowsPerBand = 4
)

// pair is two texts, by index, i before j.
type pair struct {
	i, j int
	same float64 // Jaccard similarity of their shingles
}

// nearPairs are all pairs of texts that are similar to at least this degree, in order.
func nearPairs(texts []string, least float64) []pair {
	sets := make([][]uint64, len(texts))
	for i, t := range texts {
		sets[i] = shingles(t)
	}
	var found []pair
	seen := map[[2]int]bool{}
	for band := range bands {
		buckets := map[uint64][]int{}
		for i, set := range sets {
			if len(set) == 0 {
				continue
			}
			key := bandKey(set, band)
			for _, other := range buckets[key] {
				if id := [2]int{other, i}; !seen[id] {
					seen[id] = true
					if same := jaccard(sets[other], set); same >= least {
						found = append(found, pair{other, i, same})
					}
				}
			}
			buckets[key] = append(buckets[key], i)
		}
	}
	slices.SortFunc(found, func(a, b pair) int { return cmp.Or(cmp.Compare(a.i, b.i), cmp.Compare(a.j, b.j)) })
	return found
}

// bandKey is one band of a set's signature: for each of its hash functions the least hash
// of the set.
func bandKey(set []uint64, band int) uint64 {
	var key [8 * rowsPerBand]byte
	for row := range rowsPerBand {
		salt := mix(uint64(band*rowsPerBand+row) + 1)
		least := uint64(math.MaxUint64)
		for _, x := range set {
			least = min(least, mix(x^salt))
		}
		binary.LittleEndian.PutUint64(key[8*row:], least)
	}
	return xxhash.Sum64(key[:])
}

// mix spreads a number over all bits: the finaliser of SplitMix64 (Steele et al., 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// clusters joins pairs that share a text. A cluster lists its texts in order; clusters are
// ordered by their first.
func clusters(n int, pairs []pair) [][]int {
	parent := make([]int, n)
	for i := range parent {
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	for _, p := range pairs {
		a, b := root(p.i), root(p.j)
		parent[max(a, b)] = min(a, b)
	}
	members := map[int][]int{}
	for i := range n {
		members[root(i)] = append(members[root(i)], i)
	}
	var out [][]int
	for i := range n {
		if parent[i] == i && len(members[i]) > 1 {
			out = append(out, members[i])
		}
	}
	return out
}
