package judge

import (
	"context"
	"fmt"

	"stargate"
)

// Comparison asks which of two responses serves a pair's persona better.
type Comparison struct {
	Pair stargate.Pair
	A, B string
}

// swapped shows the two the other way round.
func (c Comparison) swapped() Comparison { return Comparison{c.Pair, c.B, c.A} }

// Verdict is a judge's answer.
type Verdict string

// The verdicts. Invalid is counted and shown, never a loss and never dropped.
const (
	First   Verdict = "A"
	Second  Verdict = "B"
	Tie     Verdict = "tie"
	Invalid Verdict = "invalid"
)

// Swapped is the same verdict on the responses the other way round.
func (v Verdict) Swapped() Verdict {
	switch v {
	case First:
		return Second
	case Second:
		return First
	}
	return v
}

// Value is what a verdict counts for A: 1, ½ for a tie, 0; ok is false for no verdict.
func (v Verdict) Value() (value float64, ok bool) {
	switch v {
	case First:
		return 1, true
	case Tie:
		return 0.5, true
	case Second:
		return 0, true
	}
	return 0, false
}

// Opinion is one verdict and what it took.
type Opinion struct {
	Verdict    Verdict `json:"verdict"`
	Attempts   int     `json:"attempts"`
	Refused    int     `json:"refused,omitempty"`    // attempts the model declined
	Unparsable int     `json:"unparsable,omitempty"` // attempts whose text held no verdict, cut ones included
}

// Judge compares responses.
type Judge interface {
	// Compare judges c as shown. An error is a failure of the model; that it says nothing
	// usable is a verdict, Invalid.
	Compare(ctx context.Context, c Comparison) (Opinion, error)
	// Biased tells whether the order of the two can matter; then both orders are asked.
	Biased() bool
}

// Named is a judge of a panel.
type Named struct {
	Name  string
	Judge Judge
	Self  string // the model under evaluation that this judge is, if it is one: for self-preference
}

// Panel is several judges. The first gives the win rates; the others tell how much they
// depend on it.
type Panel []Named

// Validate says what is wrong with a panel, in words.
func (p Panel) Validate() error {
	seen := map[string]bool{}
	for _, j := range p {
		switch {
		case j.Judge == nil:
			return fmt.Errorf("judge %q is missing", j.Name)
		case j.Name == "" || seen[j.Name]:
			return fmt.Errorf("judge name %q: names must be there and differ", j.Name)
		}
		seen[j.Name] = true
	}
	return nil
}

// Ballot is what a judge says of a comparison.
type Ballot struct {
	Shown   Opinion  `json:"shown"`             // in the order of the comparison; no attempts if it was not asked
	Swapped *Opinion `json:"swapped,omitempty"` // in the other order, its verdict turned back; nil if it was not asked
	Verdict Verdict  `json:"verdict"`           // what counts
}

// Orders says in which orders a judge is asked.
type Orders string

// The ways to ask.
const (
	Both     Orders = "both"    // a disagreement is a tie
	CoinFlip Orders = "authors" // one order, by coin flip: the paper's procedure (PROTOCOL §7)
)

// Vote asks a judge about two responses. coin decides the single order of [CoinFlip]; a
// judge that is not biased is asked once in any case.
func Vote(ctx context.Context, j Judge, c Comparison, orders Orders, coin uint64) (Ballot, error) {
	if orders == CoinFlip && j.Biased() && coin%2 == 1 {
		o, err := j.Compare(ctx, c.swapped())
		o.Verdict = o.Verdict.Swapped()
		return Ballot{Swapped: &o, Verdict: o.Verdict}, err
	}
	o, err := j.Compare(ctx, c)
	b := Ballot{Shown: o, Verdict: o.Verdict}
	if err != nil || orders == CoinFlip || !j.Biased() || o.Verdict == Invalid {
		return b, err
	}
	s, err := j.Compare(ctx, c.swapped())
	s.Verdict = s.Verdict.Swapped()
	b.Swapped = &s
	switch {
	case s.Verdict == Invalid:
		b.Verdict = Invalid
	case s.Verdict != o.Verdict:
		b.Verdict = Tie
	}
	return b, err
}

// Flip is the verdict in one order by coin flip, as the authors count it, of a ballot that
// holds both orders or one.
func (b Ballot) Flip(coin uint64) Verdict {
	if b.Swapped != nil && (coin%2 == 1 || b.Shown.Attempts == 0) {
		return b.Swapped.Verdict
	}
	return b.Shown.Verdict
}

// Opinions lists what was asked for.
func (b Ballot) Opinions() []Opinion {
	var all []Opinion
	if b.Shown.Attempts > 0 {
		all = append(all, b.Shown)
	}
	if b.Swapped != nil {
		all = append(all, *b.Swapped)
	}
	return all
}

// Majority is what more than half of the judges with a verdict say; a tie where no verdict
// has so many, and invalid where there is none.
func Majority(ballots []Ballot) Verdict {
	count, n := map[Verdict]int{}, 0
	for _, b := range ballots {
		if b.Verdict != Invalid {
			count[b.Verdict]++
			n++
		}
	}
	switch {
	case n == 0:
		return Invalid
	case 2*count[First] > n:
		return First
	case 2*count[Second] > n:
		return Second
	}
	return Tie
}
