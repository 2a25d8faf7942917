package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stargate"
	"stargate/ledger"
	"stargate/ledger/shard"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/plan"
	"stargate/prompt"
	"stargate/telemetry"
)

// session is an opened run.
type session struct {
	dir        string
	experiment Experiment
	manifest   Manifest
	config     stargate.Config
	prompts    *prompt.Set
	data       data
	whole      bool         // the data was read with all gold responses
	storage    Storage      // with passwords
	store      *shard.Store // nil: models and conversations stay in the directory
	ledger     *ledger.Ledger
	models     *models
	base       stargate.Base
	roleplayer stargate.Roleplayer
	evaluator  stargate.Roleplayer // the Roleplayer of the evaluation
	shared     bool                // the ledger is also that of other runs
	cast       cast
	reach      reach // which of it are opened
	budget     *remote.Budget
	clock      *clock
	notify     func(Event)
	gathered   map[int]*gathered    // by iteration
	moved      map[int]bool         // likewise: workers have moved the bodies of its calls
	telemetry  *telemetry.Telemetry // nil: nobody watches
	scripted   *Scripted            // nil: the base model is what the experiment names
}

// open makes a run ready, or one that was begun: nothing is asked of a model yet but what it
// is and whether it scores rightly.
// contestants are the models of an evaluation; a run has none.
func open(ctx context.Context, o Options, contestants ...Contestant) (_ *session, err error) {
	s := &session{clock: startClock(), notify: o.Observe, telemetry: o.Telemetry, scripted: o.Scripted, reach: o.reach}
	if o.Resolved != nil {
		s.experiment = *o.Resolved
		s.experiment.Algorithm.Concurrency = cmp.Or(s.experiment.Algorithm.Concurrency, stargate.Paper().Concurrency) // no part of a manifest
	} else if s.experiment, err = LoadExperiment(o.Experiment); err != nil {
		return nil, err
	}
	s.config = s.experiment.Algorithm
	s.config.Seed, s.config.Concurrency = o.Seed, s.experiment.pairsAtOnce()
	if s.prompts, err = LoadPrompts(s.experiment.Prompts, o.Source.PromptsDir); err != nil {
		return nil, err
	}
	if o.loaded != nil {
		s.data = *o.loaded
	} else if s.data, err = loadData(s.experiment, o.Seed, o.Source); err != nil {
		return nil, err
	}
	s.whole = len(s.data.WithoutGold()) == 0
	s.dir = o.directory(s.experiment)
	s.budget = remote.NewBudget(o.limits(s.experiment))
	s.models = &models{dir: filepath.Join(s.dir, modelsDir), engine: local.NewEngine(o.Workers), role: s.role, run: filepath.Base(s.dir), digests: map[string]string{}, notes: map[string][]string{}, keys: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err = s.cast.fill(ctx, s, o.Source.ModelDir); err != nil {
		return nil, err
	}
	if err = s.cast.enter(ctx, s, contestants); err != nil {
		return nil, err
	}
	splits, err := digestSplits(s.data.Splits)
	if err != nil {
		return nil, err
	}
	s.manifest = Manifest{Schema: schema, Experiment: s.experiment, Seed: o.Seed, Model: s.cast.questioner.digest, Data: splits, Source: o.Source, Prompts: s.prompts.Digests(), Version: o.Version,
		Roles: s.cast.digests(s.experiment), Evaluated: s.cast.evaluated()}
	if err = s.manifest.identify(); err != nil {
		return nil, err
	}
	if err = s.settle(o); err != nil {
		return nil, err
	}
	begins, err := openDirectory(s.dir, &s.manifest)
	if err != nil {
		return nil, err
	}
	if err = s.openStorage(ctx, o.Share); err != nil {
		if _, e := os.Stat(filepath.Join(s.dir, ledgerFile)); begins && errors.Is(e, fs.ErrNotExist) { // a wrong address is not to be that of the next try
			err = errors.Join(err, os.Remove(filepath.Join(s.dir, manifestFile)))
		}
		return nil, err
	}
	if err = s.countSpent(ctx); err != nil {
		return nil, err
	}
	if err = s.shareBudget(ctx, o); err != nil {
		return nil, err
	}
	s.models.ledger, s.models.telemetry = s.ledger, s.telemetry
	base, err := s.openBase()
	if err != nil {
		return nil, err
	}
	if base.trainer == nil && base.weights == nil && base.scripted == nil && len(contestants) == 0 {
		return nil, errNoWeights
	}
	s.base = stargate.NewBase(base, s.prompts)
	if s.roleplayer, err = s.play(s.cast.roleplayers); err != nil {
		return nil, err
	}
	s.evaluator, err = s.play(s.cast.evaluators)
	return s, err
}

// limits are those of the command where it sets any, else the experiment's.
func (o Options) limits(e Experiment) remote.Limits {
	l := e.Budget
	if o.Budget.Cost > 0 {
		l.Cost = o.Budget.Cost
	}
	if o.Budget.Tokens > 0 {
		l.Tokens = o.Budget.Tokens
	}
	return l
}

// openLedger opens the run's own ledger, or one that it shares with other runs. Calls and
// fine-tunes are named by their content, so sharing changes only what is asked again.
func (s *session) openLedger(share string) (err error) {
	path, id := filepath.Join(s.dir, ledgerFile), ledger.Identity{Name: s.experiment.Name, Digest: s.manifest.Identity}
	if share != "" {
		s.shared = true
		s.models.dir, s.models.links = filepath.Join(share, modelsDir), s.models.dir
		if err := os.MkdirAll(s.models.dir, 0o755); err != nil {
			return fmt.Errorf("shared directory: %w", err)
		}
		path, id = filepath.Join(share, ledgerFile), ledger.Identity{Name: "calls that several runs share", Digest: "shared"}
	}
	if s.storage.Ledger != "" {
		path = s.storage.Ledger
	}
	if s.ledger, err = ledger.Open(path, id); err == nil && s.telemetry != nil {
		s.ledger.Watch(s.telemetry.Call)
	}
	return err
}

// countSpent puts what earlier sessions paid for on the accounts of the roles that servers
// play, and of the trainer.
func (s *session) countSpent(ctx context.Context) error {
	prices := s.prices()
	err := s.eachSpent(ctx, func(role string, spent remote.Spend) {
		if price, ok := prices[role]; ok {
			s.budget.Account(role, price).Add(spent)
		}
	})
	if err != nil {
		return err
	}
	if price, ok := prices[plan.Sampled]; ok {
		s.models.samples = s.budget.Account(plan.Sampled, price)
	}
	if price, ok := prices[plan.Trainer]; ok {
		s.models.wages = s.budget.Account(plan.Trainer, price)
		return s.eachWage(ctx, s.models.wages.Add)
	}
	return nil
}

// eachSpent visits what the ledger holds of this run's calls, by role.
func (s *session) eachSpent(ctx context.Context, visit func(role string, spent remote.Spend)) error {
	totals, err := s.ledger.Totals(ctx)
	if err != nil {
		return err
	}
	for _, t := range totals {
		if role, own := s.ownRole(t.Role); own {
			visit(role, remote.Spend{Calls: t.Made, TokensIn: t.TokensIn, TokensOut: t.TokensOut})
		}
	}
	return nil
}
