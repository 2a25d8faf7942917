package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"stargate/internal/kernel"
)

// childVariable tells a process what to measure.
const childVariable = "STARGATE_BENCH_MEASURE"

// processorTime tells a process which clock to use.
func processorTime() bool { return os.Getenv("PEER_CLOCK") == "cpu" }

// side is one column: something that can take a row's number.
type side struct {
	name    string
	measure func(r row) (value float64, err error)
}

// sides are ours first, then the peers that this machine has.
type sides struct {
	options
	all  []side
	blas *side // where sgemm rows are measured instead of in the peers
	peer string
}

// script is beside this file; the command is run from the module's root.
var script = filepath.Join("internal", "bench", "peer_torch.py")

func newSides(o options) (*sides, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &sides{options: o}
	s.all = []side{{"stargate", func(r row) (float64, error) {
		what := r.what
		if r.packed {
			what = strings.Replace(what, "sgemm", "sgemm-packed", 1)
		}
		return s.take(r, exec.Command(exe), childVariable+"="+what)
	}}}
	s.peer = s.version()
	if s.peer == "" {
		return s, nil
	}
	python := func(extra ...string) func(r row) (float64, error) {
		return func(r row) (float64, error) {
			return s.take(r, exec.Command(o.python, append([]string{script}, strings.Fields(r.what)...)...), extra...)
		}
	}
	s.all = append(s.all, side{"PyTorch", python()},
		side{"PyTorch, tuned", python(tuned...)})
	s.blas = &side{"OpenBLAS", python()}
	return s, nil
}

// tuned is the environment of the tuned peer.
var tuned = []string{"MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=100000000000", "MALLOC_TOP_PAD_=268435456", "OMP_WAIT_POLICY=passive"}

// version is that of the peer, "" where there is none.
func (s *sides) version() string {
	out, err := exec.Command(s.python, script, "version").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// take runs one measurement; what it prints is its number, unless the row is about memory.
func (s *sides) take(r row, c *exec.Cmd, environment ...string) (float64, error) {
	c.Env = append(append(os.Environ(), "PEER_THREADS="+strconv.Itoa(s.threads)), environment...)
	if s.cpu {
		c.Env = append(c.Env, "PEER_CLOCK=cpu")
	}
	if under := strings.Fields(s.under); len(under) > 0 {
		path, err := exec.LookPath(under[0])
		if err != nil {
			return 0, err
		}
		c.Path, c.Args = path, slices.Concat(under, []string{c.Path}, c.Args[1:])
	}
	var problems bytes.Buffer
	c.Stderr = &problems
	out, err := c.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", r.name, err, problems.Bytes())
	}
	if r.unit == mebibytes {
		return peakMiB(c.ProcessState), nil
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// heading says what is measured on what.
func (s *sides) heading() string {
	clock := "wall clock"
	if s.cpu {
		clock = "processor's time"
	}
	lines := []string{
		fmt.Sprintf("config S, %d thread(s), %s; medians of %d rounds in turns", s.threads, clock, s.rounds),
		fmt.Sprintf("%s %s/%s, kernels %s; %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel.Level(), processor()),
	}
	if s.peer != "" {
		lines = append(lines, s.peer)
	} else {
		lines = append(lines, "no peer: "+s.python+" has no PyTorch (Debian: apt-get install python3-torch)")
	}
	if l := load(); l != "" {
		lines = append(lines, "load "+l+" before the start: speeds in wall time mean little unless it is near 0")
	}
	return strings.Join(lines, "\n") + "\n"
}

// processor is the name that Linux knows.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	field := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			field[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("%s (family %s, model %s), %d cores", field["model name"], field["cpu family"], field["model"], runtime.NumCPU())
}
