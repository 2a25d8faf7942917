package stargate_test

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stargate"
	"stargate/lm"
)

// Each test here quotes a sentence of the paper and asserts it.

// "for each pair (t_i, u_j), we sample N trajectories of simulated conversations"; "we
// simulate n conversations (N = 10 for all experiments)".
// Reference: section 3.
func TestTenConversationsPerPair(t *testing.T) {
	for _, it := range run(t, newWorld(t)) {
		for _, c := range it.Candidates {
			if n := len(c.Scored) + len(c.Dropped); n != 10 {
				t.Errorf("iteration %d, pair %s: %d conversations", it.N, c.Pair.Key(), n)
			}
		}
	}
}

// "The task of the Questioner is to elicit useful information from the Roleplayer … the
// user persona which is unknown to the Questioner".
// Reference: section 3, Overview.
func TestPersonaIsUnknownToTheQuestioner(t *testing.T) {
	w := newWorld(t)
	run(t, w)
	for _, m := range append(w.base.models, w.base) {
		for _, c := range m.generated {
			for _, msg := range c.chat {
				if strings.Contains(msg.Content, "Secret-") {
					t.Fatalf("%s saw a persona: %q", m.name, msg.Content)
				}
			}
		}
	}
	for _, c := range w.roleplayer.generated {
		if !strings.Contains(c.chat[0].Content, "Secret-") {
			t.Fatalf("the Roleplayer did not see its persona: %q", c.chat[0].Content)
		}
	}
}

// "S_η = {s*_ij} ← argmax log p_{Q_BASE}(g_ij | t_i, s_ij^c)": always the original model.
// Reference: algorithm 1, line 4.
func TestSelectionScoresWithTheBaseModel(t *testing.T) {
	w := newWorld(t)
	its := run(t, w)
	want := 3 * len(w.in.A.Pairs) * 10
	if len(w.base.scored) != want {
		t.Errorf("the base model scored %d conversations, want %d", len(w.base.scored), want)
	}
	for _, m := range w.base.models {
		if len(m.scored) != 0 {
			t.Errorf("%s scored %d conversations; only Q_BASE may", m.name, len(m.scored))
		}
	}
	for _, it := range its {
		for _, c := range it.Candidates {
			top := math.Inf(-1)
			for _, s := range c.Scored {
				top = max(top, s.LogProb)
			}
			if got := c.Scored[c.Best[0]].LogProb; got != top {
				t.Errorf("pair %s: selected %g, the best is %g", c.Pair.Key(), got, top)
			}
		}
	}
}

// "we repeat the task text t_i at the end of the conversation to prompt a final response
// instead of asking another elicitation question".
// Reference: section 5.1.
func TestTaskIsRepeatedAtTheEnd(t *testing.T) {
	w := newWorld(t)
	run(t, w)
	for _, c := range w.base.scored {
		first, last := c.chat[0].Content, c.chat[len(c.chat)-1].Content
		task := first[strings.Index(first, "\n\n")+2:]
		if !strings.HasSuffix(last, "\n\n"+task) {
			t.Fatalf("last message %q does not repeat %q", last, task)
		}
	}
}

// "At each iteration η, we alternate between task splits T_A and T_B, as well as persona
// splits U_A and U_B".
// Reference: section 3, Algorithm.
func TestSplitsAlternate(t *testing.T) {
	var got []string
	for _, it := range run(t, newWorld(t)) {
		got = append(got, it.Split)
	}
	if want := []string{"A", "B", "A"}; !slices.Equal(got, want) {
		t.Errorf("splits %v, want %v", got, want)
	}
}

// "We then fine-tune the initial model Q_BASE on both the selected conversations s* and the
// greedily sampled responses": training restarts from the initial model every time.
// Reference: section 3; algorithm 1, line 6.
func TestTrainingAlwaysStartsFromTheBaseModel(t *testing.T) {
	w := newWorld(t)
	run(t, w)
	if len(w.base.tuned) != 3 {
		t.Errorf("the base model was tuned %d times, want 3", len(w.base.tuned))
	}
	for _, m := range w.base.models {
		if len(m.tuned) != 0 {
			t.Errorf("%s was tuned; only Q_BASE may be", m.name)
		}
	}
}

// "using the current Q_η": iteration η samples from the model of iteration η-1.
// Reference: section 3, Optimization.
func TestEachIterationSamplesFromThePreviousModel(t *testing.T) {
	w := newWorld(t)
	run(t, w)
	if n := len(w.base.generated); n == 0 {
		t.Error("the base model asked nothing in iteration 1")
	}
	for i, m := range w.base.models {
		if asked := len(m.generated) > 0; asked != (i < 2) {
			t.Errorf("%s generated %d turns", m.name, len(m.generated))
		}
	}
}

// "sampling a response (at temperature τ = 0) from the previous policy … conditioned on the
// best conversation history s*".
// Reference: section 3, Regularization.
func TestRegularizationResponseIsGreedy(t *testing.T) {
	w := newWorld(t)
	its := run(t, w)
	responses := 0
	for _, c := range w.base.generated {
		if !strings.HasSuffix(c.chat[len(c.chat)-1].Content, "Ask me.") {
			responses++
			if c.sampling.Temperature != 0 {
				t.Errorf("a response was drawn at temperature %g", c.sampling.Temperature)
			}
		}
	}
	if responses != len(its[0].Selected) {
		t.Errorf("Q_0 gave %d responses for %d selected conversations", responses, len(its[0].Selected))
	}
}

