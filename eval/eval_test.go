package eval

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stargate"
	"stargate/lm"
	"stargate/lm/lmtest"
)

// mean looks a value of the result up.
func mean(t *testing.T, r *Result, condition, subset, model string) GoldLogProb {
	t.Helper()
	for _, g := range r.GoldLogProb {
		if g.Condition == condition && g.Subset == subset && g.Model == model {
			return g
		}
	}
	t.Fatalf("no %s/%s of %s", condition, subset, model)
	return GoldLogProb{}
}

// With one turn each, everything can be counted on fingers: m0 asks for what does not
// matter, m1 for one of the two things that do.
func TestOneTurnByHand(t *testing.T) {
	w := newWorld(t, 4, 3, clueless, knowing)
	w.Config.MaxTurns = 1
	r := w.run(t).Result
	for _, c := range []struct {
		condition, model string
		want, delta      float64
	}{
		{Negative, "m0", -10, 0}, {Positive, "m0", -2, 0},
		{QExperimental, "m0", -10, 0}, {QExperimental, "m1", -6, 4},
		{QRandom, "m0", -10, 0}, {QRandom, "m1", -10, 0}, // another persona's values are not in the gold
		{PositiveExperiment, "m0", -2, 0}, {PositiveExperiment, "m1", -2, 0},
	} {
		want := GoldLogProb{Condition: c.condition, Model: c.model, Subset: All, Mean: c.want, PerToken: c.want / 2, N: 12,
			Delta: c.delta, DeltaLow: c.delta, DeltaHigh: c.delta, ByTurns: []GoldTurns{{Turns: 1, Mean: c.want, N: 12}}}
		if d := cmp.Diff(want, mean(t, r, c.condition, All, c.model)); d != "" {
			t.Errorf("%s of %s (-want +got):\n%s", c.condition, c.model, d)
		}
	}
	if d := cmp.Diff([]WinRate{{Model: "m1", Rate: 1, Low: 0.7575, High: 1, N: 12, Wins: 12, ByTurns: []Turns{{1, 1, 0.7575, 1, 12}}}}, r.WinRate, cmpopts.EquateApprox(0, 1e-4)); d != "" {
		t.Errorf("win rate (-want +got):\n%s", d)
	}
	want := &Optimum{GoldLogProb: -6, Relevant: 1, ChanceRelevant: 0.5, N: 12, Reached: "m1", Gaps: []Gap{{"m0", -4, 0, -4, -4}, {"m1", 0, 0, 0, 0}}}
	if d := cmp.Diff(want, r.Optimum); d != "" {
		t.Errorf("optimum (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Questions{
		{Model: "m0", Wellformed: 1, Distinct: 2. / 36, Words: 5, N: 36},
		{Model: "m1", Wellformed: 1, Relevant: 1, Distinct: 2. / 36, Words: 5, N: 36},
	}, r.Questions); d != "" {
		t.Errorf("questions (-want +got):\n%s", d)
	}
	for i, seen := range []bool{true, true} {
		if s := r.Shapes[i]; s.Seen == nil || *s.Seen != seen {
			t.Errorf("shape (%s): %+v", s.ID, s)
		}
	}
}

// By length: one relevant answer -6, two -2, and a third question can only repeat.
func TestByTurns(t *testing.T) {
	r := newWorld(t, 20, 3, clueless, knowing).run(t).Result
	var got []float64
	pairs := 0
	for _, at := range mean(t, r, QExperimental, All, "m1").ByTurns {
		got, pairs = append(got, at.Mean), pairs+at.N
	}
	if !slices.Equal(got, []float64{-6, -2, -2}) || pairs != 60 {
		t.Errorf("by turns %v over %d pairs", got, pairs)
	}
	q := r.Questions[1]
	if q.Redundant <= 0 || math.Abs(q.Redundant+q.Relevant-1) > 1e-12 {
		t.Errorf("every question is either new or repeated: %+v", q)
	}
	if r.Optimum.Reached != "m1" || math.Abs(r.Optimum.Relevant-q.Relevant) > 1e-12 {
		t.Errorf("m1 asks as the optimum does: %+v", r.Optimum)
	}
}

// Top-1 is the best of a pair's conversations, so never below their mean.
func TestTopOneIsTheBest(t *testing.T) {
	e := newWorld(t, 6, 3, mixed).run(t)
	want := 0.0
	for _, c := range e.Rated[0] {
		top := math.Inf(-1)
		for _, s := range c.Scored {
			top = max(top, s.LogProb)
		}
		want += top / float64(len(e.Rated[0]))
	}
	top, all := mean(t, e.Result, QExperimental, Top1, "m0"), mean(t, e.Result, QExperimental, All, "m0")
	if math.Abs(top.Mean-want) > 1e-9 || top.Mean <= all.Mean {
		t.Errorf("top-1 is %g, want %g; the mean of all is %g", top.Mean, want, all.Mean)
	}
}

// How many pairs run at once changes no byte.
func TestConcurrencyChangesNothing(t *testing.T) {
	var want []byte
	for _, n := range []int{1, 8} {
		w := newWorld(t, 6, 3, mixed, clumsy, knowing)
		w.Config.Concurrency = n
		got := encode(t, w.run(t).Result)
		if want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Errorf("concurrency %d changed the result:\n%s", n, cmp.Diff(string(want), string(got)))
		}
	}
}

