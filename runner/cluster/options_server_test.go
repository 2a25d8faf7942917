package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"

	"stargate/internal/temporaltest"
	"stargate/runner"
)

// TestServerOptions is what runs ask of a server beyond workflows and activities.
func TestServerOptions(t *testing.T) {
	server := temporaltest.Start(t, temporaltest.Options{NoUI: true})
	for name, test := range map[string]func(*testing.T, *temporaltest.Server){"attributes": attributes, "checkpoints": checkpoints, "builds": builds} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what takes long is waiting
			test(t, server)
		})
	}
}

// Runs are found by their search attributes. Where these are not registered a run does not
// begin, and who began it reads what an operator types.
func attributes(t *testing.T, server *temporaltest.Server) {
	at := Connection{Address: server.Address()}
	plan := planned("searched")
	plan.Attributes = true
	control := controlled(t, at)
	unknown := func(when string) {
		t.Helper()
		err := control.Start(t.Context(), plan)
		if !errors.Is(err, ErrAttributes) || !strings.Contains(err.Error(), "temporal operator search-attribute create --name StargateRun --type Keyword") || !strings.Contains(err.Error(), "leave --search-attributes out") {
			t.Fatalf("%s: got %v", when, err)
		}
	}
	unknown("nothing is registered")
	_, err := control.client.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: "default", SearchAttributes: map[string]enumspb.IndexedValueType{attributeRun.GetName(): attributeRun.GetValueType(), attributeStage.GetName(): attributeStage.GetValueType()},
	})
	if err != nil {
		t.Fatal(err)
	}
	unknown("StargatePairs is not registered")

	// Whoever may not register them is not kept from using what an operator registered.
	forbidden := temporaltest.NewGateway(t, server.Address(), temporaltest.GatewayOptions{Refuses: func(method string) (string, string) {
		if method == "AddSearchAttributes" {
			return "7", "Request unauthorized."
		}
		return "", ""
	}})
	there := Connection{Address: forbidden.Address(), CA: forbidden.CA}
	if registered, err := there.RegisterAttributes(t.Context(), controlled(t, there).client); registered || err != nil {
		t.Errorf("registered without the right to: %t, %v", registered, err)
	}
	unknown("registering is forbidden")
	for range 2 { // those that are known stay
		if registered, err := at.RegisterAttributes(t.Context(), control.client); !registered || err != nil {
			t.Fatalf("%t, %v", registered, err)
		}
	}

	// Servers look once a minute at what is registered.
	var asked atomic.Int64
	slow := temporaltest.NewGateway(t, server.Address(), temporaltest.GatewayOptions{Refuses: func(method string) (string, string) {
		if method == "StartWorkflowExecution" && asked.Add(1) <= 2 {
			return "3", "Namespace default has no mapping defined for search attribute StargateRun"
		}
		return "", ""
	}})
	late := Connection{Address: slow.Address(), CA: slow.CA}
	joined(t, part{workers: new(workers)}, at, plan, WorkerOptions{})
	if err := controlled(t, late).StartRegistered(t.Context(), plan); err != nil || asked.Load() != 3 {
		t.Fatalf("%v, asked %d times", err, asked.Load())
	}
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	// Two executions of the run, since it continued as new, two stages and the evaluation.
	for query, want := range map[string]int{
		"StargateRun = 'searched'":                                                     5,
		"StargateRun = 'searched' AND StargatePairs >= 30":                             2,
		"StargateRun = 'searched' AND StargateStage = 'report'":                        1,
		"StargateRun = 'searched' AND StargateStage STARTS_WITH 'iteration 2' ":        1,
		"StargateRun = 'another'":                                                      0,
		"StargateRun = 'searched' AND WorkflowType = 'stargate.Run' AND CloseTime = 0": 0,
	} {
		found := -1
		for began := time.Now(); found != want && time.Since(began) < 20*time.Second; time.Sleep(100 * time.Millisecond) { // the index comes after the history
			r, err := control.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
			if err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			found = len(r.GetExecutions())
		}
		if found != want {
			t.Errorf("%s: %d found, want %d", query, found, want)
		}
	}
}