// "Critically, we mask the answers h from the loss".
// Reference: section 3, Algorithm.
func TestAnswersAreMasked(t *testing.T) {
	w := newWorld(t)
	run(t, w)
	for _, examples := range w.base.tuned {
		for _, e := range examples {
			for i, m := range e.Messages {
				if trained := slices.Contains(e.Loss, i); trained != (m.Role == lm.Assistant) {
					t.Fatalf("%s: message %d (%s) trained: %v", e.Key, i, m.Role, trained)
				}
			}
			if last := e.Messages[len(e.Messages)-1]; last.Role != lm.Assistant || strings.HasSuffix(last.Content, "?") {
				t.Fatalf("%s does not end with a response: %q", e.Key, last.Content)
			}
		}
	}
}

// "we set the termination point to be uniform across K"; PROTOCOL: once per pair.
// Reference: section 3, Algorithm.
func TestLengthsAreUniformAndSharedByAPair(t *testing.T) {
	counts := map[int]int{}
	const n = 30000
	for i := range n {
		counts[stargate.Length(1, "s", string(rune(i))+"/u", 3)]++
	}
	chi := 0.0
	for k := 1; k <= 3; k++ {
		d := float64(counts[k]) - n/3
		chi += d * d / (n / 3)
	}
	if len(counts) != 3 || chi > 13.8 { // p = 0.001 at two degrees of freedom
		t.Errorf("lengths %v, χ² = %.1f", counts, chi)
	}
	for _, it := range run(t, newWorld(t)) {
		for _, c := range it.Candidates {
			for _, s := range c.Scored {
				if len(s.Turns) != len(c.Scored[0].Turns) {
					t.Errorf("pair %s has conversations of %d and %d turns", c.Pair.Key(), len(c.Scored[0].Turns), len(s.Turns))
				}
			}
		}
	}
}

// "we only finetune on questions q* but not responses r"; "we finetune on the gold
// responses g instead of the sampled responses r".
// Reference: section 6, Training Ablations.
func TestTrainingAblations(t *testing.T) {
	for _, c := range []struct {
		on   stargate.TrainOn
		want func(e lm.Example) bool
	}{
		{stargate.NoResponse, func(e lm.Example) bool { return e.Messages[len(e.Messages)-1].Role == lm.User }},
		{stargate.GoldResponse, func(e lm.Example) bool {
			return strings.HasPrefix(e.Messages[len(e.Messages)-1].Content, "Gold of")
		}},
	} {
		w := newWorld(t)
		w.in.Config.TrainOn = c.on
		run(t, w)
		for _, e := range w.base.tuned[0] {
			if !c.want(e) {
				t.Fatalf("train_on %s: %s ends with %+v", c.on, e.Key, e.Messages[len(e.Messages)-1])
			}
			for _, i := range e.Loss {
				if e.Messages[i].Role != lm.Assistant {
					t.Fatalf("train_on %s: %s trains on a %s message", c.on, e.Key, e.Messages[i].Role)
				}
			}
		}
	}
}

// Not in the paper, but of every result in this project: how many pairs run at once
// changes nothing.
func TestConcurrencyChangesNothing(t *testing.T) {
	var want []stargate.Iteration
	for _, n := range []int{1, 8, 64} {
		w := newWorld(t)
		w.in.Config.Concurrency = n
		its := run(t, w)
		for i := range its {
			its[i].Policy = stargate.Questioner{}
		}
		if want == nil {
			want = its
		} else if !reflect.DeepEqual(its, want) {
			t.Errorf("concurrency %d changed the run", n)
		}
	}
}

// A malformed turn is drawn again, a bounded number of times; then the conversation is
// dropped, and counted. (The paper does not say; its data keeps such turns.)
func TestMalformedTurnsAreRedrawnThenDropped(t *testing.T) {
	w := newWorld(t)
	w.base.generate = func(chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
		if strings.HasSuffix(chat[len(chat)-1].Content, "Ask me.") && s.Seed%2 == 0 {
			return lm.Completion{Text: "Here is the answer.", Finish: lm.FinishStop}, nil
		}
		return lm.Completion{Text: "What do you like?", Finish: lm.FinishStop}, nil
	}
	redrawn, dropped := 0, 0
	sims, err := stargate.Simulate(context.Background(), w.in.Config, "x", w.in.Base.Questioner(w.in.Config), w.in.Roleplayer, w.in.A.Pairs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sims {
		redrawn += len(s.Redrawn)
		if len(s.Redrawn) > w.in.Config.Redraws*len(s.Turns)+w.in.Config.Redraws {
			t.Errorf("conversation %d was redrawn %d times", s.Sample, len(s.Redrawn))
		}
		if s.Outcome != stargate.Complete {
			dropped++
			if s.Outcome != stargate.Outcome(stargate.NoQuestion) {
				t.Errorf("conversation %d ended with %s", s.Sample, s.Outcome)
			}
		}
	}
	if redrawn == 0 {
		t.Error("nothing was redrawn")
	}
	t.Logf("%d redraws, %d dropped of %d", redrawn, dropped, len(sims))
}
