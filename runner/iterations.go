package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"stargate"
	"stargate/ledger"
	"stargate/ledger/shard"
	"stargate/lm"
	"stargate/prompt"
)

// Recorded is an iteration of a run as its ledger remembers it.
type Recorded struct {
	Manifest  *Manifest
	Prompts   *prompt.Set
	Iteration stargate.Iteration // Policy is the zero value, and Log is empty before the fine-tune
}

// ErrNotReached: a run has not finished the iteration asked for.
var ErrNotReached = errors.New("the run has not come so far")

// ReadIteration computes an iteration of a run again from what its ledger holds: no model is opened,
// no server is asked, nothing is written, and the run may be going on meanwhile. n is from 1; 0
// is the last one whose conversations are finished. It fails with [ErrNotReached], and where the
// run's data or prompts are others than when it was made.
func ReadIteration(ctx context.Context, dir string, n int) (_ *Recorded, err error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	if most := m.Experiment.Algorithm.Iterations; n < 0 || n > most {
		return nil, fmt.Errorf("%w: %s has iterations 1 to %d, not %d", ErrNotReached, dir, most, n)
	}
	r, err := openReplay(ctx, dir, m)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if n > 0 {
		return r.upTo(ctx, n)
	}
	for n = m.Experiment.Algorithm.Iterations; n > 1; n-- {
		if _, err := r.tuned(ctx, n-1); err == nil { // its policy talks in iteration n
			found, err := r.upTo(ctx, n)
			if errors.Is(err, ErrNotReached) {
				continue
			}
			return found, err
		} else if !errors.Is(err, ErrNotReached) {
			return nil, err
		}
	}
	return r.upTo(ctx, 1)
}

// replay is a run whose models are their ledger.
type replay struct {
	dir      string
	manifest *Manifest
	prompts  *prompt.Set
	data     data
	ledger   *ledger.Reader
	store    *shard.Store      // nil: the run has none
	shared   map[string]string // where models are shared: by name, what the key of its fine-tune begins with
}

func openReplay(ctx context.Context, dir string, m *Manifest) (*replay, error) {
	r := &replay{dir: dir, manifest: m, shared: map[string]string{}}
	var err error
	if r.prompts, err = LoadPrompts(m.Experiment.Prompts, m.Source.PromptsDir); err != nil {
		return nil, err
	}
	if !maps.Equal(r.prompts.Digests(), m.Prompts) {
		return nil, fmt.Errorf("%s was made with other prompts than %s holds now", dir, or(m.Source.PromptsDir, "this program"))
	}
	if r.data, err = loadData(m.Experiment, m.Seed, m.Source); err != nil {
		return nil, err
	}
	splits, err := digestSplits(r.data.Splits)
	if err != nil {
		return nil, err
	}
	if splits != m.Data {
		return nil, fmt.Errorf("%s was made of other data than its files hold now: tasks, personas or golds have changed", dir)
	}
	path := m.LedgerAt(dir)
	if _, err := os.Stat(filepath.Join(dir, ledgerFile)); errors.Is(err, fs.ErrNotExist) {
		if shared := r.findShared(); m.Storage.Ledger == "" {
			path = shared
		}
	}
	if r.ledger, err = ledger.OpenReader(path); err != nil {
		return nil, err
	}
	if m.Storage.Store == "" {
		return r, nil
	}
	if r.store, err = shard.Open(ctx, m.Storage.Store); err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.ledger.ReadBodies(shard.NewShelf(r.store, shelved))
	return r, nil
}

func (r *replay) close() error {
	err := r.ledger.Close()
	if r.store != nil {
		err = errors.Join(err, r.store.Close())
	}
	return err
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// findShared is the ledger of a run that shares its calls with others: beside the models that
// its own directory leads to.
func (r *replay) findShared() string {
	path := filepath.Join(r.dir, ledgerFile)
	entries, err := os.ReadDir(filepath.Join(r.dir, modelsDir))
	if err != nil {
		return path // whoever opens it says that it is not there
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(r.dir, modelsDir, e.Name()))
		if err != nil {
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(r.dir, modelsDir, target)
		}
		r.shared[e.Name()] = filepath.Base(target)
		path = filepath.Join(filepath.Dir(filepath.Dir(target)), ledgerFile)
	}
	return path
}

