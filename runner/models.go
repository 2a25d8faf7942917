package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/nano"
)

// models opens the models of a run on one engine and journals what they are asked.
type models struct {
	dir     string // where tuned models are kept
	links   string // where the run names them, if they are kept with those of other runs
	role    func(string) string
	engine  *local.Engine
	ledger  *ledger.Ledger
	open    []*local.Model
	digests map[string]string // by name
}

// openBase opens a model directory, or the built-in model.
func openBase(dir string, engine *local.Engine) (*local.Model, error) {
	if dir != "" {
		return local.OpenDir(dir, local.Options{Engine: engine})
	}
	files, err := nano.ModelFS()
	if err != nil {
		return nil, err
	}
	m, err := local.Open(files, local.Options{Engine: engine})
	if err != nil {
		return nil, fmt.Errorf("built-in model: %w", err)
	}
	return m, nil
}

func (s *models) close() {
	for _, m := range s.open {
		m.Close()
	}
	s.engine.Close()
}

// base is Q_BASE with every call and every fine-tune journaled.
type base struct {
	lm.Generator
	lm.Scorer
	model  *local.Model
	models *models
}

func (s *models) base(m *local.Model) *base {
	s.digests["m0"] = m.Digest()
	return &base{s.ledger.Generator(s.role("questioner"), m.Digest(), m), s.ledger.Scorer(s.role("scorer"), m.Digest(), m), m, s}
}

// tuned is what the ledger keeps of a fine-tune: the weights themselves are a directory.
type tuned struct {
	Digest string     `json:"digest"`
	Log    lm.TuneLog `json:"log"`
}

// A fine-tune that takes long keeps checkpoints beside the model it makes, until it is made.
const (
	trainingSuffix  = ".training"
	checkpointEvery = 30 * time.Second
)

// Tune makes models/<name>, or opens it if an earlier session finished it. The model is
// always read back from its directory, so that a resumed run uses the very same weights.
func (b *base) Tune(ctx context.Context, name string, examples []lm.Example, h lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	key, err := digest([]any{"tune", b.model.Digest(), examples, h})
	if err != nil {
		return nil, lm.TuneLog{}, err
	}
	dir := b.models.place(name, key)
	done, err := ledger.Do(ctx, b.models.ledger, key, "tune "+name, func(ctx context.Context) (tuned, error) {
		out, log, err := b.model.TuneWithCheckpoints(ctx, name, examples, h, local.Checkpoints{Dir: dir + trainingSuffix, Every: checkpointEvery})
		if err != nil {
			return tuned{}, err
		}
		m, ok := out.(*local.Model)
		if !ok {
			return tuned{}, fmt.Errorf("tune %s: unexpected model %T", name, out)
		}
		defer m.Close()
		return tuned{m.Digest(), log}, publish(m, dir)
	})
	if err != nil {
		return nil, lm.TuneLog{}, err
	}
	if err := os.RemoveAll(dir + trainingSuffix); err != nil { // the ledger has the fine-tune now
		return nil, lm.TuneLog{}, err
	}
	m, err := local.OpenDir(dir, local.Options{Engine: b.models.engine})
	if err != nil {
		return nil, lm.TuneLog{}, err
	}
	b.models.open = append(b.models.open, m)
	if m.Digest() != done.Digest {
		return nil, lm.TuneLog{}, fmt.Errorf("%s is not the model this run made (digest %.12s…, the ledger has %.12s…): it was changed; remove the run directory and run again", dir, m.Digest(), done.Digest)
	}
	b.models.digests[name] = done.Digest
	if err := b.models.link(name, dir); err != nil {
		return nil, lm.TuneLog{}, err
	}
	return b.models.ledger.Generator(b.models.role("questioner"), done.Digest, m), done.Log, nil
}

// place is the directory of a tuned model: under its name, or among those of several runs
// under the name of the fine-tune's content.
func (s *models) place(name, key string) string {
	if s.links == "" {
		return filepath.Join(s.dir, name)
	}
	return filepath.Join(s.dir, key[:16])
}

// link makes name in the run's own directory lead to a shared model.
func (s *models) link(name, dir string) error {
	if s.links == "" {
		return nil
	}
	at := filepath.Join(s.links, name)
	target, err := filepath.Rel(s.links, dir)
	if err != nil {
		return fmt.Errorf("model %s: %w", name, err)
	}
	if there, err := os.Readlink(at); err == nil && there == target {
		return nil
	}
	if err := os.RemoveAll(at); err != nil {
		return fmt.Errorf("model %s: %w", name, err)
	}
	return os.Symlink(target, at)
}

// publish saves a model so that its directory is there whole or not at all.
func publish(m *local.Model, dir string) error {
	if err := os.RemoveAll(dir + temporarySuffix); err != nil {
		return err
	}
	if err := m.Save(dir + temporarySuffix); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(dir+temporarySuffix, dir)
}

// OpenModel opens a model directory, or with "" the built-in model, for use by itself.
// Close it when done.
func OpenModel(dir string, workers int) (*local.Model, error) {
	engine := local.NewEngine(workers)
	defer engine.Close() // the model keeps it
	return openBase(dir, engine)
}
