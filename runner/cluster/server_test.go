package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"stargate/internal/temporaltest"
	"stargate/runner"
)

var update = flag.Bool("update", false, "write the histories that replay tests read; needs a Temporal server (make temporal-dev)")

// part is an open run of a worker in these tests.
type part struct {
	*workers
	hold func(ctx context.Context, s Shard) error // may be nil
}

func (p part) Converse(ctx context.Context, n int, asks runner.Policy, from, to int, progress func(int)) (runner.Tally, error) {
	s := Shard{Kind: Converse, Iteration: n, Policies: []runner.Policy{asks}, From: from, To: to}
	if p.hold != nil {
		if err := p.hold(ctx, s); err != nil {
			return runner.Tally{}, err
		}
	}
	progress(to - from)
	return p.workers.Shard(ctx, s)
}

func (p part) Evaluate(ctx context.Context, policies []runner.Policy, from, to int, _ func(int)) (runner.Tally, error) {
	return p.workers.Shard(ctx, Shard{Kind: Evaluate, Policies: policies, From: from, To: to})
}

func (p part) Train(ctx context.Context, n int, asked runner.Policy, chosen runner.Tally, _ func(string)) (runner.Policy, error) {
	return p.workers.Train(ctx, Step{Iteration: n, Policy: asked, Chosen: chosen})
}

func (p part) Report(ctx context.Context, _ func(string)) (runner.Reported, error) {
	return p.workers.Report(ctx, Step{})
}

func (p part) Usable() error { return nil }

func (p part) Close() error { return nil }

// TestServer is runs on a real server, which all of its parts share.
func TestServer(t *testing.T) {
	server := temporaltest.Start(t, temporaltest.Options{NoUI: true})
	for name, test := range map[string]func(t *testing.T, address string, plan Plan){
		"finishes": finishes, "cancel": cancels, "pause": pauses, "encrypted": encrypts,
	} {
		t.Run(name, func(t *testing.T) {
			plan := testPlan()
			plan.Run, plan.Queues.Pool = name, name
			test(t, server.Address(), plan)
		})
	}
}

