package rating

import (
	"fmt"
	"maps"
	"slices"

	"stargate/eval/judge"
)

// Human marks the name of a person in a panel of judges.
const Human = "human: "

// Records undoes the blinding: one record for every comparison that a rater judged. A
// comparison judged in both orders is a tie where the verdict changed with the order, as it
// is for model judges.
func (k Key) Records(a Answers, rater string) ([]judge.Record, error) {
	if a.Sheet != k.Sheet {
		return nil, fmt.Errorf("answers of %s are of sheet %q, not of %q", rater, a.Sheet, k.Sheet)
	}
	type comparison struct{ model, pair string }
	found := map[comparison]judge.Record{}
	for _, answer := range a.Answers {
		i, ok := k.Items[answer.Item]
		if !ok {
			return nil, fmt.Errorf("answers of %s: item %q is not on sheet %s", rater, answer.Item, k.Sheet)
		}
		c := comparison{i.Model, i.Pair}
		r, ok := found[c]
		if !ok {
			r = judge.Record{Pair: i.Pair, Task: i.Task, Persona: i.Persona, Model: i.Model, Base: i.Base, Judge: Human + rater, WordsA: i.WordsA, WordsB: i.WordsB}
		}
		o := judge.Opinion{Verdict: answer.Verdict, Attempts: 1}
		if i.Swapped {
			o.Verdict = o.Verdict.Swapped()
			r.Ballot.Swapped = &o
		} else {
			r.Ballot.Shown = o
		}
		r.Ballot.Verdict = agreed(r.Ballot.Opinions())
		found[c] = r
	}
	var out []judge.Record
	for _, c := range slices.SortedFunc(maps.Keys(found), func(x, y comparison) int {
		return slices.Compare([]string{x.model, x.pair}, []string{y.model, y.pair})
	}) {
		out = append(out, found[c])
	}
	return out, nil
}

func agreed(opinions []judge.Opinion) judge.Verdict {
	for _, o := range opinions[1:] {
		if o.Verdict != opinions[0].Verdict {
			return judge.Tie
		}
	}
	return opinions[0].Verdict
}
