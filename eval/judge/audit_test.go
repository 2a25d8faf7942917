package judge

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stargate"
	"stargate/eval/stats"
)

// said is a ballot of two orders: the verdicts as the judge gave them, by position.
func said(shown, swapped Verdict) Ballot {
	back := Opinion{Verdict: swapped.Swapped(), Attempts: 1}
	b := Ballot{Shown: Opinion{Verdict: shown, Attempts: 1}, Swapped: &back, Verdict: shown}
	switch {
	case shown == Invalid || swapped == Invalid:
		b.Verdict = Invalid
	case back.Verdict != shown:
		b.Verdict = Tie
	}
	return b
}

func record(i int, b Ballot, wordsA, wordsB int) Record {
	return Record{Pair: fmt.Sprintf("t%d/u%d", i/5, i%5), Task: fmt.Sprint("t", i/5), Persona: fmt.Sprint("u", i%5), Model: "m1", Base: "m0", Judge: "j", Ballot: b, WordsA: wordsA, WordsB: wordsB}
}

// Six comparisons by hand: two won in both orders, one lost in both, one where the judge
// took the first whatever it was, one the second, one without a verdict in the second order.
func TestAuditByHand(t *testing.T) {
	records := []Record{
		record(0, said(First, Second), 20, 10), record(1, said(First, Second), 20, 10), record(2, said(Second, First), 30, 10),
		record(3, said(First, First), 10, 20), record(4, said(Second, Second), 10, 10), record(5, said(First, Invalid), 10, 20),
	}
	records[5].Ballot.Swapped.Attempts, records[5].Ballot.Swapped.Refused, records[5].Ballot.Swapped.Unparsable = 3, 1, 2
	a := AuditOf(records, "j", "", 1)
	if a.N != 6 || a.Invalid != 1 || a.Calls != 14 || a.Retried != 2 || a.Refused != 1 || a.Unparsable != 2 {
		t.Errorf("counts: %+v", a)
	}
	if o := a.Order; o == nil || o.FirstBy != 1 || o.SecondBy != 1 || o.Flips.Rate != 2./5 || o.Flips.N != 5 {
		t.Errorf("order: %+v", o)
	}
	// By position: A, B; A, B; B, A; A, A; B, B; A → 6 of 11.
	if p := a.Order.Position; p == nil || p.N != 11 || math.Abs(p.Rate-6./11) > 1e-12 {
		t.Errorf("position: %+v", p)
	}
	// Decided with different lengths: 0 and 1 by the longer, 2 by the shorter.
	if l := a.Longer; l == nil || l.N != 3 || math.Abs(l.Rate-2./3) > 1e-12 {
		t.Errorf("longer: %+v", l)
	}
	w := a.Wins[0]
	if w.Model != "m1" || w.N != 5 || w.Ties != 2 || w.Invalid != 1 || math.Abs(w.Rate-(2+1)/5.) > 1e-12 {
		t.Errorf("wins: %+v", w)
	}
	if w.Authors == nil || w.Authors.N < 5 { // an order each; only the invalid one can be missing
		t.Errorf("authors' count: %+v", w.Authors)
	}
}

// A judge that prefers the first response by a known probability: the flip rate and the
// position bias are what they must be, the both-order win rate is fair, and the authors' one
// is fair on average.
func TestPositionBiasIsMeasured(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const bias = 0.3 // of verdicts are "the first one", the others coin flips between equals
	j := &biased{says: func(_, _ string) Verdict {
		if r.Float64() < bias || r.Float64() < 0.5 {
			return First
		}
		return Second
	}}
	var records []Record
	for i := range 4000 {
		pair := stargate.Pair{Task: stargate.Task{ID: fmt.Sprint("t", i/40)}, Persona: stargate.Persona{ID: fmt.Sprint("u", i%40)}}
		b, err := Vote(context.Background(), j, Comparison{Pair: pair, A: "x", B: "y"}, Both, Coin(9, "m1", pair.Key()))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, Record{Pair: pair.Key(), Task: pair.Task.ID, Persona: pair.Persona.ID, Model: "m1", Base: "m0", Judge: "j", Ballot: b, WordsA: 1, WordsB: 1})
	}
	a := AuditOf(records, "j", "", 9)
	first := bias + (1-bias)/2 // 0.65
	if p := a.Order.Position; math.Abs(p.Rate-first) > 0.02 || p.Low > first || p.High < first {
		t.Errorf("position %+v, want %g", p, first)
	}
	if f := a.Order.Flips; math.Abs(f.Rate-(first*first+(1-first)*(1-first))) > 0.02 {
		t.Errorf("flips %+v", f)
	}
	for _, rate := range []*Rate{{a.Wins[0].Rate, a.Wins[0].Low, a.Wins[0].High, a.Wins[0].N}, a.Wins[0].Authors} {
		if rate.Low > 0.5 || rate.High < 0.5 {
			t.Errorf("equal responses: %+v", rate)
		}
	}
	if a.Longer != nil || a.Wins[0].SameLength != nil {
		t.Errorf("all lengths are the same, but %+v, %+v", a.Longer, a.Wins[0].SameLength)
	}
}

