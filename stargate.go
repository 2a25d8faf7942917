package stargate

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

	// Watch, if not nil, is called when the pass of a pair begins, from several goroutines. The
	// pass goes on with the context it returns, and the function it returns gets what came of it.
	Watch func(ctx context.Context, n int, p Pair) (context.Context, func(best Candidates, sel []Selected, err error))

	// Visit, if not nil, gets what came of every pair of iteration n, in the split's order, one
	// after the other. Iterations then have no Candidates: a run of any size needs the memory of
	// the pairs that are under way, and of what is selected.
	Visit func(ctx context.Context, n int, i int, best Candidates, sel []Selected) error

	// Known, if not nil, may have on record what came of iteration n's pairs. It then gives that to
	// visit, in the split's order, and is true; else it gives nothing.
	Known func(ctx context.Context, n int, visit func(i int, best Candidates, sel []Selected) error) (bool, error)

	// Keep, if not nil, gets what an iteration chose, and the policy that asked, before anything
	// is trained on it. Log, Examples and Policy are still empty.
	Keep func(ctx context.Context, it *Iteration, by Questioner) error
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
	Candidates []Candidates `json:"candidates"` // by pair, in the split's order; nil where [Input.Visit] got them
	Selected   []Selected   `json:"selected"`   // nil after the training where [Input.Visit] got them
	Examples   int          `json:"examples"`
	Log        lm.TuneLog   `json:"log"`
	Policy     Questioner   `json:"-"` // Q_η
}

// Port is all that the loop of Algorithm 1 touches: it has no clock, no goroutine, no random
// number and no context of its own, so that a process can run it and a workflow engine can
// repeat it. Policy and Chosen are the things themselves, or references to them.
type Port[Policy, Chosen any] interface {
	// Base is Q_0.
	Base() Policy
	// Map does [Input.Pass] for every pair of iteration n's split, in shards of whole pairs, in
	// any place and order, and returns what was chosen in the split's order.
	Map(n int, policy Policy) (Chosen, error)
	// Do is one long step: it trains the policy of iteration n.
	Do(n int, chosen Chosen) (Policy, error)
}

// Loop is Algorithm 1 of the paper; the numbers are its lines. It returns the last policy.
func Loop[Policy, Chosen any](port Port[Policy, Chosen], iterations int) (Policy, error) {
	policy := port.Base()              // 1  Q_0 = Q_BASE, T, U, G
	for n := 1; n <= iterations; n++ { // 2  outer loop
		chosen, err := port.Map(n, policy) // 3, 4 and 5 for all pairs of the iteration's split
		if err != nil {
			return policy, fmt.Errorf("iteration %d: %w", n, err)
		}
		policy, err = port.Do(n, chosen) // 6  Q_η ← train(Q_BASE, S_η, R_η)
		if err != nil {
			return policy, fmt.Errorf("iteration %d: %w", n, err)
		}
	}
	return policy, nil // 7  end for
}

// Pass is what one pair goes through in iteration n. Pairs do not wait for each other.
func (in Input) Pass(ctx context.Context, n int, policy Questioner, p Pair) (best Candidates, sel []Selected, err error) {
	if in.Watch != nil {
		var ended func(Candidates, []Selected, error)
		ctx, ended = in.Watch(ctx, n, p)
		defer func() { ended(best, sel, err) }()
	}
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
}

// Run runs Algorithm 1 in this process. It returns the record of every iteration, the last
// one holding the final policy.
func Run(ctx context.Context, in Input) ([]Iteration, error) {
	if err := in.Validate(); err != nil {
		return nil, err
	}
	here := &process{ctx: ctx, Input: in, dropped: map[Outcome]int{}}
	_, err := Loop(here, in.Config.Iterations)
	return here.done, err
}

// process is the port of a run that is done in one process.
type process struct {
	Input
	ctx     context.Context
	done    []Iteration
	dropped map[Outcome]int // conversations of this iteration
}

func (p *process) Base() Questioner { return p.Input.Base.Questioner(p.Config) }

