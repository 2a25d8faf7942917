package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Timing is timing.json: everything about a run that may differ when it is repeated.
type Timing struct {
	Sessions []Session `json:"sessions"`
}

// Session is one process's part of a run, up to its end.
type Session struct {
	Started string  `json:"started"` // RFC 3339
	Seconds float64 `json:"seconds"`
	Stages  []Stage `json:"stages"`
	PeakMiB int     `json:"peak_mib"` // resident memory
	Host    string  `json:"host"`
	CPUs    int     `json:"cpus"`
	Go      string  `json:"go"`
}

// Stage is a part of a session in order.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// clock notes when stages begin.
type clock struct {
	mu      sync.Mutex
	started time.Time
	at      time.Time
	current string
	stages  []Stage
}

func startClock() *clock {
	now := time.Now()
	return &clock{started: now, at: now, current: "open"}
}

func (c *clock) stage(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == c.current {
		return
	}
	now := time.Now()
	c.stages = append(c.stages, Stage{c.current, now.Sub(c.at).Seconds()})
	c.current, c.at = name, now
}

// write adds this session to timing.json.
func (c *clock) write(dir string) (Timing, error) {
	c.stage("end")
	path := filepath.Join(dir, timingFile)
	var t Timing
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t, fmt.Errorf("%s: %w", path, err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	t.Sessions = append(t.Sessions, Session{
		Started: c.started.UTC().Format(time.RFC3339), Seconds: time.Since(c.started).Seconds(), Stages: c.stages,
		PeakMiB: peakMiB(), Host: host, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(),
	})
	return t, writeJSON(path, t)
}

// peakMiB is the largest resident memory of this process so far, or 0 where the system
// does not tell.
func peakMiB() int {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int(u.Maxrss >> 20)
	}
	return int(u.Maxrss >> 10)
}
