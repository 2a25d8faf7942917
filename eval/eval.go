package eval

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"stargate"
	"stargate/eval/judge"
)

// Model is a policy under evaluation.
type Model struct {
	Name   string
	Policy stargate.Questioner
}

// Truth is what a closed world knows about itself.
type Truth interface {
	Relevant(task stargate.Task) []string                 // attributes the gold depends on
	Classify(question string) (attribute string, ok bool) // what a question asks for
	Ask(attribute string, seed uint64) string             // a question for an attribute
	Chance() float64                                      // share of relevant questions when any attribute is asked alike
}

// Input is everything an evaluation needs.
type Input struct {
	Experiment   string // its name; tells whether the run is itself an ablation
	Kind         Kind   // of Models; of Contestants no shape of the paper is judged
	Config       stargate.Config
	Base         stargate.Base
	Models       []Model // m0 first
	Roleplayer   stargate.Roleplayer
	Test         stargate.Split
	Judge        Judge
	JudgeName    string                              // in the judges' audit; "" = "judge"
	JudgeSelf    string                              // the model that the judge is, if it is one of Models
	Panel        judge.Panel                         // further judges, for agreement
	Majority     bool                                // the majority of all judges gives the win rates; else Judge alone
	Orders       judge.Orders                        // "" = both; "authors": one order by coin flip, ties left out (compat: authors)
	Truth        Truth                               // nil where it is not known
	WinPairs     int                                 // pairs compared by the judge, balanced over lengths; 0 = none
	Baselines    []Model                             // further policies that respond on m0's conversations, to be compared with
	BaseResponds bool                                // ablation response-model: Q_BASE answers on Q_η's conversations
	Resamples    int                                 // of every bootstrap; 0 = 10,000
	Credit       bool                                // score the gold after every turn: one call more for each turn but the last
	WhenToAsk    bool                                // let the models ask or answer as they like; needs a Truth that is a [Teller]
	Rater        Rater                               // general and specific tasks apart; nil = not
	Observe      func(stage string, done, total int) // may be nil; called from several goroutines

	only *span // of [Ask]; nil = all pairs
}

// Scope names the draws of an evaluation in seeds. It is the same for all models, so that
// a pair's conversations have the same length whoever asks.
const Scope = "evaluation"

// Evaluation holds a result and the conversations behind it, for browsing.
type Evaluation struct {
	Result *Result
	Rated  [][]stargate.Candidates // [model][pair]: conversations scored under Q_BASE

	Pairs    []PairRecord // what was measured on each pair
	Compared []Compared   // the judged responses

	cells    map[cellKey]cell // what the conditions gave, pair by pair
	compared []compared       // what was judged
}

// Run evaluates the models on the test split.
func Run(ctx context.Context, in Input) (*Evaluation, error) {
	if err := in.Config.Validate(); err != nil {
		return nil, err
	}
	if err := in.Test.Validate(); err != nil {
		return nil, err
	}
	if err := in.validate(); err != nil {
		return nil, err
	}
	e := &Evaluation{Result: &Result{Experiment: in.Experiment, Kind: in.Kind, Seed: in.Config.Seed,
		WinRate: []WinRate{}, Training: []Training{}, Shapes: []Shape{}, // in JSON an empty list, not null
		Dropped: map[string]int{}, Redrawn: map[string]int{}, Calls: map[string]Calls{}}}
	for _, m := range in.Models {
		e.Result.Models = append(e.Result.Models, m.Name)
		rated := make([]stargate.Candidates, len(in.Test.Pairs))
		err := in.each(ctx, "simulate "+m.Name, len(rated), func(ctx context.Context, i int) (err error) {
			rated[i], err = in.converse(ctx, m, in.Test.Pairs[i])
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("evaluate %s: %w", m.Name, err)
		}
		e.Rated = append(e.Rated, rated)
		e.count(rated)
	}
	if err := e.measure(ctx, in); err != nil {
		return nil, err
	}
	e.questions(in)
	e.checks(in)
	if err := e.taskKinds(ctx, in.inTurn()); err != nil {
		return nil, err
	}
	e.record(in)
	e.audit(in)
	if in.Kind == Iterations {
		e.Result.Shapes = Shapes(e.Result, nil)
	}
	return e, nil
}

func (in Input) validate() error {
	if len(in.Models) == 0 {
		return errors.New("evaluation: there are no models; give m0 at least")
	}
	seen := map[string]bool{}
	for _, m := range in.Models {
		if m.Name == "" || seen[m.Name] {
			return fmt.Errorf("evaluation: model name %q: names must be there and differ", m.Name)
		}
		seen[m.Name] = true
	}
	if in.WinPairs < 0 {
		return fmt.Errorf("evaluation: win_pairs is %d, want 0 (no judging) or more", in.WinPairs)
	}
	judged := in.WinPairs > 0 && len(in.Models)+len(in.Baselines) > 1
	if judged && in.Judge == nil {
		return errors.New("evaluation: win rates need a judge; give one, or set win_pairs to 0")
	}
	if in.Orders != "" && in.Orders != judge.Both && in.Orders != judge.CoinFlip {
		return fmt.Errorf("evaluation: orders are %q, want %q or %q", in.Orders, judge.Both, judge.CoinFlip)
	}
	if !judged {
		return nil
	}
	if err := in.panel().Validate(); err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	return nil
}

// turns is the length of a pair's conversations, whoever asks.
func (in Input) turns(p stargate.Pair) int {
	return stargate.Length(in.Config.Seed, Scope, p.Key(), in.Config.MaxTurns)
}

// each runs do for 0..n-1, a bounded number at a time.
func (in Input) each(ctx context.Context, stage string, n int, do func(ctx context.Context, i int) error) error {
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(in.Config.Concurrency)
	for i := range n {
		g.Go(func() error {
			if err := do(ctx, i); err != nil {
				return err
			}
			if in.Observe != nil {
				in.Observe(stage, int(done.Add(1)), n)
			}
			return nil
		})
	}
	return g.Wait()
}

// count adds up what was dropped and drawn again.
func (e *Evaluation) count(rated []stargate.Candidates) {
	Count(rated, e.Result.Dropped, e.Result.Redrawn)
}

// Count adds the flaws of simulated conversations to two tables.
func Count(rated []stargate.Candidates, dropped, redrawn map[string]int) {
	for _, c := range rated {
		for _, s := range c.Scored {
			for _, f := range s.Redrawn {
				redrawn[string(f)]++
			}
		}
		for _, s := range c.Dropped {
			dropped[string(s.Outcome)]++
			for _, f := range s.Redrawn {
				redrawn[string(f)]++
			}
		}
	}
}
