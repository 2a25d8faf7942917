package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A run that is killed (kill -9) at random moments and repeated gives the bytes of one
// that was not. STARGATE_SOAK=1 kills thirty times.
func TestKilledRunsEndTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many seconds")
	}
	start := func(dir string) *exec.Cmd {
		c := exec.Command(os.Args[0])
		c.Path = program(t)
		c.Args = []string{"stargate", "run", "--experiment", "testdata/tiny.yaml", "--out", dir}
		c.Stderr = new(bytes.Buffer)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	whole, killed := t.TempDir()+"/whole", t.TempDir()+"/killed"
	began := time.Now()
	if c := start(whole); c.Wait() != nil {
		t.Fatal(c.Stderr)
	}
	took := time.Since(began)
	kills := 3
	if os.Getenv("STARGATE_SOAK") != "" {
		kills = 30
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	done := 0
	for range kills {
		c := start(killed)
		after := time.Duration(r.Float64() * float64(took) * 0.6)
		time.Sleep(after)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if c.Wait() == nil {
			done++
		}
		t.Logf("killed after %v", after.Round(time.Millisecond))
	}
	if c := start(killed); c.Wait() != nil {
		t.Fatal(c.Stderr)
	}
	for _, name := range []string{"report.json", "report.html", "models/m1/model.safetensors", "models/m2/model.safetensors"} {
		a, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(killed, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs after %d kills", name, kills)
		}
	}
	t.Logf("%d kills, %d of them after the end; the same bytes", kills, done)
}

// program is the test binary under the name that makes it the program.
func program(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("stargate") // testscript.Main puts it there
	if err != nil {
		t.Fatal(err)
	}
	return path
}
