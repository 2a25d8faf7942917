package scale

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// size is a run of so many conversations: tasks times personas times ten samples.
type size struct{ tasks, personas int }

// samples of a pair, as in the paper.
const samples = 10

func (s size) pairs() int         { return s.tasks * s.personas }
func (s size) conversations() int { return s.pairs() * samples }

// sizeOf cuts so many conversations into tasks and personas.
func sizeOf(t *testing.T, conversations int) size {
	t.Helper()
	pairs := conversations / samples
	for personas := 200; personas > 0; personas-- {
		if pairs%personas == 0 && personas*personas <= pairs {
			return size{pairs / personas, personas}
		}
	}
	t.Fatalf("%d conversations are no run of %d samples a pair", conversations, samples)
	return size{}
}

// files are what a run reads.
type files struct{ experiment, tasks, personas, gold string }

// The other splits are as small as they may be: what is measured is one iteration.
var small = map[string]size{"B": {2, 1}, "test": {4, 2}}

// write makes the files of a run in dir.
func (s size) write(t *testing.T, dir string, bodiesAbove int) files {
	t.Helper()
	f := files{filepath.Join(dir, "scale.yaml"), filepath.Join(dir, "tasks.jsonl"), filepath.Join(dir, "personas.jsonl"), filepath.Join(dir, "gold.jsonl")}
	text := fmt.Sprintf(`name: scale
extends: paper
data:
  a: {tasks: %d, personas: %d}
  b: {tasks: 2, personas: 1}
  test: {tasks: 4, personas: 2}
algorithm: {iterations: 1, samples: %d}
evaluation: {win_pairs: 8}
storage: {bodies_above: %d}
`, s.tasks, s.personas, samples, bodiesAbove)
	must(t, os.WriteFile(f.experiment, []byte(text), 0o600))
	tasks, personas, gold := create(t, f.tasks), create(t, f.personas), create(t, f.gold)
	seed := uint64(0)
	next := func() *words { seed++; return newWords(seed * 0x9e3779b97f4a7c15) }
	for _, split := range []string{"A", "B", "test"} {
		n := s
		if split != "A" {
			n = small[split]
		}
		for i := range n.tasks {
			tasks.line(t, map[string]string{"id": fmt.Sprintf("%s-t%d", split, i), "task": next().text(taskBytes), "split": split})
		}
		for j := range n.personas {
			personas.line(t, map[string]string{"id": fmt.Sprintf("%s-u%d", split, j), "name": "Ann", "persona": "I'm Ann. " + next().text(personaBytes), "split": split})
			for i := range n.tasks {
				gold.line(t, map[string]string{"task": fmt.Sprintf("%s-t%d", split, i), "persona": fmt.Sprintf("%s-u%d", split, j), "gold": next().text(responseBytes)})
			}
		}
	}
	for _, l := range []*lines{tasks, personas, gold} {
		must(t, l.file.Close())
	}
	return f
}

type lines struct {
	file *os.File
	out  *json.Encoder
}

func create(t *testing.T, path string) *lines {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	return &lines{f, json.NewEncoder(f)}
}

func (l *lines) line(t *testing.T, v any) {
	t.Helper()
	must(t, l.out.Encode(v))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
