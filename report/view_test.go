package report

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// The sample is bounded, in order, the same every time, and does not change for the pairs
// that stay when others join.
func TestPick(t *testing.T) {
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprintf("t%d/u%d", i, i%7))
	}
	got := Pick(keys, 10)
	if len(got) != 10 || !slices.IsSorted(got) || !slices.Equal(got, Pick(keys, 10)) {
		t.Errorf("Pick gives %v", got)
	}
	for _, i := range got {
		if !slices.Contains(Pick(keys, 20), i) {
			t.Errorf("a larger sample lacks item %d of the smaller", i)
		}
	}
	if got := Pick(keys, 200); len(got) != 100 {
		t.Errorf("a limit above all items gives %d", len(got))
	}
	if got := Pick(nil, 3); len(got) != 0 {
		t.Errorf("nothing to pick from gives %v", got)
	}
}

func TestViewCountsAllPairsAndSortsCandidates(t *testing.T) {
	v := ViewOf(fakeIteration(rand.New(rand.NewPCG(1, 1)), 1, 20), fakeTruth{}, 6)
	if v.Pairs != 20 || len(v.Sample) != 6 || v.Complete != 196 || v.Dropped["no-question"] != 4 || v.Redrawn["several-questions"] != 9 || v.Dropped["example: context-too-long"] != 1 {
		t.Errorf("pairs %d, shown %d, complete %d, dropped %v, redrawn %v", v.Pairs, len(v.Sample), v.Complete, v.Dropped, v.Redrawn)
	}
	for _, p := range v.Sample {
		if first := p.Conversations[0]; !first.Selected || first.Response == "" || len(first.Relevant) != len(first.Turns) {
			t.Errorf("pair %s: the first conversation is not the selected one with its response: %+v", p.Pair.Key(), first)
		}
		for i := 2; i < len(p.Conversations); i++ {
			a, b := p.Conversations[i-1].LogProb, p.Conversations[i].LogProb
			if a == nil && b != nil || a != nil && b != nil && *a < *b {
				t.Errorf("pair %s: candidates %d and %d are out of order", p.Pair.Key(), i-1, i)
			}
		}
	}
}
