package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stargate/export/readback"
	"stargate/lm/local"
)

// ErrLossy: the trainer would train on other tokens than the examples say.
var ErrLossy = errors.New("this format cannot say which tokens are trained")

// Difference is how what a trainer makes of an example differs from the example.
type Difference struct {
	Missing    int `json:"missing"`    // tokens that should be trained and are not
	Extra      int `json:"extra"`      // tokens that are trained and should not be, tails included
	Tail       int `json:"tail"`       // of these, what the template puts behind the end of a turn
	Repeated   int `json:"repeated"`   // tokens that are trained in more than one row
	Reweighted int `json:"reweighted"` // tokens that are trained with another weight
	Diverged   int `json:"diverged"`   // rows that are made of other tokens
	Lost       int `json:"lost"`       // rows that the trainer leaves out or stops at

	First string `json:"first"` // the first of them, in words
}

// None tells whether the trainer does exactly what the example says.
func (d Difference) None() bool {
	return d.Missing == 0 && d.Extra == 0 && d.Repeated == 0 && d.Reweighted == 0 && d.Diverged == 0 && d.Lost == 0
}

// Compare holds rows that a trainer made of an example against it. Every row must be a beginning
// of the example's tokens, and over all rows each token must be trained once, with its weight;
// then each is predicted from exactly what is before it in the example. What stands behind the
// last trained token may be left out.
func Compare(t *local.Text, e Example, rows []readback.Row) Difference {
	var d Difference
	first := func(format string, args ...any) {
		if d.First == "" {
			d.First = fmt.Sprintf(format, args...)
		}
	}
	times := make([]int, len(e.IDs))
	weights := make([]float32, len(e.IDs))
	for n, row := range rows {
		same := 0
		for same < min(len(row.IDs), len(e.IDs)) && row.IDs[same] == e.IDs[same] {
			same++
		}
		trainedAfter := 0
		for i, w := range row.Weights {
			switch {
			case w == 0:
			case i >= same:
				trainedAfter++
			default:
				times[i]++
				weights[i] = w
			}
		}
		if same < len(row.IDs) && trainedAfter > 0 {
			d.Diverged++
			d.Extra += trainedAfter
			first("row %d becomes other tokens at token %d: %q instead of %q", n+1, same, around(t, row.IDs, same), around(t, e.IDs, same))
		}
	}
	for i, want := range e.Weights {
		switch {
		case want != 0 && times[i] == 0:
			d.Missing++
			first("token %d, %q, should be trained and is not: …%s", i, t.Piece(e.IDs[i]), around(t, e.IDs, i))
		case want == 0 && times[i] > 0:
			d.Extra++
			what := "a token of the prompt"
			if tail(t, e, i) {
				d.Tail++
				what = "what the template puts behind the end of a turn"
			}
			first("token %d, %q, is trained and should not be (%s)", i, t.Piece(e.IDs[i]), what)
		case times[i] > 1:
			d.Repeated++
			first("token %d, %q, is trained %d times", i, t.Piece(e.IDs[i]), times[i])
		case want != 0 && weights[i] != want:
			d.Reweighted++
			first("token %d, %q, is trained with the weight %g instead of %g", i, t.Piece(e.IDs[i]), weights[i], want)
		}
	}
	return d
}

// tail tells whether an untrained token stands right behind a trained end of turn, with nothing
// but other such tokens between.
func tail(t *local.Text, e Example, i int) bool {
	for j := i - 1; j >= 0; j-- {
		if e.Weights[j] != 0 {
			return slices.Contains(t.Ends(), e.IDs[j])
		}
		if t.Special(e.IDs[j]) || t.Special(e.IDs[i]) {
			return false
		}
	}
	return false
}

// around is a little text from a token on.
func around(t *local.Text, ids []int32, i int) string {
	return t.Decode(ids[min(i, len(ids)):min(i+6, len(ids))])
}

// Differences are those of all examples of an export.
type Differences struct {
	Difference     // sums, and the first
	Examples   int `json:"examples"` // that differ
}

func (d *Differences) add(key string, one Difference) {
	if one.None() {
		return
	}
	d.Examples++
	d.Missing += one.Missing
	d.Extra += one.Extra
	d.Tail += one.Tail
	d.Repeated += one.Repeated
	d.Reweighted += one.Reweighted
	d.Diverged += one.Diverged
	d.Lost += one.Lost
	if d.First == "" {
		d.First = fmt.Sprintf("example %q: %s", key, one.First)
	}
}

// String says what differs, in a line.
func (d Differences) String() string {
	if d.None() {
		return "no difference"
	}
	var parts []string
	say := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	say(d.Lost, "rows that the trainer leaves out or stops at")
	say(d.Diverged, "rows of other tokens")
	say(d.Missing, "tokens not trained that should be")
	say(d.Extra-d.Tail, "tokens trained that should not be")
	say(d.Tail, "tokens trained behind the end of a turn, where the template has a tail")
	say(d.Repeated, "tokens trained more than once")
	say(d.Reweighted, "tokens trained with another weight")
	return fmt.Sprintf("%d examples differ: %s. First: %s", d.Examples, strings.Join(parts, ", "), d.First)
}
