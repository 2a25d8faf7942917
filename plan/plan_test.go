package plan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"stargate"
	"stargate/eval"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/prompt"
)

func split(name string, tasks, personas int) stargate.Split {
	s := stargate.Split{Name: name}
	for j := range personas {
		for i := range tasks {
			s.Pairs = append(s.Pairs, stargate.Pair{Task: stargate.Task{ID: fmt.Sprintf("%s-t%d", name, i), Text: strings.Repeat("word ", 10+i%5)},
				Persona: stargate.Persona{ID: fmt.Sprintf("%s-p%d", name, j), Name: "Ada", Text: strings.Repeat("fact ", 100+j)}, Gold: strings.Repeat("advice ", 130)})
		}
	}
	return s
}

func input(t *testing.T, cfg stargate.Config, a, b, test stargate.Split) Input {
	t.Helper()
	set, err := prompt.Embedded("default")
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Config: cfg, Prompts: set, A: a, B: b, Test: test, WinPairs: 300, Judges: 1, Count: Ratio(4)}
	if in.Shape, err = Assume(cfg, set, in.Count, PaperLengths()); err != nil {
		t.Fatal(err)
	}
	return in
}

// At the paper's size the forecast has the paper's numbers (PROTOCOL §8): per iteration
// 250,000 questions, as many answers, 125,000 scores and 12,500 responses; 400 million tokens
// in and 62 million out, prompts in our own words counted; 25,500 golds.
func TestThePapersCost(t *testing.T) {
	a, b, test := split("A", 250, 50), split("B", 250, 50), split("test", 50, 10)
	in := input(t, stargate.Paper(), a, b, test)
	in.Missing = slices.Concat(a.Pairs, b.Pairs, test.Pairs)
	in.Prices = map[string]remote.Price{Oracle: {Input: 30, Output: 60}} // GPT-4's at the time
	f, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int64{}
	var tokensIn, tokensOut int64
	for _, l := range f.Lines {
		if strings.HasPrefix(l.Stage, "iteration 1: ") && l.Role != Trainer {
			calls[l.Stage+" "+l.Role] = l.Calls
			tokensIn, tokensOut = tokensIn+l.TokensIn, tokensOut+l.TokensOut
		}
	}
	for what, want := range map[string]int64{
		"iteration 1: simulate questioner": 250_000, "iteration 1: simulate roleplayer": 250_000, "iteration 1: select scorer": 125_000, "iteration 1: respond questioner": 12_500,
	} {
		if got := calls[what]; math.Abs(float64(got-want)) > 0.02*float64(want) {
			t.Errorf("%s: %d calls, the paper has %d", what, got, want)
		}
	}
	if tokensIn < 150e6 || tokensIn > 500e6 || tokensOut < 30e6 || tokensOut > 90e6 {
		t.Errorf("%d tokens in, %d out", tokensIn, tokensOut)
	}
	if g := f.Roles[Oracle]; g.Calls != 25_500 || g.Cost < 300 || g.Cost > 800 {
		t.Errorf("golds: %+v, the paper's cost 560", g)
	}
	if err := f.Within(remote.Limits{Cost: 100}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("100 is enough: %v", err)
	}
	if err := f.Within(remote.Limits{Cost: 1000, Tokens: 1e10}); err != nil {
		t.Error(err)
	}
	t.Logf("iteration 1: %d tokens in, %d out; golds cost %.0f", tokensIn, tokensOut, f.Roles[Oracle].Cost)
}

func TestAblationsChangeTheForecast(t *testing.T) {
	cfg := stargate.Paper()
	in := input(t, cfg, split("A", 5, 3), split("B", 5, 3), split("test", 4, 3))
	full, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Config.TrainOn = stargate.NoResponse
	in.Judges, in.Optimum = 0, true
	less, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	has := func(f *Forecast, stage, role string) bool {
		for _, l := range f.Lines {
			if l.Stage == stage && l.Role == role {
				return true
			}
		}
		return false
	}
	for _, c := range []struct {
		stage, role string
		full, less  bool
	}{{"iteration 2: respond", Questioner, true, false}, {"evaluation: win rates", Judge, true, false}, {"evaluation: optimum", Roleplayer, false, true}, {"iteration 3: tune", Trainer, true, true}} {
		if has(full, c.stage, c.role) != c.full || has(less, c.stage, c.role) != c.less {
			t.Errorf("%s, %s: %v and %v, want %v and %v", c.stage, c.role, has(full, c.stage, c.role), has(less, c.stage, c.role), c.full, c.less)
		}
	}
	// A rate is a lower bound of the hours.
	in.Rates = map[string]remote.Rate{Roleplayer: {Requests: 1}}
	slow, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	if r := slow.Roles[Roleplayer]; math.Abs(r.Hours-float64(r.Calls)/60) > 0.01*r.Hours {
		t.Errorf("one call a minute: %d calls in %.2f hours", r.Calls, r.Hours)
	}
}

