package build

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestShinglesAndJaccard(t *testing.T) {
	for _, c := range []struct {
		a, b     string
		from, to float64
	}{
		{"How do I make money online?", "how do i make  money online", 1, 1},
		{"How do I make money online?", "How can I make money online?", 0.5, 0.9},
		{"What is a roux?", "Plan a trip to Rome.", 0, 0.05},
		{"Hm.", "hm", 1, 1},
		{"", "", 0, 0},
		{"?!", "Plan.", 0, 0},
	} {
		if got := jaccard(shingles(c.a), shingles(c.b)); got < c.from || got > c.to {
			t.Errorf("%q and %q are similar to %.3f, want %.2f to %.2f", c.a, c.b, got, c.from, c.to)
		}
	}
}

// exactly compares every pair.
func exactly(texts []string, least float64) []pair {
	var out []pair
	sets := make([][]uint64, len(texts))
	for i, t := range texts {
		sets[i] = shingles(t)
	}
	for i := range sets {
		for j := i + 1; j < len(sets); j++ {
			if same := jaccard(sets[i], sets[j]); same >= least {
				out = append(out, pair{i, j, same})
			}
		}
	}
	return out
}

// Signatures find what comparing every pair finds.
func TestNearPairsAreAllPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"plan", "a", "trip", "cook", "dinner", "for", "two", "in", "rome", "tonight"})
		texts := rapid.SliceOfN(rapid.Map(rapid.SliceOfN(word, 1, 8), func(w []string) string { return fmt.Sprint(w) }), 0, 40).Draw(t, "texts")
		if got, want := nearPairs(texts, 0.8), exactly(texts, 0.8); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestNearPairsOfThePapersTasks(t *testing.T) {
	var texts []string
	for _, split := range []string{"A", "B"} {
		data, err := os.ReadFile("../../../shared/data/paper/prompts/" + split + ".json")
		if err != nil {
			t.Skip("the paper's data is not here")
		}
		var of []string
		if err := json.Unmarshal(data, &of); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, of...)
	}
	got, want := nearPairs(texts, DefaultNear), exactly(texts, DefaultNear)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d pairs by signature, %d by comparing all", len(got), len(want))
	}
	for _, p := range got {
		t.Logf("%.2f\n\t%s\n\t%s", p.same, texts[p.i], texts[p.j])
	}
}

func TestClusters(t *testing.T) {
	got := clusters(7, []pair{{0, 4, 1}, {2, 3, 1}, {4, 6, 1}})
	if want := [][]int{{0, 4, 6}, {2, 3}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
