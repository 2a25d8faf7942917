package runner

import (
	"testing"

	"stargate"
	"stargate/dataset"
	"stargate/lm"
)

// A fine-tune keeps its key, and a run its identity, however much of it is in memory at once.
func TestLongDigestsAreThoseOfTheirJSON(t *testing.T) {
	same := func(v any, got string, err error) {
		t.Helper()
		want, errWant := digest(v)
		if err != nil || errWant != nil || got != want {
			t.Errorf("%v: %s, want %s (%v, %v)", v, got, want, err, errWant)
		}
	}
	e := lm.Example{Key: "t/u#1", Messages: lm.Chat{{Role: lm.User, Content: "a < b & \"c\""}, {Role: lm.Assistant, Content: "\xff é"}}, Loss: []int{1}}
	for _, list := range [][]any{
		{}, {"tune"}, {"tune", "d", []lm.Example{e}, lm.PaperHyper()}, {[]lm.Example{e, e, {}}}, {[]lm.Example{}}, {[]lm.Example(nil), 1},
	} {
		got, err := digestList(list)
		same(list, got, err)
	}
	p := stargate.Pair{Task: stargate.Task{ID: "t", Text: "<b>"}, Persona: stargate.Persona{ID: "u", Name: "Ann"}, Gold: "g"}
	for _, s := range []dataset.Splits{
		{}, {A: stargate.Split{Name: "A", Pairs: []stargate.Pair{p, p}}, B: stargate.Split{Name: "B", Pairs: []stargate.Pair{}}},
		{Test: stargate.Split{Name: "test", Pairs: []stargate.Pair{p}}, Excluded: []string{"t/v"}, LeftOut: []dataset.LeftOut{{Split: "A"}}},
	} {
		got, err := digestSplits(s)
		same(s, got, err)
	}
}
