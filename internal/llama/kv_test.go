package llama

import (
	"testing"

	"pgregory.net/rapid"
)

// The cache against a map of reference counts.
func TestCachePagesAreCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := NewCache(oddConfig(), rapid.IntRange(1, 90).Draw(t, "capacity"))
		refs := map[Page]int{}
		held := func() []Page {
			var ps []Page
			for p := Page(0); int(p) < k.Capacity(); p++ {
				if refs[p] > 0 {
					ps = append(ps, p)
				}
			}
			return ps
		}
		last := Page(-1)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0, 1:
				p, ok := k.Alloc(last)
				if want := len(held()) < k.Capacity(); ok != want {
					t.Fatalf("Alloc says %v with %d of %d pages held", ok, len(held()), k.Capacity())
				}
				if ok {
					if refs[p] != 0 {
						t.Fatalf("page %d was given out twice", p)
					}
					refs[p], last = 1, p
				}
			case 2:
				if ps := held(); len(ps) > 0 {
					p := rapid.SampledFrom(ps).Draw(t, "page")
					k.Retain(p)
					refs[p]++
				}
			case 3:
				if ps := held(); len(ps) > 0 {
					p := rapid.SampledFrom(ps).Draw(t, "page")
					k.Release(p)
					refs[p]--
				}
			}
			if got, want := k.Free(), k.Capacity()-len(held()); got != want {
				t.Fatalf("%d pages free, want %d", got, want)
			}
			for p, n := range refs {
				if n > 0 && k.Refs(p) != n {
					t.Fatalf("page %d has %d references, want %d", p, k.Refs(p), n)
				}
			}
		}
	})
}

// Sequences that grow in turns get neighbouring pages all the same.
func TestSequencesGetNeighbouringPages(t *testing.T) {
	k := NewCache(oddConfig(), 64)
	seqs := make([][]Page, 5)
	for range 8 {
		for i, s := range seqs {
			last := Page(-1)
			if len(s) > 0 {
				last = s[len(s)-1]
			}
			p, ok := k.Alloc(last)
			if !ok {
				t.Fatal("no page left")
			}
			seqs[i] = append(s, p)
		}
	}
	for i, s := range seqs {
		for j := range s {
			if j%groupPages != 0 && s[j] != s[j-1]+1 {
				t.Errorf("sequence %d has pages %v; want runs of %d", i, s, groupPages)
				break
			}
		}
	}
}
