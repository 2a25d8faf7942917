package cluster

import (
	"go.temporal.io/sdk/workflow"
)

// signalPause tells a run or a stage whether it is paused. It is one signal with a value, not
// two, so that their order is kept.
const signalPause = "pause"

// gate holds new work back while a run is paused. What is under way goes on to its end.
type gate struct {
	paused   bool
	told     workflow.ReceiveChannel
	children map[string]bool // stages under way, which are told
}

// openGate listens for signals as long as the workflow runs.
func openGate(ctx workflow.Context, paused bool) *gate {
	g := &gate{paused: paused, told: workflow.GetSignalChannel(ctx, signalPause), children: map[string]bool{}}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var paused bool
			g.told.Receive(ctx, &paused)
			g.set(ctx, paused)
		}
	})
	return g
}

func (g *gate) set(ctx workflow.Context, paused bool) {
	if g.paused == paused {
		return
	}
	g.paused = paused
	for _, id := range workflow.DeterministicKeys(g.children) {
		// A child that has just ended need not hear of it, so that the answer is not waited for.
		workflow.SignalExternalWorkflow(ctx, id, "", signalPause, paused)
	}
}

// pass returns when the run is not paused.
func (g *gate) pass(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return !g.paused })
}

// last is whether the run is paused, with signals that nobody has read yet: what a workflow
// that continues as new hands on.
func (g *gate) last() bool {
	for g.told.ReceiveAsync(&g.paused) {
	}
	return g.paused
}
