package eval

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The files that [Evaluation.Save] puts beside report.json.
const (
	PairsFile     = "pairs.jsonl"     // a [PairRecord] a line
	ResponsesFile = "responses.jsonl" // a [Compared] a line
)

// ErrNoRecords: a run has no records of single pairs.
var ErrNoRecords = errors.New("no records of single pairs")

// Save writes what was measured on each pair into dir. Like report.json the files hold no
// time and no place; each appears whole or not at all.
func (e *Evaluation) Save(dir string) error {
	if err := saveLines(filepath.Join(dir, PairsFile), e.Pairs); err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	if err := saveLines(filepath.Join(dir, ResponsesFile), e.Compared); err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	return nil
}

// LoadPairs reads the records of a run directory. It fails with [ErrNoRecords] where an
// older version of the program made the run.
func LoadPairs(dir string) ([]PairRecord, error) { return loadLines[PairRecord](dir, PairsFile) }

// LoadCompared reads the judged responses of a run directory; see [LoadPairs].
func LoadCompared(dir string) ([]Compared, error) { return loadLines[Compared](dir, ResponsesFile) }

func saveLines[T any](path string, lines []T) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", filepath.Base(path), err), f.Close())
		}
	}
	for _, step := range []func() error{w.Flush, func() error { return f.Chmod(0o644) }, f.Sync} {
		if err := step(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func loadLines[T any](dir, name string) ([]T, error) {
	path := filepath.Join(dir, name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: %s is missing; \"stargate eval %s\" writes it from what the run has in its ledger", dir, ErrNoRecords, name, dir)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []T
	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var v T
			dec := json.NewDecoder(bytes.NewReader(line))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&v); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w; \"stargate eval %s\" writes it again", path, n, err, dir)
			}
			out = append(out, v)
		}
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
}
