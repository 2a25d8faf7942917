package runner

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"stargate/ledger"
	"stargate/ledger/shard"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/nano"
	"stargate/telemetry"
)

// models opens the models of a run on one engine and journals what they are asked.
type models struct {
	dir     string // where tuned models are kept
	links   string // where the run names them, if they are kept with those of other runs
	role    func(string) string
	engine  *local.Engine
	ledger  *ledger.Ledger
	store   *shard.Store // nil: models stay in dir
	open    []*local.Model
	digests map[string]string   // by name
	notes   map[string][]string // of those who trained them, by name
	keys    map[string]string   // of their fine-tunes, by name
	run     string              // names the run's adapters on servers
	wages   *remote.Account     // of a trainer that is paid by the token; nil: it is not
	samples *remote.Account     // of policies on the service that trained them
	servers []*remote.Client

	telemetry *telemetry.Telemetry // nil: nobody watches

	loaded []func(context.Context) error // take adapters from their servers again
}

// unloadTime is how long a run waits at its end for servers to let its adapters go.
const unloadTime = 20 * time.Second

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
	ctx, stop := context.WithTimeout(context.Background(), unloadTime)
	defer stop()
	for _, unload := range s.loaded {
		if err := unload(ctx); err != nil {
			slog.Warn("an adapter stays on its server", "error", err)
		}
	}
	for _, c := range s.servers {
		c.Close()
	}
	for _, m := range s.open {
		m.Close()
	}
	s.engine.Close()
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