// golds are those that the run's Oracle made.
func (r *replay) golds(ctx context.Context, cfg stargate.Config) error {
	if len(r.data.WithoutGold()) == 0 {
		return nil
	}
	_, err := r.data.complete(ctx, r.manifest.Experiment, goldInput(*r.manifest.Experiment.Roles.Oracle, cfg, r.prompts, r.ledger.Replay(r.digest(oracleRole, 0))))
	if errors.Is(err, ledger.ErrNotRecorded) {
		return fmt.Errorf("%w: %s, gold responses: %w; go on with the run first", ErrNotReached, r.dir, err)
	}
	return err
}

// upTo repeats the algorithm as far as iteration n.
func (r *replay) upTo(ctx context.Context, n int) (*Recorded, error) {
	cfg := r.manifest.Experiment.Algorithm
	cfg.Seed, cfg.Iterations, cfg.Concurrency = r.manifest.Seed, n, stargate.Paper().Concurrency
	if err := r.golds(ctx, cfg); err != nil {
		return nil, err
	}
	roleplayer, err := r.roleplayer(cfg)
	if err != nil {
		return nil, err
	}
	its, err := stargate.Run(ctx, stargate.Input{
		Config: cfg, Prompts: r.prompts, Base: stargate.NewBase(remembered{r.ledger.Replay(r.manifest.Model), r.ledger.Replay(r.digest("scorer", 0)), r, n}, r.prompts),
		Roleplayer: roleplayer, A: r.data.A, B: r.data.B,
	})
	switch {
	case errors.Is(err, ledger.ErrNotRecorded):
		return nil, fmt.Errorf("%w: %s, iteration %d: %w; go on with the run first", ErrNotReached, r.dir, n, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", r.dir, err)
	}
	it := its[n-1]
	it.Policy = stargate.Questioner{}
	return &Recorded{r.manifest, r.prompts, it}, nil
}

// digest is that of the i-th player of a role, which is the base model where nobody is named.
func (r *replay) digest(role string, i int) string {
	if all := r.manifest.Roles[role]; i < len(all) {
		return all[i]
	}
	return r.manifest.Model
}

func (r *replay) roleplayer(cfg stargate.Config) (stargate.Roleplayer, error) {
	players := r.manifest.Experiment.Roles.Roleplayer
	if len(players) == 0 {
		players = []Player{{}}
	}
	var all []stargate.Roleplayer
	for i, p := range players {
		own := cfg
		if p.Temperature != nil {
			own.Roleplayer.Temperature = *p.Temperature
		}
		if p.TopP != nil {
			own.Roleplayer.TopP = *p.TopP
		}
		if err := own.Roleplayer.Validate("roleplayer"); err != nil {
			return stargate.Roleplayer{}, err
		}
		all = append(all, stargate.NewRoleplayer(r.ledger.Replay(r.digest("roleplayer", i)), r.prompts, own))
	}
	return stargate.OneOf(cfg.Seed, all...), nil
}

// tuned is what the ledger holds of the fine-tune that made m<n>.
func (r *replay) tuned(ctx context.Context, n int) (tuned, error) {
	name := fmt.Sprintf("m%d", n)
	var found []tuned
	err := r.ledger.Steps(ctx, "tune "+name, func(key string, result json.RawMessage) error {
		if begin, ok := r.shared[name]; ok && !strings.HasPrefix(key, begin) {
			return nil
		}
		var t tuned
		if err := json.Unmarshal(result, &t); err != nil {
			return fmt.Errorf("the fine-tune %s in the ledger: %w", name, err)
		}
		found = append(found, t)
		return nil
	})
	switch {
	case err != nil:
		return tuned{}, err
	case len(found) == 0:
		return tuned{}, fmt.Errorf("%w: %s is not trained yet", ErrNotReached, name)
	case len(found) > 1:
		return tuned{}, fmt.Errorf("%s: the ledger holds %d fine-tunes called %s; which is this run's cannot be told", r.dir, len(found), name)
	}
	return found[0], nil
}

// remembered is Q_BASE as the ledger remembers it, up to iteration last.
type remembered struct {
	lm.Generator
	lm.Scorer
	replay *replay
	last   int
}

// Tune is the policy that was made then. That of the last iteration need not be there: nothing
// is asked of it.
func (b remembered) Tune(ctx context.Context, name string, _ []lm.Example, _ lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	var n int
	if _, err := fmt.Sscanf(name, "m%d", &n); err != nil {
		return nil, lm.TuneLog{}, fmt.Errorf("model %q: %w", name, err)
	}
	t, err := b.replay.tuned(ctx, n)
	if errors.Is(err, ErrNotReached) && n == b.last {
		return b.Generator, lm.TuneLog{}, nil
	}
	if err != nil {
		return nil, lm.TuneLog{}, err
	}
	return b.replay.ledger.Replay(t.Digest), t.Log, nil
}
