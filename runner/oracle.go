package runner

import (
	"context"
	"errors"
	"fmt"

	"stargate"
	"stargate/dataset/build"
	"stargate/lm"
	"stargate/prompt"
)

// oracleRole is the Oracle's name in the ledger, the report and a manifest.
const oracleRole = "oracle"

// oracles are the Oracle's seat, or none where nobody has to be asked.
func (c *cast) oracles() []seat {
	if c.oracle.model == nil {
		return nil
	}
	return []seat{c.oracle}
}

// goldInput is how a run asks for gold responses: as stargate data gold generate does, in the
// prompts of the experiment and with what its Oracle's role says otherwise.
func goldInput(p Player, cfg stargate.Config, prompts *prompt.Set, oracle lm.Generator) build.GoldInput {
	in := build.PaperGold()
	in.Oracle, in.Prompts, in.Seed = oracle, prompts, cfg.Seed
	if p.Temperature != nil {
		in.Draw.Temperature = *p.Temperature
	}
	if p.TopP != nil {
		in.Draw.TopP, in.Again.TopP = *p.TopP, *p.TopP
	}
	if p.MaxTokens > 0 {
		in.Draw.MaxTokens, in.Again.MaxTokens = p.MaxTokens, p.MaxTokens
	}
	if p.Concurrency > 0 {
		in.Concurrency = p.Concurrency
	}
	return in
}

// complete makes the gold responses that the data lacks and deals it again: pairs that the
// Oracle has none for are left out. What the ledger holds is not asked again.
func (d *data) complete(ctx context.Context, e Experiment, in build.GoldInput) (*build.GoldReport, error) {
	in.Pairs = d.WithoutGold()
	emit := in.Emit
	in.Emit = func(g build.Gold) error {
		d.set.AddGold(stargate.Task{ID: g.Task}, stargate.Persona{ID: g.Persona}, g.Text, string(g.Excluded))
		if emit == nil {
			return nil
		}
		return emit(g)
	}
	report, err := build.GoldResponses(ctx, in)
	if err != nil {
		return nil, err
	}
	d.Splits, err = d.set.Deal(in.Seed, e.Data)
	if errors.Is(err, stargate.ErrData) && len(report.Excluded) > 0 {
		err = fmt.Errorf("%w (the oracle has no gold response for %d of %d pairs: see %s)", err, len(report.Excluded), report.Pairs, build.ReportFile(build.GoldFile))
	}
	return report, err
}

// golds makes the gold responses that are missing, before the first iteration. They are kept in
// the run's directory beside its ledger, with a report.
func (s *session) golds(ctx context.Context) error {
	if len(s.data.WithoutGold()) == 0 {
		return nil
	}
	at, dir := s.cast.oracle, build.Directory(s.dir)
	in := goldInput(at.player, s.config, s.prompts, s.ledger.Generator(s.role(at.role), at.digest, at.model))
	in.Observe = func(p build.Progress) { s.observe("data: "+p.Stage, p.Done, p.Total) }
	out, err := build.NewLines(dir.Path(build.GoldFile))
	if err != nil {
		return err
	}
	in.Emit = func(g build.Gold) error { return out.Write(g) }
	report, err := s.data.complete(ctx, s.experiment, in)
	if err != nil && report == nil {
		return errors.Join(err, out.Abandon())
	}
	return errors.Join(out.Close(), dir.WriteReport(build.GoldFile, report), err)
}
