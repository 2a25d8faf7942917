package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"stargate"
	"stargate/eval"
)

// fakeData is a run that could have been: a nano experiment of three iterations that
// learned. The numbers are made up here, the same every time.
func fakeData() Data {
	r := rand.New(rand.NewPCG(7, 7))
	d := Data{Result: fakeResult()}
	for n := 1; n <= 3; n++ {
		d.Iterations = append(d.Iterations, ViewOf(fakeIteration(r, n, 60), fakeTruth{}, 40))
	}
	d.Test = TestOf(fakeEvaluation(r, 50), fakeTruth{}, 40)
	d.Provenance = Provenance{Version: "stargate v0.1.0 (0123456789ab)", Config: strings.Repeat("c0ffee42", 8),
		Seeds:   []NamedInt{{"tune", 42}},
		Models:  []Digest{{"m0", strings.Repeat("0a", 32)}, {"m1", strings.Repeat("1b", 32)}, {"m2", strings.Repeat("2c", 32)}, {"m3", strings.Repeat("3d", 32)}},
		Prompts: []Digest{{"ask", strings.Repeat("4e", 32)}, {"task", strings.Repeat("5f", 32)}},
		Data:    []Digest{{"split A", strings.Repeat("6a", 32)}, {"split B", strings.Repeat("7b", 32)}, {"split test", strings.Repeat("8c", 32)}},
	}
	return d
}

func fakeResult() *eval.Result {
	yes := true
	r := &eval.Result{Experiment: "nano", Seed: 1, Models: []string{"m0", "m1", "m2", "m3"},
		Redrawn: map[string]int{"no-question": 212, "several-questions": 77}, Optimum: &eval.Optimum{GoldLogProb: -7.9, SEM: .28, Relevant: .93, ChanceRelevant: .21, N: 500, Reached: "m3",
			Gaps: []eval.Gap{{Model: "m0", Mean: -10.02, SEM: .3}, {Model: "m1", Mean: -4.5, SEM: .2}, {Model: "m2", Mean: -1.71, SEM: .15}, {Model: "m3", Mean: -.23, SEM: .14}}},
		Dropped: map[string]int{"no-question": 41, "several-questions": 12, "role-flip": 3, "truncated": 7},
		Calls: map[string]eval.Calls{
			"questioner": {Made: 31284, TokensIn: 4211830, TokensOut: 512344}, "roleplayer": {Made: 30881, TokensIn: 5120931, TokensOut: 420118},
			"scorer": {Made: 15012, TokensIn: 2410012, TokensOut: 0}, "response": {Made: 2013, TokensIn: 301923, TokensOut: 70311}, "judge": {Made: 1800}},
		Shapes: []eval.Shape{
			{ID: "a", Seen: &yes, Evidence: "Q-experimental −17.92 → −12.40 → −9.61 → −8.13; Q-random −19.84 → −18.71 → −18.02 → −17.74; gap 1.92 → 9.61"},
			{ID: "b", Seen: &yes, Evidence: "m1 .702 [.648, .751], m2 .757 [.705, .803], m3 .748 [.696, .794]"},
			{ID: "c", Evidence: "Needs a run of the ablation no-regularization."}, {ID: "d", Evidence: "Needs a run of the ablation gold-response."},
			{ID: "e", Evidence: "Needs a run of the ablation response-model."}, {ID: "f", Evidence: "Needs runs with other roleplayers."}},
	}
	values := map[string][]float64{"qa": {-17.92, -12.40, -9.61, -8.13}, "rand": {-19.84, -18.71, -18.02, -17.74}, "pos+qa": {-5.92, -5.41, -5.20, -5.11}}
	for i, m := range r.Models {
		for _, c := range []string{"qa", "rand", "pos+qa"} {
			r.GoldLogProb = append(r.GoldLogProb, eval.GoldLogProb{Condition: c, Model: m, Subset: "all", Mean: values[c][i], SEM: 0.31, N: 500, Delta: values[c][i] - values[c][0], DeltaSEM: 0.12 * float64(min(i, 1)), DeltaLow: values[c][i] - values[c][0] - 0.24, DeltaHigh: values[c][i] - values[c][0] + 0.24,
				ByTurns: []eval.GoldTurns{{Turns: 1, Mean: values[c][i] - 2, SEM: .4, N: 166}, {Turns: 2, Mean: values[c][i], SEM: .4, N: 167}, {Turns: 3, Mean: values[c][i] + 2, SEM: .4, N: 167}}})
		}
		r.GoldLogProb = append(r.GoldLogProb, eval.GoldLogProb{Condition: "qa", Model: m, Subset: "top1", Mean: values["qa"][i]/2 - 4.5, SEM: 0.22, N: 500, Delta: (values["qa"][i] - values["qa"][0]) / 2})
		if i > 0 {
			r.WinRate = append(r.WinRate, eval.WinRate{Model: m, Rate: []float64{.702, .757, .748}[i-1], Low: []float64{.648, .705, .696}[i-1], High: []float64{.751, .803, .794}[i-1], N: 300, Wins: 200, Ties: 41 - i, Losses: 59 + i, Invalid: i - 1,
				ByTurns: []eval.Turns{{Turns: 1, Rate: .62 + .02*float64(i), Low: .53, High: .77, N: 100}, {Turns: 2, Rate: .68 + .02*float64(i), Low: .6, High: .83, N: 100}, {Turns: 3, Rate: .7 + .02*float64(i), Low: .63, High: .85, N: 100}}})
		}
		r.Questions = append(r.Questions, eval.Questions{Model: m, Wellformed: .94 + .015*float64(i), Relevant: []float64{.22, .51, .71, .83}[i], RelevantSEM: .02, Redundant: []float64{.14, .08, .05, .03}[i],
			Distinct: .31 - .05*float64(i), Words: 7.2, N: 9876})
	}
	for _, c := range []struct {
		key  string
		mean float64
	}{{"neg", -24.1}, {"pos", -5.8}} {
		r.GoldLogProb = append(r.GoldLogProb, eval.GoldLogProb{Condition: c.key, Model: "m0", Subset: "all", Mean: c.mean, SEM: 0.4, N: 500})
	}
	noise := rand.New(rand.NewPCG(3, 3))
	for n := 1; n <= 3; n++ {
		r.Training = append(r.Training, fakeTraining(noise, n))
	}
	return r
}

