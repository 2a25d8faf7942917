package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"stargate"
	"stargate/eval/judge"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/nano"
	"stargate/plan"
)

// ForecastOptions are what a forecast is made of besides the run's own options.
type ForecastOptions struct {
	Options
	Pilot      int                     // pairs to run for real in the run's directory; 0 = none
	Lengths    plan.Lengths            // assumed without a pilot
	Gold       int                     // tokens of a gold response, where they are still to be made
	Characters float64                 // per token, to count by; 0 = the model's tokenizer, or 4 where it is not on this machine
	Prices     map[string]remote.Price // by role, over those of the experiment

	least bool // forecast what cannot be undercut: greedy models repeat themselves, and repeated calls are made once
}

// Forecast says what a run will cost. Without a pilot no model is asked anything. A pilot is
// the beginning of the run itself: its calls are in the run's ledger, and the run does not
// make them again.
func Forecast(ctx context.Context, o ForecastOptions) (*plan.Forecast, error) {
	e, err := o.experiment()
	if err != nil {
		return nil, err
	}
	in := plan.Input{Config: e.Algorithm, WinPairs: e.Evaluation.WinPairs, Prices: map[string]remote.Price{}, Rates: map[string]remote.Rate{}}
	in.Config.Seed = o.Seed
	if in.Config.ResponsePreamble {
		in.Baselines = 1
	}
	if in.Prompts, err = LoadPrompts(e.Prompts, o.Source.PromptsDir); err != nil {
		return nil, err
	}
	if in.Count, err = counter(e.Roles.Questioner, o.Source.ModelDir, o.Characters); err != nil {
		return nil, err
	}
	d, missing, err := forecastData(e, o, in.Count)
	if err != nil {
		return nil, err
	}
	world := d.world != nil
	in.A, in.B, in.Test, in.Missing, in.Optimum = d.A, d.B, d.Test, missing, world
	if !world || len(e.Roles.Judge) > 0 {
		in.Judges = max(1, len(e.Roles.Judge))
	}
	in.OneOrder, in.Credit, in.RateTasks = e.Evaluation.Orders == string(judge.CoinFlip), e.Evaluation.Credit, e.Evaluation.RateTasks
	if e.Evaluation.WhenToAsk {
		in.Notes = append(in.Notes, "when_to_ask: its calls are not in the forecast, since models ask there as often as they like")
	}
	for _, role := range []string{plan.Questioner, plan.Scorer, plan.Roleplayer, plan.Judge, plan.Rater, plan.Oracle, plan.Evaluator} {
		t, ok := e.terms(role)
		if !ok && role != plan.Evaluator {
			continue
		}
		if ok && in.Servers == nil {
			in.Servers = map[string]float64{}
		}
		if ok || in.Servers != nil && len(e.Evaluation.Roleplayer) > 0 {
			in.Prices[role], in.Rates[role], in.Servers[role] = t.price, t.rate, t.share
		}
	}
	e.Trainer.forecast(&in, o.Prices)
	maps.Copy(in.Prices, o.Prices)
	if o.Pilot == 0 {
		in.Shape, err = plan.Assume(in.Config, in.Prompts, in.Count, o.Lengths)
		if o.least {
			e.repeat(in)
		}
	} else if len(missing) > 0 {
		err = errors.New("a pilot scores gold responses: make them first, or forecast without --pilot")
	} else {
		in.Shape, err = pilot(ctx, o, in)
	}
	if err != nil {
		return nil, err
	}
	return plan.Make(in)
}

// repeat takes all samples of a pair for one where their drawing is greedy.
func (e Experiment) repeat(in plan.Input) {
	greedy := func(temperature float64, players []Player) bool {
		return slices.ContainsFunc(players, func(p Player) bool {
			return p.Temperature != nil && *p.Temperature == 0 || p.Temperature == nil && temperature == 0
		})
	}
	for _, role := range []struct {
		drawn  []plan.Drawn
		greedy bool
	}{{in.Shape.Question, greedy(in.Config.Questioner.Temperature, e.playing(plan.Questioner))}, {in.Shape.Answer, greedy(in.Config.Roleplayer.Temperature, e.playing(plan.Roleplayer))}} {
		for t := range role.drawn {
			if role.greedy {
				role.drawn[t].Draws = 1 / float64(in.Config.Samples)
			}
		}
	}
}

// experiment is the one that the options name.
func (o Options) experiment() (Experiment, error) {
	if o.Resolved != nil {
		return *o.Resolved, nil
	}
	return LoadExperiment(o.Experiment)
}