// With pinned checkpoints a conversation is done only where the policy that asks is, and a run
// whose policy nobody has says so.
func checkpoints(t *testing.T, server *temporaltest.Server) {
	at := Connection{Address: server.Address()}
	plan := planned("checkpoints")
	plan.Checkpoint = true
	first, second := part{workers: new(workers)}, part{workers: new(workers)}
	control := controlled(t, at)
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	comesTo(t, control, plan.Run, noted("start stargate worker --pool checkpoints --roles flow"))
	joined(t, first, at, plan, WorkerOptions{Roles: []Role{RoleFlow, RoleTrain, RoleEvaluate, RoleReport}})
	// A worker that has no checkpoint gets nothing to do.
	joined(t, part{workers: &workers{shard: func(context.Context, Shard) error { return errors.New("it has no checkpoint") }}}, at, plan, WorkerOptions{Roles: []Role{RoleConverse}})
	comesTo(t, control, plan.Run, noted("start stargate worker --pool checkpoints --roles converse --checkpoint m0-0123456789ab,"))
	joined(t, first, at, plan, WorkerOptions{Roles: []Role{RoleConverse}, Checkpoints: []string{"m0-0123456789ab"}})
	asks := Checkpoint(runner.Policy{Name: "m1", Digest: "digest of m1"})
	s := comesTo(t, control, plan.Run, noted("--checkpoint "+asks+","))
	if now := s.Stages[len(s.Stages)-1]; now.Name != "iteration 2: conversations" || now.Done != 0 {
		t.Errorf("it waits in %+v", now)
	}
	joined(t, second, at, plan, WorkerOptions{Roles: []Role{RoleConverse}, Checkpoints: []string{asks}})
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]part{"m0": first, "m1": second} {
		pairs := 0
		for _, s := range w.shards {
			if s.Kind == Converse {
				pairs += s.To - s.From
				if s.Policies[0].Name != name {
					t.Errorf("%s asked on the worker of %s", s.Policies[0].Name, name)
				}
			}
		}
		if pairs != 30 {
			t.Errorf("the worker of %s did %d pairs, want 30", name, pairs)
		}
	}
}

// A run stays with the build that began it, also after another one is current. Without a current
// build nothing begins, and status says why.
func builds(t *testing.T, server *temporaltest.Server) {
	at := Connection{Address: server.Address()}
	plan, after := planned("builds"), planned("builds")
	after.Run = "after"
	control := controlled(t, at)
	held, on := make(chan struct{}), make(chan struct{})
	parts := map[string]map[string]part{} // by build and run
	for _, build := range []string{"1", "2"} {
		parts[build] = map[string]part{plan.Run: {workers: new(workers)}, after.Run: {workers: new(workers)}}
	}
	var once sync.Once
	parts["1"][plan.Run].workers.shard = func(context.Context, Shard) error {
		once.Do(func() { close(held); <-on })
		return nil
	}
	begin := func(build string) {
		t.Helper()
		runs := map[string]Part{}
		for run, p := range parts[build] {
			runs[run] = p
		}
		joinedTo(t, runs, at, plan, WorkerOptions{Deployment: "hosts", Build: build})
	}
	current := func(build string) {
		t.Helper()
		if err := MakeCurrent(t.Context(), control.client, "hosts", build); err != nil {
			t.Fatal(err)
		}
	}
	begin("1")
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	comesTo(t, control, plan.Run, noted("a worker of deployment hosts is of build 1, but no build is current"))
	current("1")
	<-held
	begin("2")
	current("2")
	through(t, control, after)
	close(on)
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	for build, runs := range parts {
		for run, p := range runs {
			pairs, want, steps := 0, 0, 0
			if (build == "1") == (run == plan.Run) {
				want, steps = 70, 3
			}
			for _, s := range p.shards {
				pairs += s.To - s.From
			}
			if pairs != want || len(p.steps) != steps {
				t.Errorf("build %s did %d pairs of %s, want %d, and %v", build, pairs, run, want, p.steps)
			}
		}
	}
	shortly, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	if err := MakeCurrent(shortly, control.client, "hosts", "3"); err == nil || !strings.Contains(err.Error(), "make build 3 of deployment hosts current") {
		t.Errorf("a build without workers became current: %v", err)
	}
}