func (p *process) Map(n int, policy Questioner) (*Iteration, error) {
	split := p.Split(n)
	it := &Iteration{N: n, Split: split.Name}
	selected := make([][]Selected, len(split.Pairs))
	visit := func(i int, c Candidates, _ []Selected) error {
		it.Candidates = append(it.Candidates, c)
		return nil
	}
	if p.Visit != nil {
		visit = func(i int, c Candidates, s []Selected) error { return p.Visit(p.ctx, n, i, c, s) }
	} else {
		it.Candidates = make([]Candidates, 0, len(split.Pairs))
	}
	clear(p.dropped)
	ordered := newInOrder(func(i int, c Candidates, s []Selected) error {
		selected[i] = s
		p.count(c)
		return visit(i, c, s)
	})
	err := p.each(n, policy, ordered.put)
	it.Selected = slices.Concat(selected...)
	if err == nil && p.Keep != nil {
		err = p.Keep(p.ctx, it, policy)
	}
	return it, err
}

// each gives visit what came of every pair of iteration n: what is on record, or what it makes.
func (p *process) each(n int, policy Questioner, visit func(i int, best Candidates, sel []Selected) error) error {
	if p.Known != nil {
		if known, err := p.Known(p.ctx, n, visit); known || err != nil {
			return err
		}
	}
	return p.Pairs(p.ctx, n, policy, 0, len(p.Split(n).Pairs), visit)
}

func (p *process) Do(n int, it *Iteration) (policy Questioner, err error) {
	p.observe(Event{n, "tune", 0, 1})
	selected := it.Selected
	if p.Visit != nil {
		it.Selected = nil // not two copies of all of them, while they become examples
	}
	it.Policy, it.Examples, it.Log, err = p.Train(p.ctx, n, selected)
	switch {
	case errors.Is(err, ErrNothingSelected):
		return policy, fmt.Errorf("%w: %s", err, tellDropped(p.dropped))
	case err != nil:
		return policy, err
	}
	p.observe(Event{n, "tune", 1, 1})
	p.done = append(p.done, *it)
	return it.Policy, nil
}

func (p *process) count(c Candidates) {
	for _, s := range c.Dropped {
		p.dropped[s.Outcome]++
	}
}

// ErrNothingSelected: an iteration has no conversation left to train on.
var ErrNothingSelected = errors.New("no conversation could be selected")

// scope names an iteration's draws.
func scope(n int) string { return fmt.Sprintf("iteration %d", n) }

// Split is that of iteration n: A, B, A, … so that no model is trained on data its
// predecessor was just trained on.
func (in Input) Split(n int) Split {
	if n%2 == 1 {
		return in.A
	}
	return in.B
}

// Validate checks what a run is given, before its first call of a model.
func (in Input) Validate() error {
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

// Pairs does [Input.Pass] for the pairs from..to-1 of iteration n's split, several at a time.
// visit gets each result, from several goroutines, with the pair's place in the split; what it
// fails with ends all.
func (in Input) Pairs(ctx context.Context, n int, policy Questioner, from, to int, visit func(i int, best Candidates, sel []Selected) error) error {
	pairs := in.Split(n).Pairs[from:to]
	var finished atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(in.Config.Concurrency)
	in.observe(Event{n, "simulate", 0, len(pairs)})
	for i, p := range pairs {
		g.Go(func() error {
			best, sel, err := in.Pass(ctx, n, policy, p)
			if err != nil {
				return err
			}
			if err := visit(from+i, best, sel); err != nil {
				return err
			}
			in.observe(Event{n, "simulate", int(finished.Add(1)), len(pairs)})
			return nil
		})
	}
	return g.Wait()
}

// Train makes the policy of iteration n from Q_BASE and what was selected, in the split's
// order. It returns [ErrNothingSelected] if nothing of it can be trained on.
func (in Input) Train(ctx context.Context, n int, selected []Selected) (policy Questioner, examples int, log lm.TuneLog, err error) {
	rendered, err := Examples(in.Prompts, selected)
	if err != nil {
		return policy, 0, log, err
	}
	if len(rendered) == 0 {
		return policy, 0, log, fmt.Errorf("%w from %d pairs: every rollout was dropped", ErrNothingSelected, len(in.Split(n).Pairs))
	}
	model, log, err := in.Base.Tune(ctx, fmt.Sprintf("m%d", n), rendered, in.Config.Tune)
	if err != nil {
		return policy, 0, log, fmt.Errorf("tune: %w", err)
	}
	return NewQuestioner(model, in.Prompts, in.Config), len(rendered), log, nil
}

func (in Input) observe(e Event) {
	if in.Observe != nil {
		in.Observe(e)
	}
}
