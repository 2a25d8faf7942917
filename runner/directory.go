package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a run directory.
const (
	manifestFile = "manifest.json"
	ledgerFile   = "ledger.db"
	modelsDir    = "models"
	timingFile   = "timing.json"
)

// ErrOtherRun: the directory holds a run of something else.
var ErrOtherRun = errors.New("the directory holds another run")

// Manifest says what a run is. Two runs with the same identity give the same result.
type Manifest struct {
	Schema     int                 `json:"schema"` // of the run directory
	Experiment Experiment          `json:"experiment"`
	Seed       uint64              `json:"seed"`
	Model      string              `json:"model"`  // digest of weights, tokenizer and template
	Data       string              `json:"data"`   // digest of the splits
	Source     Source              `json:"source"` // where they came from, for reopening
	Prompts    map[string]string   `json:"prompts"`
	Roles      map[string][]string `json:"roles,omitempty"`     // digests of players that are not the base model
	Evaluated  []Evaluated         `json:"evaluated,omitempty"` // of an evaluation of any models: no run
	Identity   string              `json:"identity"`            // digest of all of the above but Source
	Storage    Storage             `json:"storage,omitzero"`    // where things are that are not in the directory, without passwords; changes no result
	Version    string              `json:"version"`             // of the program that began the run
}

// Source is how to find a run's inputs again.
type Source struct {
	ModelDir   string `json:"model_dir,omitempty"`
	WorldFile  string `json:"world_file,omitempty"`
	PromptsDir string `json:"prompts_dir,omitempty"`
	Data       string `json:"data,omitempty"` // directory of tasks, personas and golds, instead of the four files
	Tasks      string `json:"tasks,omitempty"`
	Personas   string `json:"personas,omitempty"`
	Names      string `json:"names,omitempty"`
	Gold       string `json:"gold,omitempty"`
	Whole      bool   `json:"whole,omitempty"` // of an evaluation: all pairs are test pairs, none are for training
}

const schema = 1

// identify fills the digest of everything that can change a result.
func (m *Manifest) identify() error {
	c := *m
	c.Identity, c.Version, c.Source, c.Storage = "", "", Source{}, Storage{}
	c.Experiment.Roles = c.Experiment.Roles.identity()
	if len(c.Roles[oracleRole]) == 0 { // the data has its golds: nobody is asked
		c.Experiment.Roles.Oracle = nil
	}
	c.Evaluated = nil
	for _, e := range m.Evaluated {
		c.Evaluated = append(c.Evaluated, Evaluated{Name: e.Name, Digest: e.Digest})
	}
	c.Experiment.Trainer = c.Experiment.Trainer.identity()
	c.Experiment.Evaluation.Roleplayer = identities(c.Experiment.Evaluation.Roleplayer)
	d, err := digest(c)
	m.Identity = d
	return err
}

// openDirectory makes the directory of a run, or checks that what is there is this run. It tells
// whether the run begins here.
func openDirectory(dir string, m *Manifest) (begins bool, err error) {
	if err := os.MkdirAll(filepath.Join(dir, modelsDir), 0o755); err != nil {
		return false, fmt.Errorf("run directory: %w; choose another place with --out", err)
	}
	there, err := ReadManifest(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		entries, err := os.ReadDir(dir)
		if err != nil {
			return false, fmt.Errorf("run directory: %w", err)
		}
		for _, e := range entries {
			if e.Name() != modelsDir && !temporary(e.Name()) {
				return false, fmt.Errorf("%w: %s is not empty (it has %s) and has no %s; choose another place with --out", ErrOtherRun, dir, e.Name(), manifestFile)
			}
		}
		return true, writeJSON(filepath.Join(dir, manifestFile), m)
	case err != nil:
		return false, err
	case there.Identity != m.Identity:
		return false, fmt.Errorf("%w: %s is experiment %s with seed %d; %s. Choose another place with --out, or remove the directory", ErrOtherRun, dir, there.Experiment.Name, there.Seed, difference(there, m))
	}
	return false, nil
}

// difference names the first thing in which two manifests differ.
func difference(a, b *Manifest) string {
	for _, f := range []struct {
		what string
		a, b any
	}{{"schema", a.Schema, b.Schema}, {"seed", a.Seed, b.Seed}, {"experiment", a.Experiment, b.Experiment}, {"model", a.Model, b.Model}, {"data", a.Data, b.Data}, {"list of models", a.Evaluated, b.Evaluated}, {"prompts", a.Prompts, b.Prompts}} {
		x, errA := digest(f.a)
		y, errB := digest(f.b)
		if errA != nil || errB != nil || x != y {
			return "the " + f.what + " of this command differs"
		}
	}
	return "this command differs"
}

// ReadManifest reads a run directory's manifest.
func ReadManifest(dir string) (*Manifest, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; bring it back from a copy", filepath.Join(dir, manifestFile), err)
	}
	if m.Schema > schema {
		return nil, fmt.Errorf("%s was made by a newer stargate (schema %d, this one knows %d); update the program", dir, m.Schema, schema)
	}
	return &m, nil
}

const temporarySuffix = ".tmp"

func temporary(name string) bool { return filepath.Ext(name) == temporarySuffix }

// writeJSON writes a file at once: a reader sees the old or the new, never half.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+temporarySuffix, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+temporarySuffix, path)
}
