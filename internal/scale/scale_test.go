// Package scale measures runs of many conversations on a cluster: `make scale`, docs/scale.md.
// Its models are scripted and answer at once, so that what is measured is everything else.
package scale

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"stargate/internal/temporaltest"
	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/runner"
	"stargate/runner/cluster"
)

// workers is how many processes work.
const workers = 4

// Runs of 10⁴, 10⁵ … conversations on four workers: what they take, and whether it grows with
// their size. STARGATE_SCALE names the sizes; STARGATE_SCALE_BODIES is bodies_above,
// STARGATE_SCALE_PAIRS the pairs of a shard;
// STARGATE_SCALE_DIR gets what is written (default a temporary directory), results.json included.
func TestScale(t *testing.T) {
	sizes := os.Getenv("STARGATE_SCALE")
	if sizes == "" {
		t.Skip("takes minutes to hours: set STARGATE_SCALE=10000,100000 (make scale)")
	}
	dir := os.Getenv("STARGATE_SCALE_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	must(t, os.MkdirAll(dir, 0o755))
	bodies, pairs := number(t, "STARGATE_SCALE_BODIES"), number(t, "STARGATE_SCALE_PAIRS")
	var rows []result
	for _, s := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(s)
		must(t, err)
		t.Run(s, func(t *testing.T) {
			r := measure(t, sizeOf(t, n), filepath.Join(dir, s), bodies, pairs)
			rows = append(rows, r)
			text, err := json.MarshalIndent(r, "", "  ")
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, s, "result.json"), text, 0o600))
			t.Logf("%s", text)
		})
	}
	t.Logf("\n%s", table(rows))
}

// result is what a run took.
type result struct {
	Conversations int
	Calls         int64   // in the ledger
	Wall          float64 // seconds, from its beginning to the report
	Stages        []stage
	Workers       []used
	Begin         used // of the command that began it
	Postgres      used
	Temporal      used
	LedgerBytes   int64 // of its tables and indexes
	Database      int64 // of all of Postgres' files but its log
	Moved         int64 // calls whose bodies are in shards
	StoreBytes    map[string]int64
	StoreFiles    int
	Workflows     int
	Events        int64
	HistoryBytes  int64
	Load          string // of the machine when it ended
}

// number is that of a variable; 0 where it is not set.
func number(t *testing.T, variable string) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

func measure(t *testing.T, s size, dir string, bodies, pairs int) (r result) {
	r.Conversations = s.conversations()
	must(t, os.MkdirAll(dir, 0o755))
	f := s.write(t, dir, bodies)
	// As a server has it: what is committed is on the disk. Sizes are those of a small machine.
	postgres := pgtest.Start(t, "fsync=on", "shared_buffers=512MB", "max_wal_size=4GB", "max_connections=100")
	temporal := temporaltest.Start(t, temporaltest.Options{NoUI: true})
	database, engine := watchService(t, "postgres"), watchService(t, "temporal-dev")
	const name = "scale"
	address, _, _ := strings.Cut(postgres.URL(""), "&search_path=")
	o := orders{Temporal: temporal.Address(), Ledger: address, Store: "file://" + filepath.Join(dir, "store"), Shards: 2, Pairs: pairs, File: f.experiment,
		Source: runner.Source{Tasks: f.tasks, Personas: f.personas, Gold: f.gold}}
	profile := os.Getenv("STARGATE_SCALE_PROFILE") != ""
	var all []*child
	for i := range workers {
		w := o
		w.Do, w.Dir = "work", filepath.Join(dir, fmt.Sprintf("worker%d", i+1))
		if profile {
			w.Profile = filepath.Join(dir, fmt.Sprintf("worker%d.pprof", i+1))
		}
		all = append(all, start(t, w))
	}
	began := time.Now()
	b := o
	b.Do, b.Dir = "begin", filepath.Join(dir, name)
	out := start(t, b).wait(t)
	r.Wall = time.Since(began).Seconds()
	load, _ := os.ReadFile("/proc/loadavg")
	r.Load = strings.TrimSpace(string(load))
	r.Stages, r.Begin = out.Stages, out.Usage
	for _, w := range all {
		must(t, w.cmd.Process.Signal(syscall.SIGTERM))
		r.Workers = append(r.Workers, w.wait(t).Usage)
	}
	r.ledger(t, address, name)
	r.store(t, filepath.Join(dir, "store"))
	r.histories(t, temporal)
	r.Database = databaseBytes(t, postgres)
	r.Postgres.PeakMiB, r.Postgres.CPU = database.end()
	r.Temporal.PeakMiB, r.Temporal.CPU = engine.end()
	return r
}

// child is a process of the run.
type child struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
}

func start(t *testing.T, o orders) *child {
	t.Helper()
	text, err := json.Marshal(o)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	c := &child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, os.Stderr
	must(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c
}

func (c *child) wait(t *testing.T) (out outcome) {
	t.Helper()
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("a process ended with %v", err)
	}
	must(t, json.Unmarshal(c.stdout.Bytes(), &out))
	return out
}

