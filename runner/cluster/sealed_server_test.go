package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"stargate"
	"stargate/internal/temporaltest"
	"stargate/runner"
)

// TestSealed is runs whose payloads are encrypted, and people and workers without the keys.
func TestSealed(t *testing.T) {
	server := temporaltest.Start(t, temporaltest.Options{NoUI: true, Attributes: map[string]string{"StargateRun": "Int"}})
	keys := func(name string, b string) Connection {
		return Connection{Address: server.Address(), KeysFile: write(t, name, "# made for a test\n"+strings.Repeat(b, 43)+"=\n")}
	}
	right, wrong, none := keys("right", "A"), keys("wrong", "E"), Connection{Address: server.Address()}
	for name, test := range map[string]func(*testing.T){
		"stored": func(t *testing.T) { stored(t, server, right, none) },
		"wrong key": func(t *testing.T) {
			wrongFlow(t, right, wrong, "a failure that cannot be read: encrypted payload: its key")
		},
		"no key": func(t *testing.T) {
			wrongFlow(t, right, none, "encrypted payload: give --payload-keys with its key 66687aadf862")
		},
		"shards":        func(t *testing.T) { wrongShards(t, right, wrong) },
		"failed":        func(t *testing.T) { failed(t, right, wrong) },
		"another type":  func(t *testing.T) { anotherType(t, none) },
		"keys replaced": func(t *testing.T) { replaced(t, server, right) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// What the server keeps of a run has names of its plan, stages, policies and failures in the
// clear, and with keys it has not.
func stored(t *testing.T, server *temporaltest.Server, right, none Connection) {
	secrets := func(mark string) []string {
		return []string{mark + "-identity", "the persona of " + mark, "place of " + mark, "iteration 1: conversations", "digest of m1", "pairs 1 to 4"}
	}
	do := func(at Connection, name, mark string) {
		plan := planned(name)
		plan.Identity = mark + "-identity"
		p := part{workers: new(workers)}
		var once sync.Once
		p.workers.shard = func(context.Context, Shard) (err error) {
			once.Do(func() { err = errors.New("no conversation with the persona of " + mark) })
			return err
		}
		joined(t, placed{p, "place of " + mark}, at, plan, WorkerOptions{})
		through(t, controlled(t, at), plan)
	}
	do(right, "sealed", "marl")
	kept := func() (all []byte) {
		for _, end := range []string{"", "-wal"} {
			b, err := os.ReadFile(server.Database() + end)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	// The other tests beside this one have keys, or do not come to a stage.
	text := kept()
	for _, s := range secrets("marl") {
		if bytes.Contains(text, []byte(s)) {
			t.Errorf("the server keeps %q in the clear", s)
		}
	}
	if !bytes.Contains(text, []byte("stargate/sealed")) {
		t.Error("the workflow's ID is not in the database: it is not what the server keeps")
	}
	do(none, "open", "chalk")
	text = kept()
	for _, s := range secrets("chalk") {
		if !bytes.Contains(text, []byte(s)) {
			t.Errorf("without keys %q is not found either: nothing was shown", s)
		}
	}
}

// placed is a part whose report is at a place.
type placed struct {
	part
	place string
}

func (p placed) Report(ctx context.Context, told func(string)) (out runner.Reported, err error) {
	out, err = p.part.Report(ctx, told)
	out.Place = p.place
	return out, err
}

// A worker that lacks the keys does not end a run: it waits for one that has them, and status
// says so to everybody.
func wrongFlow(t *testing.T, right, lacking Connection, says string) {
	plan := planned(strings.ReplaceAll(strings.ToLower(t.Name()), "/", "-"))
	control := controlled(t, right)
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	end := joined(t, part{workers: new(workers)}, lacking, plan, WorkerOptions{})
	s := comesTo(t, control, plan.Run, noted("the workflow does not get on, attempt "))
	if s.State != "running" || !noted(says)(s) {
		t.Errorf("%+v", s)
	}
	if s, err := controlled(t, lacking).Status(t.Context(), plan.Run, time.Now()); err != nil || !noted("this worker cannot read the run: encrypted payload: ")(s) {
		t.Errorf("%+v, %v", s, err)
	}
	joined(t, part{workers: new(workers)}, right, plan, WorkerOptions{})
	end()
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Error(err)
	}
}

// A worker that cannot read a shard gives it back. Who cannot read the run is not shown its
// stages, and can neither pause it nor go on with it.
func wrongShards(t *testing.T, right, wrong Connection) {
	plan := planned("shards")
	control, blind := controlled(t, right), controlled(t, wrong)
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	p := part{workers: new(workers)}
	joined(t, p, right, plan, WorkerOptions{Roles: []Role{RoleFlow, RoleEvaluate, RoleTrain, RoleReport}})
	end := joined(t, part{workers: new(workers)}, wrong, plan, WorkerOptions{Roles: []Role{RoleConverse}})
	comesTo(t, control, plan.Run, func(s *Status) bool {
		return len(s.Stages) > 0 && strings.Contains(strings.Join(s.Stages[len(s.Stages)-1].Failing, "\n"), "a failure that cannot be read: encrypted payload: its key")
	})
	s := comesTo(t, blind, plan.Run, noted("the stages are encrypted: "))
	if !noted("give the keys of the run's workers with --payload-keys")(s) {
		t.Errorf("%+v", s)
	}
	for name, err := range map[string]error{"pause": blind.Pause(t.Context(), plan.Run), "resume": blind.Resume(t.Context(), plan.Run)} {
		if !errors.Is(err, ErrCodec) {
			t.Errorf("%s without the keys: %v", name, err)
		}
	}
	// What a program says to the run that does not ask whether it can be read is dropped.
	if err := blind.client.SignalWorkflow(t.Context(), WorkflowID(plan.Run), "", signalPause, true); err != nil {
		t.Fatal(err)
	}
	end()
	// Its failures are read by who has the keys.
	held := make(chan struct{})
	var once sync.Once
	p.workers.shard = func(context.Context, Shard) (err error) {
		once.Do(func() { err = errors.New("the oracle is away") })
		if err == nil {
			<-held
		}
		return err
	}
	joined(t, p, right, plan, WorkerOptions{Roles: []Role{RoleConverse}})
	comesTo(t, control, plan.Run, func(s *Status) bool {
		return len(s.Stages) > 0 && strings.Contains(strings.Join(s.Stages[len(s.Stages)-1].Failing, "\n"), ": the oracle is away")
	})
	close(held)
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
}

// Why a run failed is told to who has the keys, and others are told that they lack them.
func failed(t *testing.T, right, wrong Connection) {
	plan := planned("failed")
	control, blind := controlled(t, right), controlled(t, wrong)
	p := part{workers: &workers{train: func(context.Context, Step) error { return stargate.ErrNothingSelected }}}
	joined(t, p, right, plan, WorkerOptions{})
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Wait(t.Context(), plan.Run); err == nil || !strings.Contains(err.Error(), stargate.ErrNothingSelected.Error()) {
		t.Errorf("got %v", err)
	}
	if _, err := blind.Wait(t.Context(), plan.Run); err == nil || !strings.Contains(err.Error(), "--payload-keys") {
		t.Errorf("without the keys: %v", err)
	}
	if s, err := blind.Status(t.Context(), plan.Run, time.Now()); err != nil || s.State != "failed" || !strings.Contains(s.Reason, "--payload-keys") {
		t.Errorf("without the keys: %+v, %v", s, err)
	}
	if err := blind.Resume(t.Context(), plan.Run); !errors.Is(err, ErrCodec) {
		t.Errorf("resumed without the keys: %v", err)
	}
}

// A namespace that knows an attribute of the name as something else takes no run.
func anotherType(t *testing.T, at Connection) {
	plan := planned("typed")
	plan.Attributes = true
	control := controlled(t, at)
	if _, err := at.RegisterAttributes(t.Context(), control.client); err != nil {
		t.Fatal(err)
	}
	if err := control.Start(t.Context(), plan); !errors.Is(err, ErrAttributes) {
		t.Errorf("got %v", err)
	}
}

// A new key is put before the old one, first with the workers: a run under way goes on, and what
// comes from then on is encrypted with the new key.
func replaced(t *testing.T, server *temporaltest.Server, right Connection) {
	both := Connection{Address: server.Address(), KeysFile: write(t, "both", strings.Repeat("I", 43)+"=\n"+strings.Repeat("A", 43)+"=\n")}
	plan := planned("replaced")
	if err := controlled(t, right).Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	joined(t, part{workers: new(workers)}, both, plan, WorkerOptions{})
	if _, err := controlled(t, both).Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	if s, err := controlled(t, right).Status(t.Context(), plan.Run, time.Now()); err != nil || !noted("the stages are encrypted")(s) {
		t.Errorf("with the old key alone: %+v, %v", s, err)
	}
}
