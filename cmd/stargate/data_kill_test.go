package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stargate/dataset/batch/batchtest"
)

// Gold responses whose building is killed (kill -9) at random moments and repeated are
// those of one that was not. By batch nothing is paid twice; live, only what was under way
// when the process died.
func TestKilledDataBuildsEndTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, c := range []struct {
		name  string
		args  []string
		twice int // most requests billed twice per kill
	}{
		{"live", []string{"--concurrency", "2"}, 2},
		{"batch", []string{"--batch", "--batch-poll", "5ms"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := oracleServer(func(s *batchtest.Server) {
				s.Polls = 60
				s.Answer = func(body map[string]any) batchtest.Reply {
					if c.name == "live" {
						time.Sleep(3 * time.Millisecond)
					}
					return answer(body)
				}
			})
			defer s.Close()
			killed, whole := dataToBuild(t), dataToBuild(t)
			args := append([]string{"data", "gold", "generate", killed, "--url", s.URL, "--model", "oracle"}, c.args...)
			kills := 0
			for moments := rand.New(rand.NewPCG(1, 2)); kills < 6; {
				p := start(t, args)
				time.Sleep(time.Duration(80+moments.IntN(400)) * time.Millisecond)
				if err := p.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				if p.Wait() == nil {
					break
				}
				if p.ProcessState.Exited() {
					t.Fatalf("%v\n%s", p.ProcessState, p.Stderr)
				}
				kills++
			}
			if p := start(t, args); p.Wait() != nil {
				t.Fatalf("%s", p.Stderr)
			}
			twice := 0
			for text, n := range s.Billed() {
				if text != "Say hello." { // the driver's probe
					twice += n - 1
				}
			}
			if twice > kills*c.twice {
				t.Errorf("%d requests were billed again in %d kills", twice, kills)
			}
			t.Logf("%d kills, %d requests billed again", kills, twice)
			args[3] = whole
			if p := start(t, args); p.Wait() != nil {
				t.Fatalf("%s", p.Stderr)
			}
			for _, name := range []string{"gold.jsonl", "gold.report.json"} {
				a, errA := os.ReadFile(filepath.Join(killed, name))
				b, errB := os.ReadFile(filepath.Join(whole, name))
				if errA != nil || errB != nil || !bytes.Equal(a, b) {
					t.Errorf("%s differs from that of an uninterrupted build (%v, %v)", name, errA, errB)
				}
			}
		})
	}
}

// start starts the program.
func start(t *testing.T, args []string) *exec.Cmd {
	t.Helper()
	p := exec.Command(program(t), args...)
	p.Args[0] = "stargate" // TestMain's testscript.Main goes by the name
	p.Stderr = new(bytes.Buffer)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// dataToBuild is a directory with tasks and personas, 120 pairs.
func dataToBuild(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var tasks, personas strings.Builder
	for i := range 20 {
		line(t, &tasks, map[string]string{"id": fmt.Sprintf("t%d", i), "task": fmt.Sprintf("Help me with matter %d.", i), "split": "A"})
	}
	for j := range 6 {
		line(t, &personas, map[string]string{"id": fmt.Sprintf("p%d", j), "name": "Bo", "persona": fmt.Sprintf("I'm Bo. I have %d cats.", j), "split": "A"})
	}
	for name, text := range map[string]string{"tasks.jsonl": tasks.String(), "personas.jsonl": personas.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func line(t *testing.T, b *strings.Builder, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(append(data, '\n'))
}
