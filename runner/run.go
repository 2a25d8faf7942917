package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"stargate"
	"stargate/eval"
	"stargate/lm/remote"
	"stargate/plan"
	"stargate/prompt"
	"stargate/report"
	"stargate/telemetry"
)

// Options are a run's inputs.
type Options struct {
	Experiment string      // name or file, with "+ablation"
	Resolved   *Experiment // instead of Experiment: that of a manifest
	Out        string      // run directory; "" = runs/<experiment>, with the seed if it is not 0
	Seed       uint64
	Workers    int           // 0 = one per processor; changes no result
	Ledger     string        // database of the ledger, over that of the experiment; see [Storage]
	Store      string        // where models and conversations are published, over that of the experiment; see [Storage]
	Share      string        // directory of model calls and tuned models that several runs share; "" = the run's own; changes no result
	Budget     remote.Limits // over that of the experiment; what was spent before counts
	Version    string
	Source     Source
	Scripted   *Scripted            // plays the base model, instead of what the experiment names; nil in a run of real models
	Observe    func(Event)          // may be nil; called from several goroutines
	Telemetry  *telemetry.Telemetry // may be nil; changes no result

	loaded *data // what another session of this process has read of the same sources; may be nil

	joined bool // the run was begun by somebody else, whose limits count
	reach  reach
}

// Event tells how far a run is.
type Event struct {
	Stage string // "iteration 1: simulate", "iteration 1: tune", "evaluation: simulate m2", …
	Done  int
	Total int
	Cost  float64 // so far, in all; 0 where no server costs anything
}

// Outcome is a finished run.
type Outcome struct {
	Dir    string
	Result *eval.Result
	Timing Timing
}

// Run does an experiment, or goes on with it where it stopped. On an error everything
// that was finished stays in the run directory.
func Run(ctx context.Context, o Options) (_ *Outcome, err error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.golds(ctx); err != nil {
		return nil, err
	}
	in, err := s.evaluation() // before the first hour of work
	if err != nil {
		return nil, err
	}
	iterations, err := stargate.Run(ctx, s.input())
	if err != nil {
		return nil, err
	}
	// The request for a personal answer is for the responses to train on only.
	m0 := s.base.Questioner(s.config).WithPreamble(false)
	policies := []eval.Model{{Name: "m0", Policy: m0}}
	for _, it := range iterations {
		policies = append(policies, eval.Model{Name: fmt.Sprintf("m%d", it.N), Policy: it.Policy.WithPreamble(false)})
	}
	in.Models = policies
	if s.config.ResponsePreamble {
		in.Baselines = []eval.Model{{Name: "m0 with the preamble", Policy: m0.WithPreamble(true)}}
	}
	return s.evaluate(ctx, in, iterations)
}

// evaluation is that of the session's experiment, without its models. It fails where a measure
// that the experiment asks for cannot be made.
func (s *session) evaluation() (in eval.Input, err error) {
	if err := s.measures(&in); err != nil {
		return in, err
	}
	in.Experiment, in.Config, in.Test = s.experiment.Name, s.config, s.data.Test
	in.Base, in.Roleplayer, in.WinPairs = s.base, s.evaluator, s.experiment.Evaluation.WinPairs
	in.BaseResponds = s.experiment.Evaluation.ResponseModel == "base"
	if s.data.world != nil {
		in.Truth = s.data.world
	}
	return in, nil
}

// evaluate measures in.Models on the test split, and leaves the report in the directory.
func (s *session) evaluate(ctx context.Context, in eval.Input, iterations []stargate.Iteration) (*Outcome, error) {
	in.Observe = func(stage string, done, total int) { s.observe("evaluation: "+stage, done, total) }
	e, err := eval.Run(ctx, in)
	if err != nil {
		return nil, err
	}
	page, err := s.report(ctx, iterations, e)
	if err != nil {
		return nil, err
	}
	if err := e.Save(s.dir); err != nil {
		return nil, err
	}
	if err := report.Write(s.dir, page); err != nil {
		return nil, err
	}
	timing, err := s.clock.write(s.dir)
	if err != nil {
		return nil, err
	}
	return &Outcome{s.dir, e.Result, timing}, nil
}

// input is what Algorithm 1 takes.
func (s *session) input() stargate.Input {
	return stargate.Input{
		Config: s.config, Prompts: s.prompts, Base: s.base, Roleplayer: s.roleplayer, A: s.data.A, B: s.data.B,
		Observe: func(e stargate.Event) {
			s.observe(fmt.Sprintf("iteration %d: %s", e.Iteration, e.Stage), e.Done, e.Total)
		},
		Known: s.known,
		Visit: s.gather,
		Keep:  s.publishIteration,
		Watch: s.watchPairs(),
	}
}