// A judge of length alone: the longer wins always; at equal lengths nobody would.
func TestLengthIsTakenOut(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var records []Record
	for i := range 400 {
		a, b := 20+r.IntN(60), 20+r.IntN(20) // the model writes more
		v := Second
		if r.Float64() < 1/(1+math.Exp(-2*math.Log(float64(1+a)/float64(1+b)))) {
			v = First
		}
		records = append(records, record(i, said(v, v.Swapped()), a, b))
	}
	a := AuditOf(records, "j", "", 1)
	if w := a.Wins[0]; w.Rate < 0.6 || w.SameLength == nil || math.Abs(*w.SameLength-0.5) > 0.08 {
		t.Errorf("rate %g, at the same length %v", w.Rate, *w.SameLength)
	}
	if a.Longer.Rate < 0.6 {
		t.Errorf("longer %+v", a.Longer)
	}
}

// The judge that is m0 votes for m0 where two others vote for m1 half of the time.
func TestSelfPreference(t *testing.T) {
	var records []Record
	for i := range 40 {
		mine, theirs := record(i, said(Second, First), 9, 9), record(i, said(First, Second), 9, 9)
		if i%2 == 0 {
			theirs.Ballot = said(Second, First)
		}
		mine.Judge, theirs.Judge = "own", "x"
		third := theirs
		third.Judge = "y"
		records = append(records, mine, theirs, third)
	}
	s := AuditOf(records, "own", "m0", 1).Self
	want := &SelfRate{Model: "m0", Own: 1, Others: 0.5, Difference: 0.5, N: 40}
	if d := cmp.Diff(want, s, cmpopts.IgnoreFields(SelfRate{}, "Low", "High")); d != "" || s.Low <= 0 {
		t.Errorf("%+v (-want +got):\n%s", s, d)
	}
	if s := AuditOf(records, "own", "m1", 1).Self; s.Own != 0 || s.Difference != -0.5 {
		t.Errorf("as m1 it is against itself: %+v", s)
	}
	if s := AuditOf(of(records, "own"), "own", "m0", 1).Self; s != nil {
		t.Errorf("without other judges: %+v", s)
	}
}

// Two judges that agree in 7 of 10 comparisons with a κ of 0.4 (the example of package
// stats), and one that says nothing.
func TestAgreementOf(t *testing.T) {
	var records []Record
	for i := range 50 {
		a, b := First, First
		switch {
		case i >= 35:
			a, b = Second, Second
		case i >= 25:
			a = Second
		case i >= 20:
			b = Second
		}
		x, y, z := record(i, said(a, a.Swapped()), 1, 1), record(i, said(b, b.Swapped()), 1, 1), record(i, said(Invalid, Invalid), 1, 1)
		x.Judge, y.Judge, z.Judge = "x", "y", "mute"
		records = append(records, x, y, z)
	}
	a := AgreementOf(records, stats.Resampling{Resamples: 500, Seed: 1})
	if a == nil || a.Items != 50 || len(a.Pairs) != 1 || a.Fleiss != nil {
		t.Fatalf("%+v", a)
	}
	if k := a.Pairs[0]; k.A != "x" || k.B != "y" || math.Abs(k.Kappa-0.4) > 1e-12 || k.Observed != 0.7 {
		t.Errorf("%+v", k)
	}
	if math.Abs(a.Alpha-0.4) > 0.02 || a.Low == nil || *a.Low > a.Alpha || *a.High < a.Alpha {
		t.Errorf("α %+v", a)
	}
	if one := AgreementOf(of(records, "x"), stats.Resampling{}); one != nil {
		t.Errorf("a judge with itself: %+v", one)
	}
}