// started is one worker for the plan's pool, and a control.
func started(t *testing.T, p part, connection Connection, plan Plan) (*Control, client.Client) {
	t.Helper()
	c, err := connection.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorker(context.Background(), c, WorkerOptions{Roles: Roles(), Queues: plan.Queues, Stop: 5 * time.Second,
		Open: func(_ context.Context, run, identity string) (Part, error) {
			if identity != testPlan().Identity {
				return nil, runner.ErrOtherRun
			}
			return p, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		c.Close()
	})
	return NewControl(c, connection.Data()), c
}

// A run on a real server, cut so finely that its stages have children and continue as new.
// With -update its histories are kept for [TestReplay].
func finishes(t *testing.T, address string, plan Plan) {
	p := part{workers: new(workers)}
	control, c := started(t, p, Connection{Address: address}, plan)
	plan.Layout = Layout{Shard: 3, Window: 4, Group: 4, Children: 2}
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if err := control.Start(t.Context(), plan); err == nil || !errors.Is(err, ErrRunning) {
		if _, err := control.Wait(t.Context(), plan.Run); err != nil { // it may have been that quick
			t.Errorf("begun twice: %v", err)
		}
	}
	out, err := control.Wait(t.Context(), plan.Run)
	if err != nil || out.Digest != "of the report" {
		t.Fatalf("%+v, %v", out, err)
	}
	if got, want := strings.Join(p.steps, "; "), "train 1 after m0, 30 pairs; train 2 after m1, 30 pairs; report"; got != want {
		t.Errorf("steps: %s\nwant: %s", got, want)
	}
	s, err := control.Status(t.Context(), plan.Run, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if s.State != "completed" || len(s.Stages) != 5 || s.Stages[0].Done != 30 || s.Stages[4].Done != 10 {
		t.Errorf("status: %+v", s)
	}
	if err := control.Resume(t.Context(), plan.Run); !errors.Is(err, ErrOver) {
		t.Errorf("a finished run was resumed: %v", err)
	}
	if *update {
		save(t, c, WorkflowID(plan.Run), "run")
		save(t, c, WorkflowID(plan.Run)+"/iteration-1", "stage")
		save(t, c, WorkflowID(plan.Run)+"/iteration-1/0-12", "shards")
	}
}

// save writes the histories of all executions of a workflow.
func save(t *testing.T, c client.Client, id, name string) {
	t.Helper()
	first, err := c.DescribeWorkflowExecution(t.Context(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	for n, run := 1, first.GetWorkflowExecutionInfo().GetFirstRunId(); run != ""; n++ {
		var h historypb.History
		events := c.GetWorkflowHistory(t.Context(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		run = ""
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				t.Fatal(err)
			}
			e.WorkerMayIgnore = false
			h.Events = append(h.Events, e)
			run = e.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		}
		text, err := protojson.MarshalOptions{Indent: " "}.Marshal(&h)
		if err != nil {
			t.Fatal(err)
		}
		if host, err := os.Hostname(); err == nil { // nobody's business
			text = []byte(strings.ReplaceAll(string(text), fmt.Sprintf("%d@%s", os.Getpid(), host), "worker"))
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", fmt.Sprintf("%s-%d.json", name, n)), append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The workflows of this version go through the histories of earlier ones as they did then:
// runs that are under way survive an update.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d histories, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			text, err := os.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			defer text.Close()
			h, err := client.HistoryFromJSON(text, client.HistoryJSONOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r := worker.NewWorkflowReplayer()
			Register(r)
			// A stage's children have names below its own.
			id := h.Events[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowId()
			err = r.ReplayWorkflowHistoryWithOptions(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), h, worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: id}})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A cancelled run ends when its workers have put their things in order, and goes on where it
// was when it is resumed.
func cancels(t *testing.T, address string, plan Plan) {
	var mu sync.Mutex
	begun, ended, hold := make(chan struct{}), 0, true
	p := part{workers: new(workers)}
	p.hold = func(ctx context.Context, s Shard) error {
		mu.Lock()
		held := hold && s.Iteration == 2
		mu.Unlock()
		if !held {
			return nil
		}
		select {
		case begun <- struct{}{}:
		default:
		}
		<-ctx.Done()
		mu.Lock()
		ended++
		mu.Unlock()
		return ctx.Err()
	}
	control, _ := started(t, p, Connection{Address: address}, plan)
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := control.Cancel(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Wait(t.Context(), plan.Run); !errors.Is(err, ErrOver) {
		t.Fatalf("the run ended with %v", err)
	}
	mu.Lock()
	if ended == 0 {
		t.Error("the run was over before its shards")
	}
	hold = false
	mu.Unlock()
	if err := control.Cancel(t.Context(), plan.Run); !errors.Is(err, ErrOver) {
		t.Errorf("cancelled twice: %v", err)
	}
	if err := control.Resume(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	trained := 0
	for _, s := range p.steps {
		if strings.HasPrefix(s, "train 1") {
			trained++
		}
	}
	if trained != 1 {
		t.Errorf("the first fine-tune was made %d times: %v", trained, p.steps)
	}
}

// A paused run begins nothing; status and resume know it.
func pauses(t *testing.T, address string, plan Plan) {
	p := part{workers: new(workers)}
	at, on := make(chan struct{}, 1), make(chan struct{})
	var once sync.Once
	p.hold = func(ctx context.Context, s Shard) error {
		once.Do(func() { at <- struct{}{}; <-on })
		return nil
	}
	control, _ := started(t, p, Connection{Address: address}, plan)
	plan.Layout.Window = 1
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	<-at
	if err := control.Resume(t.Context(), plan.Run); !errors.Is(err, ErrRunning) {
		t.Errorf("resumed without a pause: %v", err)
	}
	if err := control.Pause(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	for { // until the stage has heard of it
		s, err := control.Status(t.Context(), plan.Run, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if s.State == "paused" {
			break
		}
	}
	close(on)
	if err := control.Resume(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
}

// With keys nothing of a run can be read in the server's histories, and a client without them
// is told so.
func encrypts(t *testing.T, address string, plan Plan) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("# new\n"+strings.Repeat("A", 43)+"=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := part{workers: new(workers)}
	control, c := started(t, p, Connection{Address: address, KeysFile: keys}, plan)
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	events := c.GetWorkflowHistory(t.Context(), WorkflowID(plan.Run)+"/iteration-1", "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		if text := protojson.Format(e); strings.Contains(text, "json/plain") && !strings.Contains(text, "userMetadata") {
			t.Errorf("in the clear: %s", text)
		}
	}
	if _, err := NewControl(c, nil).input(t.Context(), plan.Run); err == nil {
		t.Error("the run's input could be read without its key")
	}
}

// Without a server the error says where it was looked for.
func TestUnreachable(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	_, err := Connection{Address: "127.0.0.1:1"}.Dial(ctx)
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}