var (
	fakeTasks   = []string{"Suggest a place for my holiday.", "What should I cook for dinner tonight?", "Recommend a book for the weekend.", "Plan a present for my sister.", "Which sport should I take up?", "Help me choose a film for this evening."}
	fakeNames   = []string{"Ada", "Bruno", "Chioma", "Dai", "Elif", "Farid", "Gréta", "Hana"}
	fakeAsk     = []string{"Which climate do you like best?", "What kind of food do you enjoy?", "Do you have a pet?", "How do you like to travel?", "What music do you listen to?", "How much do you want to spend?"}
	fakeAnswers = []string{"I like it warm and dry.", "Mostly Thai food, the hotter the better.", "I have an old dog.", "By train, whenever I can.", "Jazz, and a little folk.", "Not much, I am saving."}
)

func fakePair(i int) stargate.Pair {
	name := fakeNames[i%len(fakeNames)]
	return stargate.Pair{
		Task:    stargate.Task{ID: fmt.Sprintf("t%d", i), Text: fakeTasks[i%len(fakeTasks)]},
		Persona: stargate.Persona{ID: fmt.Sprintf("u%d", i%17), Name: name, Text: name + " likes it warm and dry. " + name + " travels by train. " + name + " eats Thai food and keeps an old dog. " + name + " is saving and listens to jazz."},
		Gold:    "Take the night train to the south coast; it is warm and dry there, and it will not cost you much.",
	}
}

