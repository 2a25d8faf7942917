package scale

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// service watches processes that this one started and that do not tell what they took: the
// database, with one process a connection, and the Temporal server.
type service struct {
	name string // of the program
	mu   sync.Mutex
	peak float64 // MiB, of all its processes together, shared memory counted once
	cpu  map[int]float64
	done chan struct{}
	over chan struct{}
}

// sampleEvery is how often memory is looked at. A processor time may be missed for as long.
const sampleEvery = 5 * time.Second

func watchService(t *testing.T, name string) *service {
	t.Helper()
	s := &service{name: name, cpu: map[int]float64{}, done: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(s.over)
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			s.look()
			select {
			case <-s.done:
				return
			case <-tick.C:
			}
		}
	}()
	return s
}

// end is the peak of memory in MiB, and the processor time in seconds.
func (s *service) end() (peak, cpu float64) {
	close(s.done)
	<-s.over
	s.look()
	for _, c := range s.cpu {
		cpu += c
	}
	return s.peak, cpu
}

// look finds the processes of this name below this one. Those of other runs on the machine have
// other ancestors.
func (s *service) look() {
	parents, names := map[int]int{}, map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	times := map[int]float64{}
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
		fields := strings.Fields(string(text[end+2:]))
		names[pid] = string(text[open+1 : end])
		parents[pid], _ = strconv.Atoi(fields[1])
		const utime, stime, ticks = 11, 12, 100.0
		for _, i := range []int{utime, stime} {
			n, _ := strconv.ParseFloat(fields[i], 64)
			times[pid] += n / ticks
		}
	}
	var sum float64
	for pid, name := range names {
		if !strings.HasPrefix(name, s.name) || !below(parents, pid, os.Getpid()) {
			continue
		}
		s.cpu[pid] = times[pid]
		sum += shareOf(pid)
	}
	s.peak = max(s.peak, sum)
}

func below(parents map[int]int, pid, ancestor int) bool {
	for range 20 {
		if pid = parents[pid]; pid == ancestor {
			return true
		}
	}
	return false
}

// shareOf is a process' share of memory in MiB: what several processes have is divided among them.
func shareOf(pid int) float64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n / 1024
		}
	}
	return 0
}
