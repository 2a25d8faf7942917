package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"stargate"
	"stargate/dataset"
	"stargate/eval"
	"stargate/lm"
)

// Contestant is a model under evaluation. With the zero [Player] it is the base model.
type Contestant struct {
	Name   string
	Player Player
}

// Evaluated is a model of an evaluation in its manifest.
type Evaluated struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Player Player `json:"player,omitzero"` // how to find it again
}

// EvaluateOptions are the inputs of [Evaluate].
type EvaluateOptions struct {
	Options // of its Experiment count data, roles, the sampling and the evaluation

	Models     []Contestant // the first is what the others are compared with
	Base       *Player      // Q_BASE, which scores; nil = the experiment's
	Roleplayer []Player     // instead of the experiment's
	Judge      []Player     // instead of the experiment's
	WinPairs   int          // instead of the experiment's; 0 = its
	Credit     *bool        // instead of the experiment's
	WhenToAsk  *bool        // instead of the experiment's
}

// Evaluate measures any models on the test split of an experiment: nothing is trained, and
// no run is needed. Its directory is like a run's, with a ledger, so that an evaluation that
// was stopped goes on where it was, and with the same reports and records. A [Result] of it
// is of the kind [eval.Contestants].
func Evaluate(ctx context.Context, o EvaluateOptions) (_ *Outcome, err error) {
	if err := o.resolve(); err != nil {
		return nil, err
	}
	s, err := open(ctx, o.Options, o.Models...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	in, err := s.evaluation()
	if err != nil {
		return nil, err
	}
	in.Kind = eval.Contestants
	for _, at := range s.cast.contestants {
		model := s.ledger.Generator(s.role(at.role), at.digest, at.model)
		in.Models = append(in.Models, eval.Model{Name: at.player.Name, Policy: stargate.NewQuestioner(model, s.prompts, s.config).WithPreamble(false)})
		s.models.digests[at.player.Name] = at.digest
	}
	return s.evaluate(ctx, in, nil)
}

// Reevaluate are the options that made an evaluation's directory.
func (m *Manifest) Reevaluate(o Options) EvaluateOptions {
	o.Resolved, o.Seed, o.Source = &m.Experiment, m.Seed, m.Source
	again := EvaluateOptions{Options: o}
	for _, e := range m.Evaluated {
		again.Models = append(again.Models, Contestant{e.Name, e.Player})
	}
	return again
}

// resolve puts the options over those of the experiment.
func (o *EvaluateOptions) resolve() error {
	if len(o.Models) == 0 {
		return fmt.Errorf("there is no model to evaluate")
	}
	if o.Resolved == nil {
		e, err := LoadExperiment(o.Experiment)
		if err != nil {
			return err
		}
		o.Resolved = &e
	}
	e := *o.Resolved
	e.Trainer = TrainerSpec{} // nothing is trained
	if o.Source.Whole {
		e.Roles.Oracle = nil // a pair without a gold response is left out
	}
	if o.Base != nil {
		e.Roles.Questioner = o.Base
	}
	if len(o.Roleplayer) > 0 {
		e.Roles.Roleplayer, e.Evaluation.Roleplayer = o.Roleplayer, nil
	}
	if len(o.Judge) > 0 {
		e.Roles.Judge = o.Judge
	}
	if o.WinPairs > 0 {
		e.Evaluation.WinPairs = o.WinPairs
	}
	if o.Credit != nil {
		e.Evaluation.Credit = *o.Credit
	}
	if o.WhenToAsk != nil {
		e.Evaluation.WhenToAsk = *o.WhenToAsk
	}
	o.Resolved = &e
	if o.Out == "" {
		o.Out = filepath.Join("runs", "eval-"+defaultName(e.Name, o.Seed))
	}
	return nil
}

// enter opens the models of an evaluation.
func (c *cast) enter(ctx context.Context, s *session, models []Contestant) error {
	for _, m := range models {
		p := m.Player
		at, err := c.contestant(ctx, s, m.Name, p)
		if err != nil {
			return err
		}
		at.player.Name, at.role = m.Name, "questioner ("+m.Name+")"
		c.contestants = append(c.contestants, at)
	}
	return nil
}

func (c *cast) contestant(ctx context.Context, s *session, name string, p Player) (seat, error) {
	if p.Rule != nil {
		return seat{}, fmt.Errorf("model %s: a rule cannot ask; give a model directory or a model server", name)
	}
	adapter, err := isAdapter(p.Local)
	if err != nil || !adapter {
		if err != nil {
			return seat{}, fmt.Errorf("model %s: %w", name, err)
		}
		at, err := c.seat(ctx, s, "model "+name, p)
		if _, speaks := at.model.(lm.Generator); err == nil && !speaks {
			return at, fmt.Errorf("model %s: it does not generate", name)
		}
		return at, err
	}
	if c.weights == nil {
		return seat{}, fmt.Errorf("model %s: %s is an adapter, and the base model's weights are on a server; load the adapter there", name, p.Local)
	}
	m, err := c.weights.OpenAdapter(os.DirFS(p.Local), 0)
	if err != nil {
		return seat{}, fmt.Errorf("model %s: adapter of the base model: %w", name, err)
	}
	s.models.open = append(s.models.open, m)
	return seat{player: p, model: m, digest: m.Digest()}, nil
}

// isAdapter tells a directory that holds a LoRA adapter and no whole model.
func isAdapter(dir string) (bool, error) {
	if dir == "" {
		return false, nil
	}
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return false, nil
	}
	switch _, err := os.Stat(filepath.Join(dir, "adapter_config.json")); {
	case err == nil:
		return true, nil
	case os.IsNotExist(err):
		return false, nil // whoever opens it says what it is
	default:
		return false, err
	}
}

// evaluated are the models of an evaluation for its manifest.
func (c *cast) evaluated() []Evaluated {
	var out []Evaluated
	for _, at := range c.contestants {
		p := at.player
		p.Name = ""
		out = append(out, Evaluated{at.player.Name, at.digest, p})
	}
	return out
}

// whole makes every pair of a user's data that has a gold response a test pair.
func whole(set dataset.Set) dataset.Splits {
	s := dataset.Splits{Test: stargate.Split{Name: dataset.SplitTest}}
	for _, u := range set.Personas {
		for _, t := range set.Tasks {
			p := stargate.Pair{Task: t, Persona: u}
			if p.Gold, _ = set.Gold.Of(t, u); p.Gold != "" {
				s.Test.Pairs = append(s.Test.Pairs, p)
				continue
			}
			s.Excluded = append(s.Excluded, p.Key())
			s.LeftOut = append(s.LeftOut, dataset.LeftOut{Split: dataset.SplitTest, Pair: p})
		}
	}
	return s
}