func fakeConversation(r *rand.Rand, pair string, sample, turns int) stargate.Conversation {
	c := stargate.Conversation{Pair: pair, Sample: sample, Outcome: stargate.Complete}
	for range turns {
		q := r.IntN(len(fakeAsk))
		c.Turns = append(c.Turns, stargate.Turn{Question: fakeAsk[q], Answer: fakeAnswers[q]})
	}
	return c
}

func fakeIteration(r *rand.Rand, n, pairs int) stargate.Iteration {
	it := stargate.Iteration{N: n, Split: []string{"B", "A"}[n%2], Examples: pairs}
	for i := range pairs {
		c := stargate.Candidates{Pair: fakePair(i + 100*n)}
		turns := 1 + r.IntN(3)
		best := 0
		for s := range 10 {
			conv := fakeConversation(r, c.Pair.Key(), s, turns)
			switch {
			case s == 7 && i%5 == 0:
				conv.Outcome, conv.Turns = stargate.Outcome(stargate.NoQuestion), conv.Turns[:turns-1]
				conv.Redrawn = []stargate.Flaw{stargate.NoQuestion, stargate.SeveralQuestions, stargate.NoQuestion}
				c.Dropped = append(c.Dropped, conv)
				continue
			case s == 3 && i%4 == 0:
				conv.Redrawn = []stargate.Flaw{stargate.SeveralQuestions}
			}
			c.Scored = append(c.Scored, stargate.Scored{Conversation: conv, LogProb: -20 + 3*float64(n) + 4*r.NormFloat64(), Tokens: 24})
			if last := len(c.Scored) - 1; c.Scored[last].LogProb > c.Scored[best].LogProb {
				best = last
			}
		}
		c.Best = []int{best}
		it.Candidates = append(it.Candidates, c)
		it.Selected = append(it.Selected, stargate.Selected{Pair: c.Pair, Best: c.Scored[best], Outcome: stargate.Complete,
			Response: "You like it warm, so take the train to the south coast and eat well there."})
	}
	it.Log.Examples, it.Log.HeldOut, it.Log.Tokens, it.Log.Dropped = 57, 3, 5210, []string{"t1/u1#0"}
	return it
}

// fakeTruth holds that the first two questions matter.
type fakeTruth struct{}

func (fakeTruth) Relevant(stargate.Task) []string   { return fakeAsk[:2] }
func (fakeTruth) Classify(q string) (string, bool)  { return q, true }
func (fakeTruth) Ask(about string, _ uint64) string { return about }
func (fakeTruth) Chance() float64                   { return 0.21 }

func fakeEvaluation(r *rand.Rand, pairs int) *eval.Evaluation {
	e := &eval.Evaluation{Result: fakeResult()}
	for m := range e.Result.Models {
		var rated []stargate.Candidates
		for i := range pairs {
			c := stargate.Candidates{Pair: fakePair(1000 + i)}
			c.Scored = []stargate.Scored{{Conversation: fakeConversation(r, c.Pair.Key(), 0, 1+i%3), LogProb: -18 + 3*float64(m) + r.NormFloat64()}}
			rated = append(rated, c)
		}
		e.Rated = append(e.Rated, rated)
	}
	return e
}

// fakeTraining is the curve of m_n.
func fakeTraining(r *rand.Rand, n int) eval.Training {
	start := 1.6 - 0.25*float64(n)
	t := eval.Training{Model: fmt.Sprintf("m%d", n), Split: []string{"B", "A"}[n%2], Examples: 57, EvalLoss: [2]float64{0.35 + start, 0.41 - 0.02*float64(n)},
		Relevant: [2]float64{0.2 * float64(n), 0.1 + 0.2*float64(n)}, Margin: 6.2 - float64(n)}
	for s := range 185 {
		t.Loss = append(t.Loss, 0.35+start*math.Exp(-float64(s)/40)+0.03*r.NormFloat64())
	}
	return t
}
