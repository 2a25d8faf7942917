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
// that was not.
func TestKilledRunsEndTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many seconds")
	}
	killAndCompare(t, 3)
}

// The same with many kills, so that they fall into every part of a run.
func TestSoakKilledRunsEndTheSame(t *testing.T) {
	soak(t)
	killAndCompare(t, 30)
}

// soak skips a test that takes longer than CI has, unless STARGATE_SOAK is set.
func soak(t *testing.T) {
	t.Helper()
	if os.Getenv("STARGATE_SOAK") == "" {
		t.Skip("takes many minutes: make soak")
	}
}

// killAndCompare kills a run at so many random moments. A run that ends before its kill is
// compared, and another one begun: every kill counted hits a process at work.
func killAndCompare(t *testing.T, kills int) {
	start := func(dir string) *exec.Cmd {
		c := exec.Command(program(t), "run", "--experiment", "testdata/tiny.yaml", "--out", dir)
		c.Args[0] = "stargate" // TestMain's testscript.Main goes by the name
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
	seed := uint64(began.UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	t.Logf("an uninterrupted run takes %v; moments from seed %d", took.Round(time.Millisecond), seed)
	runs := 1
	for done := 0; done < kills; {
		c := start(killed)
		after := time.Duration(r.Float64() * float64(took) * 0.6)
		time.Sleep(after)
		// A process that has ended is waited for nowhere else, so that this cannot hit another.
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if c.Wait() != nil {
			if c.ProcessState.Exited() {
				t.Fatalf("run %d, kill %d: %v: %s", runs, done+1, c.ProcessState, c.Stderr)
			}
			done++
			t.Logf("run %d, kill %d after %v", runs, done, after.Round(time.Millisecond))
			continue
		}
		sameBytes(t, whole, killed)
		if err := os.RemoveAll(killed); err != nil {
			t.Fatal(err)
		}
		runs++
	}
	if c := start(killed); c.Wait() != nil {
		t.Fatal(c.Stderr)
	}
	sameBytes(t, whole, killed)
	t.Logf("%d kills in %d runs; the same bytes", kills, runs)
}

// sameBytes compares what a run leaves for others.
func sameBytes(t *testing.T, whole, killed string) {
	t.Helper()
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
			t.Errorf("%s differs from that of an uninterrupted run", name)
		}
	}
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
