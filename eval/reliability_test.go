package eval

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stargate"
)

// scoredAs sets the scores of a pair's conversations.
func scoredAs(c stargate.Candidates, tokens int, scores ...float64) stargate.Candidates {
	best := 0
	for i, s := range scores {
		c.Scored[i].LogProb, c.Scored[i].Tokens = s, tokens
		if s > scores[best] {
			best = i
		}
	}
	c.Best = []int{best}
	return c
}

// Two pairs with four candidates each, by hand. The first gold has 10 tokens and scores -8,
// -6, -2, -1.5; the second has 40 and scores -20 to -17. Without conversation they score -9
// and -21.
func TestReliabilityByHand(t *testing.T) {
	pairs := testSplit(2, 1).Pairs
	rated := []stargate.Candidates{
		scoredAs(said(pairs[0], []string{"sport"}, []string{"food"}, []string{"colour"}, []string{"colour"}), 10, -8, -6, -2, -1.5),
		scoredAs(said(pairs[1], []string{"pet"}, []string{"pet"}, []string{"sport"}, []string{"food"}), 40, -20, -19, -18, -17),
	}
	neg := []float64{-9, -21}
	r := ReliabilityOf("m0", "A", 1, truth{}, rated, func(i int) (float64, bool) { return neg[i], true })
	if r.Pairs != 2 || r.Candidates != 8 || math.Abs(r.Margin-(2.875+1.5)/2) > 1e-12 || math.Abs(r.Second-(0.5+1)/2) > 1e-12 || r.Close != 0.5 {
		t.Errorf("%+v", r)
	}
	// By sum the first pair is ahead throughout. By mean per token (-0.8 … -0.15 and -0.5 …
	// -0.425) the ranks from below are 1 2 7 8 and 3 4 5 6; by gain (1, 3, 7, 7.5; 1, 2, 3, 4)
	// 1.5 4.5 7 8 and 1.5 3 4.5 6.
	for name, c := range map[string]struct {
		got  *float64
		x, y []float64
	}{
		"sum and mean": {r.SumMean, []float64{5, 6, 7, 8, 1, 2, 3, 4}, []float64{1, 2, 7, 8, 3, 4, 5, 6}},
		"sum and gain": {r.SumDelta, []float64{5, 6, 7, 8, 1, 2, 3, 4}, []float64{1.5, 4.5, 7, 8, 1.5, 3, 4.5, 6}},
	} {
		if want := rho(c.x, c.y); c.got == nil || math.Abs(*c.got-*want) > 1e-12 {
			t.Errorf("%s: %v, want %g", name, c.got, *want)
		}
	}
	if *r.TopSumMean != 1 || *r.TopSumDelta != 1 { // -1.5 and -2 lead in all three
		t.Errorf("overlap %g, %g", *r.TopSumMean, *r.TopSumDelta)
	}
	// Of 4: the expected best of one is the mean, of all the maximum.
	if s := r.Saturation; len(s) != 4 || math.Abs(s[0].Over) > 1e-12 || math.Abs(s[3].Over-r.Margin) > 1e-12 || s[1].Over > s[2].Over {
		t.Errorf("saturation %+v", s)
	}
	// Two candidates of six are about the same in each pair.
	if math.Abs(r.ByChance-1./6) > 1e-12 || r.Stable < 0 || r.Stable > 1 || r.HalfGap <= 0 {
		t.Errorf("stable %g, by chance %g, gap %g", r.Stable, r.ByChance, r.HalfGap)
	}
	bare := ReliabilityOf("m0", "A", 1, nil, rated, nil)
	if bare.SumDelta != nil || bare.TurnsDelta != nil || bare.SumMean == nil {
		t.Errorf("without log p(gold | task): %+v", bare)
	}
	if none := ReliabilityOf("m0", "A", 1, nil, nil, nil); none.Pairs != 0 || none.SumMean != nil || math.IsNaN(none.LengthRank) {
		t.Errorf("of nothing: %+v", none)
	}
}