// directory is that of a run.
func (o Options) directory(e Experiment) string {
	if o.Out != "" {
		return o.Out
	}
	return filepath.Join("runs", defaultName(e.Name, o.Seed))
}

func defaultName(experiment string, seed uint64) string {
	if seed == 0 {
		return experiment
	}
	return fmt.Sprintf("%s-seed%d", experiment, seed)
}

// LoadPrompts is an embedded prompt set, with the templates of dir over it if dir is not "".
func LoadPrompts(set, dir string) (*prompt.Set, error) {
	if dir == "" {
		return prompt.Embedded(set)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("prompts: %w", err)
	}
	return prompt.Load(set, os.DirFS(dir))
}

func (s *session) observe(stage string, done, total int) {
	s.clock.stage(stage)
	s.watchStage(stage, done, total)
	if s.notify != nil {
		s.notify(Event{stage, done, total, s.budget.Cost()})
	}
}

// close ends the session. An error says what may not have been kept.
func (s *session) close() (err error) {
	if s.ledger != nil {
		if e := s.giveBack(context.Background()); e != nil {
			err = fmt.Errorf("give back what was not spent: %w", e)
		}
		if e := s.ledger.Close(); e != nil {
			err = errors.Join(err, fmt.Errorf("close the ledger: %w", e))
		}
	}
	if s.store != nil {
		if e := s.store.Close(); e != nil {
			err = errors.Join(err, fmt.Errorf("close the store: %w", e))
		}
	}
	s.models.close()
	return err
}

// sampled is how many pairs of an iteration the page lets one read.
const sampled = 24

// report puts together what the page shows.
func (s *session) report(ctx context.Context, iterations []stargate.Iteration, e *eval.Evaluation) (report.Data, error) {
	r := e.Result
	r.Experiment, r.LeftOut = s.experiment.Name, s.data.leftOut()
	prices := s.prices()
	totals, err := s.ledger.Totals(ctx)
	if err != nil {
		return report.Data{}, err
	}
	for _, t := range totals {
		role, own := s.ownRole(t.Role)
		if !own {
			continue
		}
		calls := eval.Calls{Made: int(t.Made), TokensIn: int(t.TokensIn), TokensOut: int(t.TokensOut)}
		if price, ok := prices[role]; ok {
			calls.Cost = price.Cost(t.TokensIn, t.TokensOut)
		}
		r.Calls[role] = calls
	}
	if price, ok := prices[plan.Trainer]; ok {
		n, tokens, err := s.trained(ctx)
		if err != nil {
			return report.Data{}, err
		}
		r.Calls[plan.Trainer] = eval.Calls{Made: n, TokensIn: int(tokens), Cost: price.Cost(tokens, 0)}
	}
	d := report.Data{Result: r}
	for _, it := range iterations {
		g := s.gathered[it.N]
		add(r.Dropped, g.dropped)
		add(r.Redrawn, g.redrawn)
		d.Iterations = append(d.Iterations, g.view.View(it))
		if n := len(it.Log.Dropped); n > 0 {
			r.Dropped["example: "+string(stargate.TooLong)] += n
		}
		t := eval.Training{Model: fmt.Sprintf("m%d", it.N), Split: it.Split, Examples: it.Examples, EvalLoss: [2]float64{it.Log.EvalLossBase, it.Log.EvalLoss}, Margin: g.selection.Margin()}
		t.Notes = s.models.notes[t.Model]
		for _, step := range it.Log.Steps {
			t.Loss = append(t.Loss, step.Loss)
		}
		t.Relevant[0], t.Relevant[1] = g.selection.Relevant()
		r.Reliability = append(r.Reliability, g.reward.Reliability())
		r.Training = append(r.Training, t)
	}
	d.Test = report.TestOf(e, s.truth(), sampled)
	d.Provenance = s.provenance()
	return d, nil
}

// add adds counts.
func add(to, counts map[string]int) {
	for k, n := range counts {
		to[k] += n
	}
}

func (s *session) provenance() report.Provenance {
	p := report.Provenance{Version: s.manifest.Version, Config: s.manifest.Identity, Seeds: []report.NamedInt{{Name: "run", Value: s.manifest.Seed}, {Name: "tune", Value: s.config.Tune.Seed}},
		Data: []report.Digest{{Name: "splits", SHA256: s.manifest.Data}}}
	for _, name := range slices.Sorted(maps.Keys(s.models.digests)) {
		p.Models = append(p.Models, report.Digest{Name: name, SHA256: s.models.digests[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(s.manifest.Prompts)) {
		p.Prompts = append(p.Prompts, report.Digest{Name: name, SHA256: s.manifest.Prompts[name]})
	}
	return p
}
