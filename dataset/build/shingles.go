package build

import (
	"slices"
	"strings"
	"unicode"

	"github.com/cespare/xxhash/v2"
)

// shingleLength is the number of characters of a shingle: long enough that two sentences
// about different things share few, short enough for tasks of three words.
const shingleLength = 5

// normal is a text as near-duplicate search sees it: lower case, words alone, single spaces.
func normal(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}

// shingles are the hashes of all runs of shingleLength characters of a text, sorted, each
// once. A shorter text is one shingle; a text without words has none.
func shingles(text string) []uint64 {
	runes := []rune(normal(text))
	if len(runes) == 0 {
		return nil
	}
	var set []uint64
	for i := 0; i == 0 || i+shingleLength <= len(runes); i++ {
		set = append(set, xxhash.Sum64String(string(runes[i:min(i+shingleLength, len(runes))])))
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// jaccard is |a ∩ b| / |a ∪ b| of two sorted sets (Jaccard, 1901); 0 if both are empty.
func jaccard(a, b []uint64) float64 {
	common := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			common, i, j = common+1, i+1, j+1
		}
	}
	if common == 0 {
		return 0
	}
	return float64(common) / float64(len(a)+len(b)-common)
}
