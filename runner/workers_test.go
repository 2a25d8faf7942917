package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stargate/ledger"
	"stargate/ledger/pgtest"
	"stargate/lm"
	"stargate/lm/remote"
)

// sharedRun begins a run on servers for workers on one machine, with a ledger on Postgres.
func sharedRun(t *testing.T, limits remote.Limits) (o Options, join JoinOptions, shared *Shared, judge func()) {
	t.Helper()
	dir := t.TempDir()
	base, weights := modelServer(t, "base", dir)
	other, _ := modelServer(t, "other")
	url, _, stop := scriptedJudge(t)
	file := filepath.Join(dir, "servers.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, serversFile, base, other, url, weights), 0o644); err != nil {
		t.Fatal(err)
	}
	o = Options{Experiment: file, Out: filepath.Join(dir, "run"), Ledger: database(t, pgtest.Shared(t)), Budget: limits}
	join = JoinOptions{Ledger: o.Ledger, Work: dir, Workers: 1}
	_, shared, err := Share(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return o, join, shared, stop
}

// joined is the part of a worker, open until the end of the test.
func joined(t *testing.T, join JoinOptions, shared *Shared) *Part {
	t.Helper()
	p, err := Join(t.Context(), join, "run", shared.Manifest.Identity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// A worker opens the models that its duties ask, and need not reach others.
func TestWorkerReachesItsRoles(t *testing.T) {
	_, join, shared, stopJudge := sharedRun(t, remote.Limits{})
	stopJudge()
	ctx := t.Context()
	short, stop := context.WithTimeout(ctx, 2*time.Second) // it waits for servers that are away
	defer stop()
	if _, err := Join(short, join, "run", shared.Manifest.Identity); err == nil {
		t.Fatal("a worker for everything was opened without the judge")
	}
	join.Duties = []Duty{DutyConverse, DutyTrain}
	p := joined(t, join, shared)
	m0 := Policy{Name: "m0", Digest: shared.Manifest.Model}
	if _, err := p.Converse(ctx, 1, m0, 0, 1, func(int) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.session.cast.judges[0].model.Generate(ctx, nil, lm.Sampling{}); !errors.Is(err, ErrUnreached) || !strings.Contains(err.Error(), "judge") {
		t.Errorf("a judge that is not reached: %v", err)
	}
}

// Workers spend a run's limits together, and go on at once when they are raised.
func TestWorkersShareABudget(t *testing.T) {
	const most = 8000 // two audits of the scorer take 5,900 of it
	o, join, shared, _ := sharedRun(t, remote.Limits{Tokens: most})
	ctx := t.Context()
	m0 := Policy{Name: "m0", Digest: shared.Manifest.Model}
	join.Duties = []Duty{DutyConverse}
	var parts []*Part
	for range 2 {
		parts = append(parts, joined(t, join, shared))
	}
	work := func() (ran out) {
		var wg sync.WaitGroup
		for i, p := range parts {
			wg.Go(func() {
				if _, ran[i] = p.Converse(ctx, 1, m0, 2*i, 2*i+2, func(int) {}); ran[i] != nil && !errors.Is(ran[i], remote.ErrBudget) {
					t.Error(ran[i])
				}
			})
		}
		wg.Wait()
		return ran
	}
	ran := work()
	if ran[0] == nil && ran[1] == nil {
		t.Fatalf("4 pairs cost less than %d tokens", most)
	}
	spent, err := parts[0].session.recorded(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if spent.Tokens > most || spent.Tokens == 0 {
		t.Errorf("two workers spent %d tokens of %d", spent.Tokens, most)
	}
	o.Budget.Tokens = 1e6
	if _, _, err := Share(ctx, o); err != nil {
		t.Fatal(err)
	}
	if ran := work(); ran[0] != nil || ran[1] != nil {
		t.Errorf("after the limit was raised: %v, %v", ran[0], ran[1])
	}
	o.Budget.Tokens = 0 // keeps what was set
	if _, _, err := Share(ctx, o); err != nil {
		t.Fatal(err)
	}
	if most, err := parts[0].session.ledger.Limits(ctx); err != nil || most != (ledger.Amount{Tokens: 1e6}) {
		t.Errorf("limits %+v, %v", most, err)
	}
}

type out [2]error