// pilot runs some pairs as the run will, and keeps what it measured in the run's ledger.
func pilot(ctx context.Context, o ForecastOptions, in plan.Input) (shape plan.Shape, err error) {
	s, err := open(ctx, o.Options)
	if err != nil {
		return shape, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	key := fmt.Sprintf("plan pilot 1 on %d pairs", o.Pilot)
	if found, err := s.ledger.Get(ctx, key, &shape); err != nil || found {
		return shape, err
	}
	before, err := s.spent(ctx)
	if err != nil {
		return shape, err
	}
	p := plan.PilotInput{Config: s.config, Prompts: s.prompts, Base: s.base, Roleplayer: s.roleplayer, A: s.data.A, Pairs: o.Pilot, Count: in.Count,
		Observe: func(done, total int) { s.observe("pilot", done, total) }}
	if in.Judges > 0 {
		at := s.cast.judges[0]
		p.Judge = s.ledger.Generator(s.role("judge"), at.digest, at.model)
	}
	if s.cast.weights != nil && s.experiment.Trainer.Command == nil {
		p.Tune = s.cast.weights
	}
	if shape, err = plan.Pilot(ctx, p); err != nil {
		return shape, err
	}
	after, err := s.spent(ctx)
	if err != nil {
		return shape, err
	}
	for role, a := range after {
		b := before[role]
		after[role] = plan.Spent{Calls: a.Calls - b.Calls, TokensIn: a.TokensIn - b.TokensIn, TokensOut: a.TokensOut - b.TokensOut}
	}
	if after[plan.Questioner].Calls < int64(shape.Seconds.Turns) {
		shape.Source += ", part of it made before: the hours are too few"
	}
	if shape, err = plan.Calibrate(shape, s.config, s.prompts, in.Count, s.data.A, after); err != nil {
		return shape, err
	}
	return shape, s.ledger.Put(ctx, key, shape)
}

// spent is what the roles of this run have taken so far.
func (s *session) spent(ctx context.Context) (map[string]plan.Spent, error) {
	totals, err := s.ledger.Totals(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]plan.Spent{}
	for _, t := range totals {
		if role, own := s.ownRole(t.Role); own {
			out[role] = plan.Spent{Calls: t.Made, TokensIn: t.TokensIn, TokensOut: t.TokensOut}
		}
	}
	return out, nil
}

// usualCharacters is what a token of English has in common vocabularies, about.
const usualCharacters = 4

// counter counts with the questioner's own tokenizer where it is on this machine.
func counter(p *Player, modelDir string, characters float64) (plan.Counter, error) {
	var text *local.Text
	var err error
	switch {
	case characters > 0:
		return plan.Ratio(characters), nil
	case p != nil && p.isRemote() && p.Tokenizer == "":
		return plan.Ratio(usualCharacters), nil
	case p != nil && p.isRemote():
		text, err = local.OpenText(p.Tokenizer)
	case p != nil && p.Local != "":
		text, err = local.OpenText(p.Local)
	case modelDir != "":
		text, err = local.OpenText(modelDir)
	default:
		files, bad := nano.ModelFS()
		if bad != nil {
			return plan.Counter{}, bad
		}
		text, err = local.OpenTextFS(files)
	}
	if err != nil {
		return plan.Counter{}, err
	}
	tokens := func(s string) int { ids, _ := text.Tokens(s); return len(ids) }
	return plan.Counter{Name: "the model's tokenizer", Text: tokens, Chat: func(c lm.Chat) int {
		rendered, err := text.Render(c, true)
		if err != nil { // a template that refuses a chat fails the run at its first call, with the reason
			return 0
		}
		return tokens(rendered)
	}}, nil
}

// forecastData are the data of a run, with texts of the length to expect in the place of the
// gold responses that are missing.
func forecastData(e Experiment, o ForecastOptions, count plan.Counter) (d data, missing []stargate.Pair, err error) {
	if !o.Source.own() {
		d, err = loadData(e, o.Seed, o.Source)
		return d, nil, err
	}
	if o.Source.Data == "" && (o.Source.Tasks == "" || o.Source.Personas == "") {
		return d, nil, errors.New("give --data, or both --tasks and --personas: their length decides the cost")
	}
	if d.set, err = readSet(o.Source); err != nil {
		return d, nil, err
	}
	if d.Splits, err = d.set.DealOpen(o.Seed, e.Data); err != nil {
		return d, nil, err
	}
	const sample = 40 // words
	words := o.Gold * sample / max(1, count.Text(strings.Repeat("something ", sample)))
	text := strings.Repeat("something ", max(1, words))
	for _, s := range []*stargate.Split{&d.A, &d.B, &d.Test} {
		for i, p := range s.Pairs {
			if p.Gold == "" {
				s.Pairs[i].Gold = text
				missing = append(missing, s.Pairs[i])
			}
		}
	}
	return d, missing, d.Check()
}