func (r *result) ledger(t *testing.T, address, run string) {
	t.Helper()
	at, err := ledger.InSchema(address, run)
	must(t, err)
	l, err := ledger.OpenReader(at)
	must(t, err)
	defer l.Close()
	stat, err := l.Stat(t.Context())
	must(t, err)
	r.LedgerBytes, r.Moved = stat.Bytes, stat.Moved
	for _, table := range stat.Tables {
		if table.Name == "call" {
			r.Calls = table.Rows
		}
	}
}

// databaseBytes is the size of a server's data without its write-ahead log.
func databaseBytes(t *testing.T, c *pgtest.Cluster) (n int64) {
	t.Helper()
	n, err := pgtest.Int(c.URL("public"), "SELECT CAST(sum(pg_database_size(oid)) AS BIGINT) FROM pg_database")
	must(t, err)
	return n
}

// store adds up the objects of the run by the first part of what they are.
func (r *result) store(t *testing.T, dir string) {
	t.Helper()
	r.StoreBytes = map[string]int64{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		kind := filepath.Base(filepath.Dir(path))
		r.StoreBytes[kind] += info.Size()
		r.StoreFiles++
		return nil
	}))
}

func (r *result) histories(t *testing.T, s *temporaltest.Server) {
	t.Helper()
	c, err := cluster.Connection{Address: s.Address()}.Dial(t.Context())
	must(t, err)
	defer c.Close()
	var token []byte
	for {
		page, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{PageSize: 100, NextPageToken: token})
		must(t, err)
		for _, w := range page.GetExecutions() {
			one := w.GetExecution()
			d, err := c.DescribeWorkflowExecution(t.Context(), one.GetWorkflowId(), one.GetRunId())
			must(t, err)
			r.Workflows++
			r.Events += d.GetWorkflowExecutionInfo().GetHistoryLength()
			r.HistoryBytes += d.GetWorkflowExecutionInfo().GetHistorySizeBytes()
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return
		}
	}
}

// table is the results in the form of docs/scale.md.
func table(rows []result) string {
	var b strings.Builder
	line := func(name string, value func(r result) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, r := range rows {
			fmt.Fprintf(&b, " %s |", value(r))
		}
		b.WriteByte('\n')
	}
	line("conversations", func(r result) string { return strconv.Itoa(r.Conversations) })
	line("calls in the ledger", func(r result) string { return strconv.FormatInt(r.Calls, 10) })
	line("wall, s", func(r result) string { return fmt.Sprintf("%.0f", r.Wall) })
	seen := map[string]bool{}
	for _, r := range rows {
		for _, s := range r.Stages {
			if name := s.Name; !seen[name] {
				seen[name] = true
				line("– "+name+", s", func(r result) string {
					for _, s := range r.Stages {
						if s.Name == name {
							return fmt.Sprintf("%.0f", s.Seconds)
						}
					}
					return "–"
				})
			}
		}
	}
	line("worker, peak MiB", func(r result) string {
		var all []string
		for _, w := range r.Workers {
			all = append(all, fmt.Sprintf("%.0f", w.PeakMiB))
		}
		return strings.Join(all, ", ")
	})
	line("worker, processor s", func(r result) string {
		var all []string
		for _, w := range r.Workers {
			all = append(all, fmt.Sprintf("%.0f", w.CPU))
		}
		return strings.Join(all, ", ")
	})
	for _, s := range []struct {
		name string
		of   func(r result) used
	}{{"run --cluster", func(r result) used { return r.Begin }}, {"Postgres", func(r result) used { return r.Postgres }}, {"Temporal", func(r result) used { return r.Temporal }}} {
		line(s.name+", peak MiB; processor s", func(r result) string { return fmt.Sprintf("%.0f; %.0f", s.of(r).PeakMiB, s.of(r).CPU) })
	}
	line("ledger, bytes a call", func(r result) string { return fmt.Sprintf("%.0f", float64(r.LedgerBytes)/float64(max(r.Calls, 1))) })
	line("ledger, bytes a conversation", func(r result) string { return fmt.Sprintf("%.0f", float64(r.LedgerBytes)/float64(r.Conversations)) })
	line("calls moved to shards", func(r result) string { return strconv.FormatInt(r.Moved, 10) })
	line("shards of conversations, bytes a conversation", func(r result) string {
		return fmt.Sprintf("%.0f", float64(r.StoreBytes["simulate"])/float64(r.Conversations))
	})
	line("shards of calls, bytes a call", func(r result) string {
		return fmt.Sprintf("%.0f", float64(r.StoreBytes["calls"])/float64(max(r.Moved, 1)))
	})
	line("workflows; events; bytes of history", func(r result) string { return fmt.Sprintf("%d; %d; %d", r.Workflows, r.Events, r.HistoryBytes) })
	return b.String()
}