// Nor does the order of the test split, up to rounding of sums.
func TestOrderOfPairsChangesNothing(t *testing.T) {
	a, b := newWorld(t, 6, 3, mixed, clumsy, knowing), newWorld(t, 6, 3, mixed, clumsy, knowing)
	a.WinPairs, b.WinPairs = 9, 9
	slices.Reverse(b.Test.Pairs)
	b.Test.Pairs[0], b.Test.Pairs[5] = b.Test.Pairs[5], b.Test.Pairs[0]
	if d := cmp.Diff(a.run(t).Result, b.run(t).Result, cmpopts.EquateApprox(0, 1e-9)); d != "" {
		t.Error(d)
	}
}

// What is malformed is counted: a turn drawn again, a conversation given up, and in the
// share of well-formed questions.
func TestMalformedTurnsAreCounted(t *testing.T) {
	w := newWorld(t, 6, 3, mixed, clumsy)
	w.Config.Redraws = 1
	e := w.run(t)
	r := e.Result
	dropped, redrawn := 0, 0
	for _, rated := range e.Rated {
		for _, c := range rated {
			dropped += len(c.Dropped)
			for _, s := range c.Dropped {
				redrawn += len(s.Redrawn)
			}
			for _, s := range c.Scored {
				redrawn += len(s.Redrawn)
			}
		}
	}
	if dropped == 0 || r.Dropped["no-question"] != dropped || r.Redrawn["no-question"] != redrawn {
		t.Errorf("%d dropped and %d redrawn, the result says %v and %v", dropped, redrawn, r.Dropped, r.Redrawn)
	}
	if got := r.Questions[1].Wellformed; got < 0.55 || got > 0.8 {
		t.Errorf("two draws in three are questions, the result says %.2f", got)
	}
}

// A context that does not fit is counted and leaves the pair out; it ends nothing.
func TestContextTooLongIsCounted(t *testing.T) {
	w := newWorld(t, 4, 3, clueless, knowing)
	score := w.base.Score
	w.base.Score = func(chat lm.Chat, gold string) (float64, error) {
		if strings.Contains(chat[0].Content, "some information about me:\n\ncolour-u0 ") {
			return 0, lm.ErrContextLength
		}
		return score(chat, gold)
	}
	r := w.run(t).Result
	if g := mean(t, r, Positive, All, "m0"); g.N != 8 || g.Mean != -2 {
		t.Errorf("positive control %+v, want -2 over 8 pairs", g)
	}
	if got := r.Dropped["pos: context-too-long"]; got != 4 {
		t.Errorf("%d counted, want 4: %v", got, r.Dropped)
	}
	if got := r.Dropped["pos+qa: context-too-long"]; got != 2*4*3 {
		t.Errorf("%d counted, want 24: %v", got, r.Dropped)
	}
}

// With a single persona there is nobody to take Q-random from: it is absent, not zero.
func TestNotMeasuredIsAbsent(t *testing.T) {
	r := newWorld(t, 4, 1, mixed).run(t).Result
	for _, g := range r.GoldLogProb {
		if g.Condition == QRandom {
			t.Errorf("Q-random of one persona: %+v", g)
		}
	}
	if len(r.WinRate) != 0 {
		t.Errorf("win rates of m0 against itself: %+v", r.WinRate)
	}
}

func TestErrorsEndTheEvaluation(t *testing.T) {
	broken := errors.New("broken")
	w := newWorld(t, 4, 2, mixed)
	w.base.Score = func(lm.Chat, string) (float64, error) { return 0, broken }
	if _, err := Run(context.Background(), w.Input); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, newWorld(t, 4, 2, mixed).Input); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for what, break_ := range map[string]func(*Input){
		"no models":  func(in *Input) { in.Models = nil },
		"same names": func(in *Input) { in.Models[1].Name = "m0" },
		"no judge":   func(in *Input) { in.Judge = nil },
		"baseline":   func(in *Input) { in.Judge, in.Models, in.Baselines = nil, in.Models[:1], in.Models[1:] },
		"win pairs":  func(in *Input) { in.WinPairs = -1 },
		"empty gold": func(in *Input) { in.Test.Pairs[1].Gold = " " },
	} {
		w := newWorld(t, 4, 2, mixed, knowing)
		break_(&w.Input)
		if _, err := Run(context.Background(), w.Input); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// The optimum plays by the models' rules: a malformed answer is drawn again.
func TestOptimumGuardsAnswers(t *testing.T) {
	w := newWorld(t, 4, 3, clueless, knowing)
	honest := player()
	w.roleplayer.Reply = func(chat lm.Chat, s lm.Sampling) (string, error) {
		if s.Seed%2 == 0 {
			return "", nil
		}
		return honest.Reply(chat, s)
	}
	w.Config.MaxTurns, w.Config.Redraws = 1, 12
	if r := w.run(t).Result; r.Optimum.GoldLogProb != -6 || r.Dropped["optimum: empty"] != 0 {
		t.Errorf("optimum %+v, want -6; dropped %v", r.Optimum, r.Dropped)
	}
	w.Config.Redraws = 0
	if r := w.run(t).Result; r.Optimum.GoldLogProb != -6 || r.Dropped["optimum: empty"] == 0 {
		t.Errorf("optimum %+v, want -6; dropped %v", r.Optimum, r.Dropped)
	}
}

var _ stargate.BaseModel = (*lmtest.Script)(nil)