// Within a pair the three rewards rank alike, whatever the scores: the choice of the paper
// does not depend on them.
func TestRewardsRankAlikeWithinAPair(t *testing.T) {
	p := testSplit(1, 1).Pairs[0]
	c := scoredAs(said(p, []string{"pet"}, []string{"food"}, []string{"sport"}), 7, -3, -30, -4)
	r := ReliabilityOf("m0", "A", 1, truth{}, []stargate.Candidates{c}, func(int) (float64, bool) { return -20, true })
	for _, rho := range []*float64{r.SumMean, r.SumDelta, r.MeanDelta} {
		if rho == nil || math.Abs(*rho-1) > 1e-12 {
			t.Errorf("%+v", r)
		}
	}
}

// A pair whose candidates all ask for the same is stable; one where the two best differ and
// all others are worse is not more stable than chance has it.
func TestHalves(t *testing.T) {
	p := testSplit(1, 1).Pairs[0]
	same := scoredAs(said(p, []string{"pet"}, []string{"pet"}, []string{"pet"}, []string{"pet"}), 1, -1, -2, -3, -4)
	if s, chance, _ := halves(truth{}, same, 1); math.Abs(s-1) > 1e-9 || chance != 1 {
		t.Errorf("all the same: %g, %g", s, chance)
	}
	differ := scoredAs(said(p, []string{"pet"}, []string{"food"}, []string{"sport"}, []string{"colour"}), 1, -1, -2, -3, -4)
	if s, chance, gap := halves(truth{}, differ, 1); s != 0 || chance != 0 || gap < 1 {
		t.Errorf("all different: %g, %g, %g", s, chance, gap)
	}
}

// What the questions did not earn: an answer with six words of the gold in a row, a question
// that says them, and an attribute told without being asked for. Words that the task or an
// earlier turn said are no leak.
func TestLeaks(t *testing.T) {
	p := testSplit(1, 1).Pairs[0]
	p.Gold = "one two three four five six seven"
	p.Task.Text = "Plan the present. nine ten eleven twelve thirteen fourteen"
	turn := func(q, a string) stargate.Turn { return stargate.Turn{Question: q, Answer: a} }
	c := said(p, nil, nil, nil, nil, nil)
	c.Scored[0].Turns = []stargate.Turn{turn("What else?", "Well, One, two three four five six!")}
	c.Scored[1].Turns = []stargate.Turn{turn("Is it two three four five six seven?", "Yes: two three four five six seven.")}
	c.Scored[2].Turns = []stargate.Turn{turn(question("pet"), "pet-u0, and my colour-u0.")}
	c.Scored[3].Turns = []stargate.Turn{turn(question("pet"), "pet-u0."), turn(question("food"), "food-u0, for my pet-u0.")}
	c.Scored[4].Turns = []stargate.Turn{turn("Why?", "one two three four five")}
	c.Best = []int{2, 3}
	got := ReliabilityOf("m0", "A", 1, truth{}, []stargate.Candidates{c}, nil).Leaks
	want := []Leak{{GoldInAnswer, 0.2, 0, 1, 0}, {GoldInQuestion, 0.2, 0, 1, 0}, {Volunteered, 0.2, 0.5, 1, 1}}
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if kinds := ReliabilityOf("m0", "A", 1, nil, []stargate.Candidates{c}, nil).Leaks; len(kinds) != 2 {
		t.Errorf("without a truth: %+v", kinds)
	}
}

// An evaluation reports the reward for every model.
func TestEvaluationReportsReliability(t *testing.T) {
	r := newWorld(t, 6, 3, mixed, knowing).run(t).Result
	var models []string
	for _, x := range r.Reliability {
		models = append(models, x.Model)
		if x.Split != "test" || x.Pairs != 18 || x.SumDelta == nil && x.Model == "m0" {
			t.Errorf("%+v", x)
		}
	}
	if !slices.Equal(models, []string{"m0", "m1"}) {
		t.Errorf("%v", models)
	}
}
