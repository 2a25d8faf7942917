package cluster

import (
	"strings"
	"testing"
	"time"

	"stargate/runner"
)

func TestPlanValidate(t *testing.T) {
	if err := testPlan().Validate(); err != nil {
		t.Fatal(err)
	}
	for wants, spoil := range map[string]func(*Plan){
		"a name has 1 to 100 letters":                 func(p *Plan) { p.Run = "../other" },
		"begins with a letter or digit":               func(p *Plan) { p.Run = "-rf" },
		"iterations is 0, want 1 to 1000":             func(p *Plan) { p.Iterations = 0 },
		"pairs of split A is 0":                       func(p *Plan) { p.A = 0 },
		"pairs of the test split is -1":               func(p *Plan) { p.Test = -1 },
		"shard is 0":                                  func(p *Plan) { p.Layout.Shard = 0 },
		"window is 2001, want 1 to 2000":              func(p *Plan) { p.Layout.Window = 2001 },
		"group is 501, want 1 to 500":                 func(p *Plan) { p.Layout.Group = 501 },
		"children is 0":                               func(p *Plan) { p.Layout.Children = 0 },
		"patience is 9s, want 10s or more":            func(p *Plan) { p.Patience = 9 * time.Second },
		"a plan names the manifest's identity":        func(p *Plan) { p.Identity = "" },
		"run " + strings.Repeat("a", 100) + ": shard": func(p *Plan) { p.Run, p.Layout.Shard = strings.Repeat("a", 100), 0 },
	} {
		p := testPlan()
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), wants) {
			t.Errorf("got %v, want %s", err, wants)
		}
	}
}

// Every split has at least 48 shards, if it has as many pairs; no shard has more than 100 pairs; and a plan
// takes what comes out.
func TestDefaultLayout(t *testing.T) {
	for pairs, shard := range map[int]int{1: 1, 47: 1, 48: 1, 96: 2, 4800: 100, 1e6: 100, 1e9: 100} {
		p := testPlan()
		p.Layout = DefaultLayout(pairs)
		if err := p.Validate(); err != nil || p.Layout.Shard != shard {
			t.Errorf("%d pairs: %+v, %v", pairs, p.Layout, err)
		}
	}
}

func TestParseRoles(t *testing.T) {
	all, err := ParseRoles(nil)
	if err != nil || len(all) != 5 {
		t.Errorf("none named: %v, %v", all, err)
	}
	some, err := ParseRoles([]string{"train", "flow"})
	if err != nil || len(some) != 2 || some[0] != RoleTrain {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := ParseRoles([]string{"train", "cook"}); err == nil || !strings.Contains(err.Error(), `role "cook" is not one of [flow converse`) {
		t.Errorf("got %v", err)
	}
}

// What starts a worker for a queue.
func TestCommand(t *testing.T) {
	q := Queues{Pool: DefaultPool, Base: "0123456789abcdef"}
	ours := Queues{Pool: "team/gpu", Base: q.Base}
	policy := runner.Policy{Name: "m1", Digest: "fedcba9876543210"}
	for queue, want := range map[string]string{
		q.Flow():                      "stargate worker --roles flow",
		q.Of(RoleTrain):               "stargate worker --roles train",
		q.At(RoleConverse, policy):    "stargate worker --roles converse --checkpoint m1-fedcba987654",
		ours.Flow():                   "stargate worker --pool team/gpu --roles flow",
		ours.At(RoleConverse, policy): "stargate worker --pool team/gpu --roles converse --checkpoint m1-fedcba987654",
		"somebody's":                  "stargate worker",
	} {
		if got := command(queue); got != want {
			t.Errorf("%s: %s, want %s", queue, got, want)
		}
	}
}

func TestNewWorkerOptions(t *testing.T) {
	for name, o := range map[string]WorkerOptions{
		"a deployment needs a build ID": {Roles: Roles(), Deployment: "hosts"},
		"a build ID a deployment":       {Roles: Roles(), Build: "1"},
		"give at least one role":        {},
	} {
		if _, err := NewWorker(t.Context(), nil, o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
