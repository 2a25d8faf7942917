package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// disk is a small disk of its own.
type disk struct{ path string }

// newDisk makes a disk of so many MiB, which the test's end removes. Without the rights for that
// the test is skipped.
func newDisk(t *testing.T, mib string) disk {
	t.Helper()
	path, err := os.MkdirTemp("", "disk") // the test's own folder is closed to the database's user
	must(t, err)
	t.Cleanup(func() { must(t, os.Remove(path)) })
	must(t, os.Chmod(path, 0o755))
	d := disk{path}
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", 0, "size="+mib+"m,mode=1777"); err != nil {
		t.Skipf("no small disk can be made here: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(d.path, syscall.MNT_DETACH)) })
	return d
}

func (d disk) filler() string { return filepath.Join(d.path, "filler") }

// fill leaves no block free.
func (d disk) fill(t *testing.T) {
	t.Helper()
	f, err := os.Create(d.filler())
	must(t, err)
	defer f.Close()
	block := make([]byte, 1<<16)
	for len(block) > 0 {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// free makes room again.
func (d disk) free(t *testing.T) {
	t.Helper()
	must(t, os.Remove(d.filler()))
}

// A run whose disk is full stops and says so, with what to do; when there is space the same
// command goes on, and ends with the bytes of a run that nothing happened to.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	fullDisk(t, 0.2, 0.45, 0.7)
}

// The same at moments that fall into every part of a run.
func TestSoakFullDisk(t *testing.T) {
	soak(t)
	var shares []float64
	for range 20 {
		shares = append(shares, 0.05+0.9*rand.Float64())
	}
	fullDisk(t, shares...)
}

// fullDisk fills the disk of a run after these shares of a quiet run's time.
func fullDisk(t *testing.T, shares ...float64) {
	d := newDisk(t, "256")
	run := func(dir string) *hand {
		return &hand{path: program(t), args: []string{"run", "--experiment", "testdata/tiny.yaml", "--out", dir, "--workers", "1"}}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	quiet := run(whole)
	began := time.Now()
	quiet.start(t)
	<-quiet.exited
	if _, well := quiet.ended(); !well {
		t.Fatal(quiet.stderr)
	}
	took := time.Since(began)
	for _, share := range shares {
		h := run(filepath.Join(d.path, "run", "tiny"))
		h.start(t)
		time.Sleep(time.Duration(share * float64(took)))
		d.fill(t)
		<-h.exited
		said := h.stderr.String()
		if _, well := h.ended(); well {
			t.Logf("after %.0f %% of a run's time it was over", 100*share)
		} else if !strings.Contains(said, "no space left") || !strings.Contains(said, d.path) || !strings.Contains(said, "free some space") {
			t.Errorf("on a full disk: %s", said)
		} else {
			t.Logf("after %.0f %%: %s", 100*share, last(said))
		}
		d.free(t)
		h.start(t)
		<-h.exited
		if _, well := h.ended(); !well {
			t.Fatalf("with space again: %s", h.stderr)
		}
		sameReports(t, whole, filepath.Join(d.path, "run", "tiny"))
		must(t, os.RemoveAll(filepath.Join(d.path, "run")))
	}
}

// last is the last line of what a program said.
func last(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return lines[len(lines)-1]
}

// On a cluster it is the disk of the database and of the store. The run ends and says which; when
// there is space it is resumed, by workers that nobody started anew. It takes minutes.
func TestSoakFullDiskOfACluster(t *testing.T) {
	soak(t)
	fullDiskOfACluster(t, 1.0/3, 0.15, 0.45, 0.6)
}

func fullDiskOfACluster(t *testing.T, shares ...float64) {
	for name, full := range map[string]struct{ postgres, store bool }{"database": {postgres: true}, "store": {store: true}} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t, "512")
			if full.postgres {
				t.Setenv("TMPDIR", d.path) // where the cluster's data is
			}
			s := newSite(t, true)
			if full.store {
				s.store = "file://" + filepath.Join(d.path, "store")
			}
			quiet := s.perform(t, "quiet")
			began := time.Now()
			quiet.await(t, false)
			took := time.Since(began)
			quiet.end(t)
			for i, share := range shares {
				d.strike(t, s, quiet.dir, fmt.Sprintf("struck%d", i), time.Duration(share*float64(took)))
			}
		})
	}
}

// strike fills the disk of a site while a run of this name is under way, makes room again and
// resumes the run, which ends with the report in quiet.
func (d disk) strike(t *testing.T, s *site, quiet, name string, after time.Duration) {
	t.Helper()
	p := s.perform(t, name)
	m := p.mains[0]
	time.Sleep(after)
	d.fill(t)
	select {
	case <-m.exited:
	case <-time.After(3 * time.Minute):
		t.Fatalf("a run on a full disk goes on: %s", m.stderr)
	}
	said := m.stderr.String()
	_, well := m.ended()
	d.free(t)
	if well {
		t.Logf("after %v it was over", after.Round(time.Millisecond))
		return
	}
	if !strings.Contains(said, "no space left") || !strings.Contains(said, "free some space") {
		t.Errorf("on a full disk: %s", said)
	}
	t.Logf("after %v: %s", after.Round(time.Millisecond), last(said))
	resume := exec.Command(program(t), "resume", name, "--temporal", s.temporal.Address())
	resume.Args[0] = "stargate"
	out, err := resume.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "there is no such run") { // it had not begun
		t.Fatalf("resume: %v: %s", err, out)
	}
	m.start(t) // to wait for it
	p.await(t, true)
	for _, w := range p.hands {
		if over, _ := w.ended(); over {
			t.Errorf("a worker ended: %s", w.stderr)
		}
	}
	sameReports(t, quiet, p.dir)
	p.end(t)
}
