package dataset

import (
	"cmp"
	"fmt"
	"slices"

	"stargate"
)

// Size is how many tasks and personas a split has.
type Size struct {
	Tasks    int `json:"tasks" yaml:"tasks"`
	Personas int `json:"personas" yaml:"personas"`
}

// Sizes are the sizes of the three splits.
type Sizes struct {
	A    Size `json:"a" yaml:"a"`
	B    Size `json:"b" yaml:"b"`
	Test Size `json:"test" yaml:"test"`
}

// Splits are the data of a run.
type Splits struct {
	A, B, Test stargate.Split
	Excluded   []string `json:",omitempty"` // keys of pairs that are left out because they have no gold response

	LeftOut []LeftOut `json:"-"` // the excluded pairs with their place
}

// LeftOut is a pair that a split does without, because the Oracle has no gold response to give.
type LeftOut struct {
	Split string
	Pair  stargate.Pair // without a gold
}

// WithoutGold are the pairs whose gold responses are still to be made, in the order of the
// splits; see [Set.DealOpen].
func (s Splits) WithoutGold() []stargate.Pair {
	var out []stargate.Pair
	for _, split := range []stargate.Split{s.A, s.B, s.Test} {
		for _, p := range split.Pairs {
			if p.Gold == "" {
				out = append(out, p)
			}
		}
	}
	return out
}

// Make deals tasks and personas to the splits by hash of seed and text, so that neither
// the order of a file nor a line added to it moves the others far. Where there is less
// data than the sizes ask for, the splits shrink in proportion; each needs at least one
// task and one persona. gold must hold every pair that results.
func Make(seed uint64, sizes Sizes, tasks []stargate.Task, personas []stargate.Persona, gold Gold) (Splits, error) {
	return MakeGiven(seed, sizes, nil, nil, tasks, personas, gold)
}

// combine pairs the tasks and personas of each split with their gold responses. If open, pairs
// may lack one.
func combine(tasks [][]stargate.Task, personas [][]stargate.Persona, gold Gold, open bool) (Splits, error) {
	var s Splits
	var missing []string
	for i, split := range []*stargate.Split{&s.A, &s.B, &s.Test} {
		split.Name = SplitNames()[i]
		for _, u := range personas[i] { // persona-major, as the authors' files are
			for _, t := range tasks[i] {
				p := stargate.Pair{Task: t, Persona: u}
				var ok bool
				p.Gold, ok = gold.Of(t, u)
				switch {
				case !ok:
					missing = append(missing, p.Key())
				case p.Gold == "":
					s.Excluded = append(s.Excluded, p.Key())
					s.LeftOut = append(s.LeftOut, LeftOut{split.Name, p})
					continue
				}
				split.Pairs = append(split.Pairs, p)
			}
		}
	}
	switch {
	case len(missing) > 0 && open:
		return s, stargate.CheckDisjoint(s.A, s.B, s.Test)
	case len(missing) > 0:
		return Splits{}, fmt.Errorf("%w: %d pairs have no gold response, first %s", ErrNoGold, len(missing), missing[0])
	}
	return s, s.Check()
}

// ErrNoGold: pairs of the splits lack a gold response, and are not excluded either.
var ErrNoGold = fmt.Errorf("%w without gold responses", stargate.ErrData)

// Check validates the splits and that they share no task and no persona.
func (s Splits) Check() error {
	for _, split := range []stargate.Split{s.A, s.B, s.Test} {
		if err := split.Validate(); err != nil {
			return err
		}
	}
	return stargate.CheckDisjoint(s.A, s.B, s.Test)
}

func deal[T any](seed uint64, what string, want []int, items []T, text func(T) string) ([][]T, error) {
	if len(items) < len(want) {
		return nil, fmt.Errorf("%w: %d %ss cannot fill the splits A, B and test; give at least %d", stargate.ErrData, len(items), what, len(want))
	}
	sorted := byHash(seed, what, items, text)
	total := 0
	for i, w := range want {
		if w < 1 {
			return nil, fmt.Errorf("%w: split %s asks for %d %ss, want at least 1", stargate.ErrData, SplitNames()[i], w, what)
		}
		total += w
	}
	counts := slices.Clone(want)
	if total > len(items) {
		left := len(items)
		for i, w := range want {
			counts[i] = max(1, w*len(items)/total)
			left -= counts[i]
		}
		for i := 0; left != 0; i = (i + 1) % len(counts) { // rounding
			if left > 0 {
				counts[i]++
				left--
			} else if counts[i] > 1 {
				counts[i]--
				left++
			}
		}
	}
	out := make([][]T, len(want))
	for i, c := range counts {
		out[i], sorted = sorted[:c:c], sorted[c:]
	}
	return out, nil
}

// byHash orders items by the hash of seed and text.
func byHash[T any](seed uint64, what string, items []T, text func(T) string) []T {
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b T) int { return cmp.Compare(Rank(seed, what, text(a)), Rank(seed, what, text(b))) })
	return sorted
}

// Rank is the hash by which a text is dealt to a split: lowest first. what is "task" or
// "persona".
func Rank(seed uint64, what, text string) uint64 {
	return stargate.Seed(seed, "split", what, fold(text))
}
