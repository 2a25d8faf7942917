package cluster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stargate/internal/temporaltest"
	"stargate/runner"
)

// TestServerWorkers is what workers do when something ends, and what is told of their work.
func TestServerWorkers(t *testing.T) {
	server := temporaltest.Start(t, temporaltest.Options{NoUI: true})
	for name, test := range map[string]func(*testing.T, *temporaltest.Server){"stops": stops, "forbidden": forbidden, "children": children} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, server)
		})
	}
}

// A worker that is told to stop hands back what it has under way, at once, and another one goes on.
func stops(t *testing.T, server *temporaltest.Server) {
	at, plan := Connection{Address: server.Address()}, planned("stops")
	plan.Patience = time.Hour // nobody waits for a worker that went in order
	first, second := part{workers: new(workers)}, part{workers: new(workers)}
	begun := make(chan struct{}, 100)
	first.hold = func(ctx context.Context, _ Shard) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	control := controlled(t, at)
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	end := joined(t, first, at, plan, WorkerOptions{})
	<-begun
	end()
	joined(t, second, at, plan, WorkerOptions{})
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
	if len(first.shards) != 0 || len(first.steps) != 0 || len(second.steps) != 3 {
		t.Errorf("the first worker finished %v, %v; the second %v", first.shards, first.steps, second.steps)
	}
}

// A worker that may not poll ends at its start, all of it, and says why.
func forbidden(t *testing.T, server *temporaltest.Server) {
	var away atomic.Bool
	gateway := temporaltest.NewGateway(t, server.Address(), temporaltest.GatewayOptions{Refuses: func(method string) (string, string) {
		if away.Load() && method == "DescribeNamespace" {
			return "7", "Request unauthorized."
		}
		return "", ""
	}})
	c, err := Connection{Address: gateway.Address(), CA: gateway.CA}.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w, err := NewWorker(t.Context(), c, WorkerOptions{Roles: Roles(), Queues: planned("forbidden").Queues})
	if err != nil {
		t.Fatal(err)
	}
	away.Store(true)
	if err := w.Run(t.Context()); !errors.Is(err, ErrRefused) {
		t.Errorf("it ended with %v", err)
	}
}

// Status counts the pairs of a stage's children while they go, and knows of a fine-tune under way.
func children(t *testing.T, server *temporaltest.Server) {
	at, plan := Connection{Address: server.Address()}, planned("children")
	plan.Layout = Layout{Shard: 3, Window: 2, Group: 4, Children: 2}
	p := tuning{part: part{workers: new(workers)}, on: make(chan struct{})}
	held := make(chan struct{})
	p.hold = func(_ context.Context, s Shard) error {
		if s.Iteration == 1 && s.From >= 15 {
			<-held
		}
		return nil
	}
	joined(t, p, at, plan, WorkerOptions{})
	control := controlled(t, at)
	if err := control.Start(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	// The first child has 12 pairs, the second the next 12, of which 3 are done.
	s := comesTo(t, control, plan.Run, func(s *Status) bool { return len(s.Stages) == 1 && s.Stages[0].Done == 15 && s.Stages[0].Shards > 0 })
	if r := s.Stages[0]; r.Total != 30 || r.ETA <= 0 || r.Seconds <= 0 {
		t.Errorf("%+v", r)
	}
	close(held)
	// What a fine-tune tells is only sent once a minute.
	comesTo(t, control, plan.Run, func(s *Status) bool {
		r := s.Stages[len(s.Stages)-1]
		return r.Name == "iteration 1: tune" && strings.Join(r.Doing, "") == "opening the run" && r.Done == 0 && r.Total == 1 && r.Seconds > 0
	})
	close(p.on)
	if _, err := control.Wait(t.Context(), plan.Run); err != nil {
		t.Fatal(err)
	}
}

// tuning is a part whose fine-tunes take their time.
type tuning struct {
	part
	on chan struct{}
}

func (p tuning) Train(ctx context.Context, n int, asked runner.Policy, chosen runner.Tally, tell func(string)) (runner.Policy, error) {
	<-p.on
	return p.part.Train(ctx, n, asked, chosen, tell)
}
