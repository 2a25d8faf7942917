package eval

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate"
	"stargate/eval/judge"
	"stargate/lm"
)

type candidates = stargate.Candidates

// holds tells whether chat continues one of a pair's conversations.
func holds(c candidates, chat lm.Chat) bool {
	for _, s := range c.Scored {
		same := len(chat) == 2*len(s.Turns)+1
		for k := 0; same && k < len(s.Turns); k++ {
			same = chat[1+2*k].Content == s.Turns[k].Question
		}
		if same {
			return true
		}
	}
	return false
}

// As many pairs of each length are compared, drawn by hash: 100 each of the paper's 300.
func TestWinPairsAreBalanced(t *testing.T) {
	w := newWorld(t, 50, 10, mixed)
	w.WinPairs = 300
	count := map[int]int{}
	chosen := w.winPairs()
	for _, i := range chosen {
		count[w.turns(w.Test.Pairs[i])]++
	}
	if len(chosen) != 300 || count[1] != 100 || count[2] != 100 || count[3] != 100 {
		t.Errorf("%d pairs, by length %v", len(chosen), count)
	}
	w.WinPairs = 10 // a remainder is spread, not lost
	if n := len(w.winPairs()); n != 10 {
		t.Errorf("%d pairs of 10", n)
	}
}

// verdicts is a judge that gives what it is told, pair by pair.
type verdicts map[string]judge.Verdict

func (verdicts) Biased() bool { return false }
func (v verdicts) Compare(_ context.Context, c judge.Comparison) (judge.Opinion, error) {
	return judge.Opinion{Verdict: v[c.Pair.Key()], Attempts: 1}, nil
}

// Two wins, a tie, a loss and an invalid verdict: (2 + ½) / 4, and the invalid one is shown.
func TestEveryOutcomeIsCounted(t *testing.T) {
	w := newWorld(t, 5, 1, mixed, knowing)
	w.Config.MaxTurns = 1
	w.Judge = verdicts{"t0/u0": judge.First, "t1/u0": judge.First, "t2/u0": judge.Tie, "t3/u0": judge.Second, "t4/u0": judge.Invalid}
	got := w.run(t).Result.WinRate[0]
	if got.Rate != 0.625 || got.N != 4 || got.Wins != 2 || got.Ties != 1 || got.Losses != 1 || got.Invalid != 1 {
		t.Errorf("%+v", got)
	}
	// Values 1, 1, ½, 0: SEM² = (2·0.375² + 0.125² + 0.625²)/(4·3) = 0.0573, and
	// Student's t with 3 degrees of freedom is 3.18: 0.625 ± 0.762, cut to [0, 1].
	if got.Low != 0 || got.High != 1 {
		t.Errorf("interval [%g, %g]", got.Low, got.High)
	}
}

// A response that is none is nobody's win, and is shown.
func TestEmptyResponseIsInvalid(t *testing.T) {
	w := newWorld(t, 4, 3, clueless, knowing)
	reply := w.base.Reply
	w.base.Reply = func(chat lm.Chat, s lm.Sampling) (string, error) {
		if s.Temperature == 0 && chat[0].Content[len(chat[0].Content)-2] == '0' { // the task of number 0
			return "", nil
		}
		return reply(chat, s)
	}
	got := w.run(t).Result.WinRate[0]
	if got.Invalid != 3 || got.N != 9 || got.Rate != 1 {
		t.Errorf("%+v", got)
	}
}

// A model against its equal wins as often as it loses: nothing in the way of comparing
// favours a side.
func TestEqualModelsTie(t *testing.T) {
	got := newWorld(t, 30, 10, mixed, mixed).run(t).Result.WinRate[0]
	if got.Low > 0.5 || got.High < 0.5 {
		t.Errorf("a model against itself: %+v", got)
	}
}

// In the authors' way of counting a tie is nobody's: b/(a+b), here 2 of 3.
func TestAuthorsCount(t *testing.T) {
	w := newWorld(t, 5, 1, mixed, knowing)
	w.Config.MaxTurns = 1
	w.Orders = judge.CoinFlip
	w.Judge = verdicts{"t0/u0": judge.First, "t1/u0": judge.First, "t2/u0": judge.Tie, "t3/u0": judge.Second, "t4/u0": judge.Invalid}
	r := w.run(t).Result
	if got := r.WinRate[0]; math.Abs(got.Rate-2./3) > 1e-12 || got.N != 3 || got.Ties != 1 || got.Invalid != 1 {
		t.Errorf("%+v", got)
	}
	if a := r.Judges[0].Wins[0].Authors; a == nil || math.Abs(a.Rate-2./3) > 1e-12 || a.N != 3 {
		t.Errorf("audit: %+v", a)
	}
	w.Orders = "any"
	if _, err := Run(context.Background(), w.Input); err == nil {
		t.Error("orders that there are not: no error")
	}
}

// Every judge of a panel is asked, the first gives the rates, and their agreement is told.
func TestPanel(t *testing.T) {
	w := newWorld(t, 6, 3, clueless, mixed, knowing)
	contrary := verdicts{}
	for _, p := range w.Test.Pairs {
		contrary[p.Key()] = judge.Second
	}
	w.JudgeName = "rubric"
	w.Panel = judge.Panel{{Name: "again", Judge: w.Judge}, {Name: "contrary", Judge: contrary, Self: "m0"}}
	r := w.run(t).Result
	alone := newWorld(t, 6, 3, clueless, mixed, knowing).run(t).Result
	if d := cmp.Diff(alone.WinRate, r.WinRate); d != "" {
		t.Errorf("the panel changes the win rates:\n%s", d)
	}
	if len(r.Judges) != 3 || r.Agreement == nil || len(r.Agreement.Pairs) != 3 {
		t.Fatalf("judges %+v, agreement %+v", r.Judges, r.Agreement)
	}
	for i, want := range []float64{1, 0, 0} { // rubric–again, rubric–contrary, again–contrary
		if k := r.Agreement.Pairs[i]; math.Abs(k.Kappa-want) > 1e-9 {
			t.Errorf("%s and %s: κ = %g, want %g", k.A, k.B, k.Kappa, want)
		}
	}
	if s := r.Judges[2].Self; s == nil || s.Model != "m0" || s.Difference <= 0 {
		t.Errorf("self-preference: %+v", s)
	}
	w.Majority = true // two of three say what the first says
	if d := cmp.Diff(r.WinRate, w.run(t).Result.WinRate); d != "" {
		t.Errorf("the majority:\n%s", d)
	}
	w.Panel[0].Judge = contrary
	if got := w.run(t).Result.WinRate[1]; got.Losses != got.N {
		t.Errorf("the majority is contrary: %+v", got)
	}
	w.Panel[1].Name = "again"
	if _, err := Run(context.Background(), w.Input); err == nil {
		t.Error("two judges of one name: no error")
	}
}
