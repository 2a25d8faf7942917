package scale

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"
	"testing"
	"time"

	"stargate/runner"
	"stargate/runner/cluster"
)

// What a process of a run is told, in childVariable.
type orders struct {
	Do       string // "work" or "begin"
	Temporal string
	Ledger   string
	Store    string
	Dir      string // of the worker's files, or the run's directory
	Source   runner.Source
	File     string // experiment
	Shards   int    // at a time
	Pairs    int    // in a shard; 0: the command's choice
	Profile  string // "" or where a processor profile goes
}

const childVariable = "STARGATE_SCALE_CHILD"

// TestMain lets the test binary be a worker, or the command that begins a run.
func TestMain(m *testing.M) {
	text := os.Getenv(childVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var o orders
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.follow()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (o orders) follow() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if o.Profile != "" {
		f, err := os.Create(o.Profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer f.Close()
		defer pprof.StopCPUProfile()
	}
	var told outcome
	var err error
	switch o.Do {
	case "work":
		err = o.work(ctx)
	case "begin":
		told, err = o.begin(ctx)
	}
	if err != nil {
		return err
	}
	told.Usage = usage()
	return json.NewEncoder(os.Stdout).Encode(told)
}

// outcome is what a process tells at its end.
type outcome struct {
	Usage  used
	Stages []stage         // of the one that began the run
	Report runner.Reported // likewise
}

// stage is what a run was at, and for how long.
type stage struct {
	Name    string
	Seconds float64
}

// used is what a process took.
type used struct {
	PeakMiB float64 // resident set
	CPU     float64 // seconds
	HeapMiB float64 // of Go at the end, from the system
}

func usage() (u used) {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = seconds(r.Utime) + seconds(r.Stime)
		u.PeakMiB = float64(r.Maxrss) / 1024
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.HeapMiB = float64(m.HeapSys) / (1 << 20)
	return u
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

// work is stargate worker, with the scripted model.
func (o orders) work(ctx context.Context) error {
	temporal, err := cluster.Connection{Address: o.Temporal}.Dial(ctx)
	if err != nil {
		return err
	}
	defer temporal.Close()
	model := scripted()
	join := runner.JoinOptions{Ledger: o.Ledger, Store: o.Store, Work: o.Dir, Workers: 1, Scripted: model}
	open, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	w, err := cluster.NewWorker(open, temporal, cluster.WorkerOptions{
		Roles: cluster.Roles(), Queues: cluster.Queues{Pool: cluster.DefaultPool, Base: model.Digest}, Shards: o.Shards,
		Open: func(ctx context.Context, run, identity string) (cluster.Part, error) {
			return runner.Join(ctx, join, run, identity)
		},
	})
	if err != nil {
		return err
	}
	if err := w.Run(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// begin is stargate run --cluster, with the scripted model. It waits for the report.
func (o orders) begin(ctx context.Context) (out outcome, err error) {
	temporal, err := cluster.Connection{Address: o.Temporal}.Dial(ctx)
	if err != nil {
		return out, err
	}
	defer temporal.Close()
	began := time.Now()
	dir, shared, err := runner.Share(ctx, runner.Options{Experiment: o.File, Out: o.Dir, Ledger: o.Ledger, Store: o.Store, Workers: 1, Source: o.Source, Scripted: scripted()})
	if err != nil {
		return out, err
	}
	p := cluster.Plan{Run: filepath.Base(dir), Identity: shared.Manifest.Identity, Iterations: shared.Manifest.Experiment.Algorithm.Iterations,
		A: shared.A, B: shared.B, Test: shared.Test, Layout: cluster.DefaultLayout(shared.A), Queues: cluster.Queues{Pool: cluster.DefaultPool, Base: shared.Manifest.Model}}
	p.Layout.Shard = cmp.Or(o.Pairs, p.Layout.Shard)
	control := cluster.NewControl(temporal, nil)
	if err := control.Start(ctx, p); err != nil {
		return out, err
	}
	out.Stages = []stage{{"begin", time.Since(began).Seconds()}}
	asking, stop := context.WithCancel(ctx)
	stages := make(chan []stage, 1)
	go func() { stages <- watch(asking, control, p.Run) }()
	out.Report, err = control.Wait(ctx, p.Run)
	stop()
	out.Stages = append(out.Stages, <-stages...)
	if err != nil {
		return out, err
	}
	return out, runner.FetchReport(ctx, o.Store, dir, out.Report)
}

// watch asks how far the run is, as the command does, and tells it on standard error.
func watch(ctx context.Context, control *cluster.Control, run string) (all []stage) {
	const every = 2 * time.Second
	now, since := "", time.Now()
	var said time.Time
	for {
		select {
		case <-ctx.Done():
			return append(all, stage{cmp.Or(now, "all"), time.Since(since).Seconds()})
		case <-time.After(every):
		}
		s, err := control.Status(ctx, run, time.Now())
		if err != nil || len(s.Stages) == 0 {
			continue
		}
		last := s.Stages[len(s.Stages)-1]
		if last.Name != now {
			if now != "" {
				all = append(all, stage{now, time.Since(since).Seconds()})
				since = time.Now()
			}
			now = last.Name
		}
		if time.Since(said) > 30*time.Second {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "%s %s: %d of %d %v %v\n", said.Format(time.TimeOnly), last.Name, last.Done, last.Total, last.Doing, last.Failing)
		}
	}
}
