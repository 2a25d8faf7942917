package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A user's own data and model: the built-in model on tasks it has never seen learns
// nothing, but every stage runs, and malformed turns are counted.
func TestOwnData(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := t.TempDir()
	write := func(name string, v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gold := map[string][]string{}
	for i := range 3 {
		for j := range 3 {
			gold[fmt.Sprintf("prompt-%d persona-%d", i, j)] = []string{fmt.Sprintf("Here is advice %d for you.", i+j)}
		}
	}
	tasks := write("tasks.json", []string{"Help me plan a garden.", "Suggest a book.", "What should I cook?"})
	personas := write("personas.json", []string{"I'm ADA. I like tea.", "I'm Bo. I like rain.", "I'm Cy. I like maps."})
	golds := write("gold.json", gold)
	experiment := filepath.Join(dir, "own.yaml")
	text := "name: own\nextends: nano\nworld: \"\"\nalgorithm: {iterations: 1, samples: 3, redraws: 0}\n"
	if err := os.WriteFile(experiment, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program(t), "run", "--experiment", experiment, "--out", filepath.Join(dir, "run"), "--tasks", tasks, "--personas", personas, "--gold", golds)
	out, err := c.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "every rollout was dropped") {
		t.Fatalf("%v\n%s", err, out)
	}
}
