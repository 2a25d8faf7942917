package stargate_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"stargate"
)

// Pairs that go by one after the other, and are not kept, are those of an iteration that keeps
// them, whatever the order in which they finish; and given back later they make the same run.
func TestPairsGoByInOrder(t *testing.T) {
	kept := run(t, newWorld(t))
	type pair struct {
		best stargate.Candidates
		sel  []stargate.Selected
	}
	seen := map[int][]pair{}
	w := newWorld(t)
	w.in.Config.Concurrency = 16
	w.in.Visit = func(_ context.Context, n, i int, best stargate.Candidates, sel []stargate.Selected) error {
		if i != len(seen[n]) {
			t.Fatalf("iteration %d: pair %d came when %d had come", n, i, len(seen[n]))
		}
		seen[n] = append(seen[n], pair{best, sel})
		return nil
	}
	passed := run(t, w)
	again := newWorld(t)
	again.in.Known = func(_ context.Context, n int, visit func(int, stargate.Candidates, []stargate.Selected) error) (bool, error) {
		for i, p := range seen[n] {
			if err := visit(i, p.best, p.sel); err != nil {
				return true, err
			}
		}
		return true, nil
	}
	replayed := run(t, again)
	if n := len(again.base.generated) + len(again.base.scored) + len(again.roleplayer.generated); n > 0 {
		t.Errorf("%d calls for what was known", n)
	}
	for k, it := range kept {
		var got []stargate.Candidates
		for _, p := range seen[it.N] {
			got = append(got, p.best)
		}
		if !reflect.DeepEqual(got, it.Candidates) || passed[k].Candidates != nil {
			t.Errorf("iteration %d: other candidates went by than are kept", it.N)
		}
		var selected []stargate.Selected
		for _, p := range seen[it.N] {
			selected = append(selected, p.sel...)
		}
		if !reflect.DeepEqual(selected, it.Selected) || passed[k].Selected != nil || passed[k].Examples != it.Examples {
			t.Errorf("iteration %d: something else was selected than is kept", it.N)
		}
		if !reflect.DeepEqual(replayed[k].Selected, it.Selected) || !reflect.DeepEqual(replayed[k].Candidates, it.Candidates) || replayed[k].Examples != it.Examples {
			t.Errorf("iteration %d: what was known makes something else", it.N)
		}
	}
	w = newWorld(t)
	full := errors.New("no space")
	w.in.Visit = func(context.Context, int, int, stargate.Candidates, []stargate.Selected) error { return full }
	if _, err := stargate.Run(t.Context(), w.in); !errors.Is(err, full) {
		t.Errorf("a visit that failed: %v", err)
	}
}
