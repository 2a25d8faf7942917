package stargate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"stargate/lm"
	"stargate/prompt"
)

// Input is everything Algorithm 1 takes.
type Input struct {
	Config     Config
	Prompts    *prompt.Set
	Base       Base
	Roleplayer Roleplayer
	A, B       Split       // T_A × U_A and T_B × U_B, with their gold responses
	Observe    func(Event) // may be nil; called from several goroutines
}

// Event tells an observer how far a run is.
type Event struct {
	Iteration int    // η, from 1
	Stage     string // "simulate" (lines 3 to 5, in pairs) or "tune" (line 6)
	Done      int
	Total     int
}

// Iteration is the record of one pass through the outer loop.
type Iteration struct {
	N          int          `json:"n"` // η
	Split      string       `json:"split"`
	Candidates []Candidates `json:"candidates"` // by pair, in the split's order
	Selected   []Selected   `json:"selected"`
	Examples   int          `json:"examples"`
	Log        lm.TuneLog   `json:"log"`
	Policy     Questioner   `json:"-"` // Q_η
}

// Run is Algorithm 1 of the paper; the numbers are its lines. It returns the record of
// every iteration, the last one holding the final policy.
func Run(ctx context.Context, in Input) ([]Iteration, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	var done []Iteration
	policy := in.Base.Questioner(in.Config)      // 1  Q_0 = Q_BASE, T, U, G
	for n := 1; n <= in.Config.Iterations; n++ { // 2  outer loop
		it := Iteration{N: n, Split: in.split(n).Name}
		err := in.eachPair(ctx, &it, func(ctx context.Context, p Pair) (best Candidates, sel []Selected, err error) {
			sims, err := Simulate(ctx, in.Config, scope(n), policy, in.Roleplayer, p) // 3  {s_ij^c} ← Q_{η-1}(t_i, u_j)
			if err != nil {
				return best, nil, err
			}
			best, err = Choose(ctx, in.Config, in.Base, p, sims) // 4  S_η ← argmax_c log p_BASE(g_ij | t_i, s_ij^c)
			if err != nil {
				return best, nil, err
			}
			sel, err = Respond(ctx, in.Config, policy, best) // 5  R_η = {Q_{η-1}(t_i, s*_ij)}
			return best, sel, err
		})
		if err != nil {
			return done, fmt.Errorf("iteration %d: %w", n, err)
		}
		policy, err = in.train(ctx, &it) // 6  Q_η ← train(Q_BASE, S_η, R_η)
		if err != nil {
			return done, fmt.Errorf("iteration %d: %w", n, err)
		}
		done = append(done, it)
	}
	return done, nil // 7  end for
}

// ErrNothingSelected: an iteration has no conversation left to train on.
var ErrNothingSelected = errors.New("no conversation could be selected")

// scope names an iteration's draws.
func scope(n int) string { return fmt.Sprintf("iteration %d", n) }

// split alternates A, B, A, … so that no model is trained on data its predecessor was just
// trained on.
func (in Input) split(n int) Split {
	if n%2 == 1 {
		return in.A
	}
	return in.B
}

func (in Input) validate() error {
	if err := in.Config.Validate(); err != nil {
		return err
	}
	for _, s := range []Split{in.A, in.B} {
		if err := s.Validate(); err != nil {
			return err
		}
	}
	return CheckDisjoint(in.A, in.B)
}

// eachPair does lines 3 to 5 for every pair of the iteration's split, several at a time,
// and records them in the split's order. Pairs do not wait for each other.
func (in Input) eachPair(ctx context.Context, it *Iteration, do func(context.Context, Pair) (Candidates, []Selected, error)) error {
	pairs := in.split(it.N).Pairs
	it.Candidates = make([]Candidates, len(pairs))
	selected := make([][]Selected, len(pairs))
	var finished atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(in.Config.Concurrency)
	in.observe(Event{it.N, "simulate", 0, len(pairs)})
	for i, p := range pairs {
		g.Go(func() error {
			var err error
			if it.Candidates[i], selected[i], err = do(ctx, p); err != nil {
				return err
			}
			in.observe(Event{it.N, "simulate", int(finished.Add(1)), len(pairs)})
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, s := range selected {
		it.Selected = append(it.Selected, s...)
	}
	return nil
}

// train makes the next policy from Q_BASE and what was selected.
func (in Input) train(ctx context.Context, it *Iteration) (Questioner, error) {
	examples, err := Examples(in.Prompts, it.Selected)
	if err != nil {
		return Questioner{}, err
	}
	if len(examples) == 0 {
		return Questioner{}, fmt.Errorf("%w from %d pairs: every rollout was dropped; look at the counts of flaws, and at the prompts", ErrNothingSelected, len(it.Candidates))
	}
	it.Examples = len(examples)
	in.observe(Event{it.N, "tune", 0, 1})
	model, log, err := in.Base.Tune(ctx, fmt.Sprintf("m%d", it.N), examples, in.Config.Tune)
	if err != nil {
		return Questioner{}, fmt.Errorf("tune: %w", err)
	}
	in.observe(Event{it.N, "tune", 1, 1})
	it.Log, it.Policy = log, NewQuestioner(model, in.Prompts, in.Config)
	return it.Policy, nil
}

func (in Input) observe(e Event) {
	if in.Observe != nil {
		in.Observe(e)
	}
}
