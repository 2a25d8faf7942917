//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A run and the program that trains for it are both killed (kill -9) in the middle of a
// fine-tune. Repeated, the run has a second attempt go on from the checkpoint of the first, and
// ends with the bytes of a run that nothing happened to.
func TestKilledTrainerGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes that train")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "trained.yaml")
	text := fmt.Sprintf(`
name: trained
extends: nano
trainer: {command: {template: stargate, retries: 0, pause: 10ms, options: {stargate: %q, checkpoint_every: 1ms}}}
data:
  a: {tasks: 3, personas: 2}
  b: {tasks: 2, personas: 2}
  test: {tasks: 2, personas: 2}
algorithm: {iterations: 1, samples: 2, max_turns: 2, tune: {epochs: 12, batch_size: 2, held_out: 0}}
evaluation: {win_pairs: 1}
`, program(t))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	killed, whole := filepath.Join(dir, "killed"), filepath.Join(dir, "whole")
	work := filepath.Join(killed, "models", "m1.training")

	p := start(t, []string{"run", "--experiment", file, "--out", killed})
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	for len(glob(t, filepath.Join(work, "output.training", "checkpoints", "*.safetensors"))) == 0 {
		select {
		case err := <-ended:
			t.Fatalf("the run ended before it could be killed: %v\n%s", err, p.Stderr)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	leader, err := os.ReadFile(filepath.Join(work, "attempt-01", "started"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(leader)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil { // the session of the attempt
		t.Fatalf("the trainer did not outlive the run: %v", err)
	}
	first := len(steps(t, filepath.Join(work, "attempt-01", "log")))

	// The work directory is removed with success, so its second log is looked at on the way.
	p = start(t, []string{"run", "--experiment", file, "--out", killed})
	log, second := filepath.Join(work, "attempt-02", "log"), []int(nil)
	go func() { ended <- p.Wait() }()
	for waiting := true; waiting; {
		if s := steps(t, log); len(s) > 0 {
			second = s
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, p.Stderr)
			}
			waiting = false
		case <-time.After(2 * time.Millisecond):
		}
	}
	if first == 0 || len(second) == 0 || second[0] < 2 {
		t.Errorf("the first attempt made %d steps; the second began with step %v", first, second)
	}
	if p := start(t, []string{"run", "--experiment", file, "--out", whole}); p.Wait() != nil {
		t.Fatalf("%s", p.Stderr)
	}
	for _, name := range []string{"report.json", "models/m1/model.safetensors"} {
		a, errA := os.ReadFile(filepath.Join(whole, name))
		b, errB := os.ReadFile(filepath.Join(killed, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs from that of an uninterrupted run (%v, %v)", name, errA, errB)
		}
	}
	t.Logf("killed after %d steps; the second attempt began with step %d", first, second[0])
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// steps are those that a log of "stargate tune --json" tells.
func steps(t *testing.T, path string) (out []int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		var s tuneLine
		if json.Unmarshal([]byte(l), &s) == nil && s.Step > 0 {
			out = append(out, s.Step)
		}
	}
	return out
}