// chatty asks, answers and scores, and counts its tokens as it likes.
type chatty struct{ calls, in, out, scores, scoredIn, scoredOut atomic.Int64 }

func (m *chatty) Generate(_ context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	text := fmt.Sprintf("What about the matter of %d, my friend?", s.Seed%1000)
	u := lm.Usage{PromptTokens: 2 * tokensOf(chat), CompletionTokens: 3 * len(text) / 4}
	m.calls.Add(1)
	m.in.Add(int64(u.PromptTokens))
	m.out.Add(int64(u.CompletionTokens))
	return lm.Completion{Text: text, Finish: lm.FinishStop, Usage: u}, nil
}

func tokensOf(chat lm.Chat) int { return Ratio(4).Chat(chat) }

func (m *chatty) LogProb(_ context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	m.scores.Add(1)
	m.scoredIn.Add(int64(2 * tokensOf(chat)))
	m.scoredOut.Add(int64(3 * len(target) / 4))
	return lm.LogProb{Sum: -float64(len(target)), Tokens: make([]lm.TokenLogProb, 1)}, nil
}

func (m *chatty) Tune(context.Context, string, []lm.Example, lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	return m, lm.TuneLog{}, nil
}

// A pilot, calibrated with the models' own counts, forecasts the rest of its split exactly
// where the models say the same everywhere.
func TestPilotForecastsTheRest(t *testing.T) {
	cfg := stargate.Paper()
	cfg.Samples = 4
	in := input(t, cfg, split("A", 8, 5), split("B", 2, 2), split("test", 2, 2))
	var asks, plays chatty
	base := stargate.NewBase(&asks, in.Prompts)
	p := PilotInput{Config: cfg, Prompts: in.Prompts, Base: base, Roleplayer: stargate.NewRoleplayer(&plays, in.Prompts, cfg), A: in.A, Pairs: 10, Count: in.Count, Tune: &asks, Judge: &chatty{}}
	shape, err := Pilot(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	spent := map[string]Spent{Questioner: {asks.calls.Load(), asks.in.Load(), asks.out.Load()}, Roleplayer: {plays.calls.Load(), plays.in.Load(), plays.out.Load()},
		Scorer: {asks.scores.Load(), asks.scoredIn.Load(), asks.scoredOut.Load()}}
	if shape, err = Calibrate(shape, cfg, in.Prompts, in.Count, in.A, spent); err != nil {
		t.Fatal(err)
	}
	if shape.Pairs != 10 || shape.Seconds.Verdicts != 10 || shape.Seconds.TunedTokens == 0 || math.Abs(shape.In[Questioner]-2) > 0.05 || math.Abs(shape.Out[Questioner]-3) > 0.2 {
		t.Errorf("%+v", shape)
	}
	in.Shape = shape
	f, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	// What the whole split really takes.
	var all, answers chatty
	whole := stargate.NewBase(&all, in.Prompts)
	for _, pair := range in.A.Pairs {
		if _, err := stargate.Simulate(t.Context(), cfg, "iteration 1", whole.Questioner(cfg), stargate.NewRoleplayer(&answers, in.Prompts, cfg), pair); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range f.Lines {
		if l.Stage != "iteration 1: simulate" {
			continue
		}
		m := &all
		if l.Role == Roleplayer {
			m = &answers
		}
		near := func(what string, got, want int64) {
			if math.Abs(float64(got-want)) > 0.02*float64(want) {
				t.Errorf("%s, %s: forecast %d, taken %d", l.Role, what, got, want)
			}
		}
		near("calls", l.Calls, m.calls.Load())
		near("tokens in", l.TokensIn, m.in.Load())
		near("tokens out", l.TokensOut, m.out.Load())
	}
}

// rater finds every task in the middle.
type rater struct{ calls atomic.Int64 }

func (r *rater) Generate(context.Context, lm.Chat, lm.Sampling) (lm.Completion, error) {
	r.calls.Add(1)
	return lm.Completion{Text: "Rating: 3", Finish: lm.FinishStop}, nil
}

// An evaluation whose models never repeat themselves makes the calls that were forecast, also for
// the credit of questions and the ratings of tasks.
func TestForecastOfAnEvaluation(t *testing.T) {
	cfg := stargate.Paper()
	cfg.Samples = 4
	in := input(t, cfg, split("A", 2, 2), split("B", 2, 2), split("test", 5, 4))
	in.WinPairs, in.Judges, in.Credit, in.RateTasks = 0, 0, true, true
	f, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{}
	for _, l := range f.Lines {
		if strings.HasPrefix(l.Stage, "evaluation: ") {
			want[l.Role] += l.Calls
		}
	}
	var asks, plays chatty
	var rates rater
	base := stargate.NewBase(&asks, in.Prompts)
	e := eval.Input{Config: cfg, Base: base, Roleplayer: stargate.NewRoleplayer(&plays, in.Prompts, cfg), Test: in.Test, Credit: true, Rater: eval.ModelRater{Model: &rates}}
	for i := range cfg.Iterations + 1 {
		e.Models = append(e.Models, eval.Model{Name: fmt.Sprintf("m%d", i), Policy: base.Questioner(cfg)})
	}
	if _, err := eval.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for role, made := range map[string]int64{Questioner: asks.calls.Load(), Roleplayer: plays.calls.Load(), Scorer: asks.scores.Load(), Rater: rates.calls.Load()} {
		if math.Abs(float64(want[role]-made)) > 0.02*float64(made) {
			t.Errorf("%s: %d calls are forecast, %d made", role, want[role], made)
		}
	}
	in.Credit, in.RateTasks = false, false
	less, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	if less.Roles[Scorer].Calls >= f.Roles[Scorer].Calls || less.Roles[Rater].Calls != 0 {
		t.Errorf("without credit %d scores, with it %d; without ratings %d", less.Roles[Scorer].Calls, f.Roles[Scorer].Calls, less.Roles[Rater].Calls)
	}
}

// Questioners that speak on the service that trained them are a role of their own, at its price,
// and what is trained there is paid for too.
func TestForecastOfATrainerThatIsPaid(t *testing.T) {
	in := input(t, stargate.Paper(), split("A", 4, 3), split("B", 4, 3), split("test", 4, 3))
	plain, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Prices = map[string]remote.Price{Trainer: {Input: 10}, Sampled: {Input: 1, Output: 2}}
	in.Servers = map[string]float64{Trainer: 1, Sampled: 1}
	paid, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	q, s := paid.Roles[Questioner], paid.Roles[Sampled]
	if all := plain.Roles[Questioner]; q.Calls == 0 || s.Calls <= q.Calls || math.Abs(float64(q.Calls+s.Calls-all.Calls)) > 4 || math.Abs(float64(q.TokensIn+s.TokensIn-all.TokensIn)) > 4 {
		t.Errorf("%+v and %+v, in all %+v", q, s, all)
	}
	tuned := paid.Roles[Trainer]
	if less := plain.Roles[Trainer].TokensIn; tuned.TokensIn <= less || tuned.TokensIn > less*3/2 { // held-out examples, twice
		t.Errorf("%d tokens are trained on or measured, of which %d are trained on", tuned.TokensIn, less)
	}
	if want := float64(tuned.TokensIn)*10/1e6 + float64(s.TokensIn)/1e6 + float64(s.TokensOut)*2/1e6; math.Abs(paid.Total.Cost-want) > 1e-9 {
		t.Errorf("the cost is %g, want %g", paid.Total.Cost, want)
	}
	if tokens, cost := paid.Paid(); cost != paid.Total.Cost || tokens != tuned.TokensIn+s.TokensIn+s.TokensOut {
		t.Errorf("limits count %d tokens and %g", tokens, cost)
	}
}

func TestCompare(t *testing.T) {
	f := &Forecast{Roles: map[string]Line{Scorer: {Calls: 110, TokensIn: 90, TokensOut: 100}}}
	got := f.Compare(map[string]Spent{Scorer: {100, 100, 100}})
	if len(got) != 1 || math.Abs(got[0].Calls-0.1) > 1e-9 || math.Abs(got[0].TokensIn+0.1) > 1e-9 || got[0].TokensOut != 0 {
		t.Errorf("%+v", got)
	}
}
