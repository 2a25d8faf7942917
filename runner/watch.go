package runner

import (
	"context"
	"path/filepath"

	"stargate"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
	"stargate/trainer"
)

// What telemetry is told of, besides the ledger's calls. Without it nothing is called.

func (s *session) watchStage(stage string, done, total int) {
	if s.telemetry == nil {
		return
	}
	s.telemetry.Progress(stage, done, total)
	s.telemetry.Cost(filepath.Base(s.dir), s.budget.Cost())
}

// watchPairs is for [stargate.Input].
func (s *session) watchPairs() func(context.Context, int, stargate.Pair) (context.Context, func(stargate.Candidates, []stargate.Selected, error)) {
	if s.telemetry == nil {
		return nil
	}
	return func(ctx context.Context, n int, p stargate.Pair) (context.Context, func(stargate.Candidates, []stargate.Selected, error)) {
		ctx, ended := s.telemetry.Pair(ctx, n, p)
		return ctx, func(best stargate.Candidates, sel []stargate.Selected, err error) {
			ended(best, sel, err)
			s.telemetry.Cost(filepath.Base(s.dir), s.budget.Cost())
		}
	}
}

// watchServers shows what the servers of a role do.
func (s *session) watchServers(role string, c *remote.Client) {
	if _, ok := c.Stats(); s.telemetry == nil || !ok {
		return
	}
	s.telemetry.Fleet(role, func() fleet.Stats {
		stats, _ := c.Stats()
		return stats
	})
}

// watchSteps is for the embedded trainer.
func (s *models) watchSteps(model string) func(lm.TuneStep, int) {
	if s.telemetry == nil {
		return nil
	}
	return func(step lm.TuneStep, steps int) { s.telemetry.Step(model, step, steps) }
}

// watchTraining is for other trainers.
func (s *models) watchTraining(model string) func(trainer.Progress) {
	if s.telemetry == nil {
		return nil
	}
	return func(p trainer.Progress) {
		if p.Step > 0 {
			s.telemetry.Step(model, lm.TuneStep{Step: p.Step, Loss: p.Loss, LearningRate: p.LearningRate, GradNorm: p.GradNorm}, p.Steps)
		}
	}
}
