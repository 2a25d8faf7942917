package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"stargate"
	"stargate/eval"
	"stargate/lm/remote"
	"stargate/prompt"
)

// The roles of a forecast: those of a run's ledger, and the trainer.
const (
	Questioner = "questioner"
	Roleplayer = "roleplayer"
	Scorer     = "scorer"
	Judge      = "judge"
	Rater      = "rater" // of tasks: the first judge's model
	Oracle     = "oracle"
	Trainer    = "trainer"

	// Sampled are the fine-tuned Questioners where they speak on the service that trained them.
	// It is a role of its own, since the base model's calls have another price.
	Sampled = "questioner (tinker)"

	// Evaluator is the Roleplayer of the evaluation in prices, rates and servers, where it is
	// another than that of training. In a forecast its lines are the Roleplayer's.
	Evaluator = "evaluation roleplayer"
)

// Input is what a forecast is made from.
type Input struct {
	Config     stargate.Config // with the run's seed
	Prompts    *prompt.Set
	A, B, Test stargate.Split
	Missing    []stargate.Pair // pairs whose golds the Oracle is still to make: theirs are texts of the length to expect
	WinPairs   int
	Judges     int  // models that judge; 0 = the rubric of a known world, which costs nothing
	Optimum    bool // a known world: the evaluation simulates a Questioner that knows what matters
	Baselines  int  // further policies that respond in the evaluation (with response_preamble: 1)
	OneOrder   bool // a judge sees two responses in one order, not in both
	Credit     bool // the gold is scored after every turn
	RateTasks  bool // a model rates how specific tasks are
	Count      Counter
	Shape      Shape
	Prices     map[string]remote.Price // by role; none = nothing to pay
	Rates      map[string]remote.Rate  // by role; hours are at least what they allow
	Servers    map[string]float64      // by role: the share of its calls that servers answer; nil: all calls but the trainer's
	Notes      []string                // further sentences for the forecast's basis
}

// Line is what one role does in one stage.
type Line struct {
	Stage     string  `json:"stage"`
	Role      string  `json:"role"`
	Calls     int64   `json:"calls"`
	TokensIn  int64   `json:"tokens_in"`
	TokensOut int64   `json:"tokens_out"`
	Cost      float64 `json:"cost"`
	Hours     float64 `json:"hours"` // 0 = not known

	counted float64 // share of its tokens that a budget counts
}

// Forecast is what a run will cost.
type Forecast struct {
	Lines []Line          `json:"lines"`
	Roles map[string]Line `json:"roles"` // totals
	Total Line            `json:"total"`
	Basis []string        `json:"basis"` // what the numbers rest on
	Known bool            `json:"hours_known"`
}

// Make forecasts a run.
func Make(in Input) (*Forecast, error) {
	if err := in.Config.Validate(); err != nil {
		return nil, err
	}
	if n := len(in.Shape.Question); n < in.Config.MaxTurns {
		return nil, fmt.Errorf("plan: the shape has %d turns, the run up to %d", n, in.Config.MaxTurns)
	}
	if len(in.A.Pairs) == 0 || len(in.Test.Pairs) == 0 {
		return nil, errors.New("plan: no pairs")
	}
	f := &forecaster{in: in, out: &Forecast{Roles: map[string]Line{}}, static: map[string]static{}, golds: map[string]int{}}
	if err := f.read(); err != nil {
		return nil, err
	}
	if len(in.Missing) > 0 {
		if err := f.oracle(); err != nil {
			return nil, err
		}
	}
	for n := 1; n <= in.Config.Iterations; n++ {
		f.iteration(n)
	}
	if err := f.evaluation(); err != nil {
		return nil, err
	}
	f.finish()
	return f.out, nil
}

// forecaster adds up lines.
type forecaster struct {
	in     Input
	out    *Forecast
	static map[string]static // by pair
	golds  map[string]int    // tokens, by pair
}

// read renders and counts what is known of every pair.
func (f *forecaster) read() error {
	for _, s := range []stargate.Split{f.in.A, f.in.B, f.in.Test} {
		for _, p := range s.Pairs {
			st, err := renderer{f.in.Prompts, f.in.Count, p}.first()
			if err != nil {
				return fmt.Errorf("plan: pair %s: %w", p.Key(), err)
			}
			f.static[p.Key()], f.golds[p.Key()] = st, f.in.Count.Text(p.Gold)
		}
	}
	return nil
}

// sum is calls and tokens that are not whole yet.
type sum struct{ calls, in, out float64 }

func (s *sum) add(calls, in, out float64) {
	s.calls, s.in, s.out = s.calls+calls, s.in+calls*in, s.out+calls*out
}

// conversations adds up a simulation of the pairs by one policy.
func (f *forecaster) conversations(pairs []stargate.Pair, scope string) (q, h, scores sum) {
	cfg, shape := f.in.Config, f.in.Shape
	for _, p := range pairs {
		st := f.static[p.Key()]
		k := stargate.Length(cfg.Seed, scope, p.Key(), cfg.MaxTurns)
		c := float64(cfg.Samples)
		for t := range k {
			q.add(c*shape.Question[t].Draws, float64(st.question)+shape.Question[t].Added, shape.Question[t].Out)
			h.add(c*shape.Answer[t].Draws, float64(st.answer)+shape.Answer[t].Added, shape.Answer[t].Out)
		}
		scores.add(f.scored(), float64(st.response)+shape.Response[k-1].Added, float64(f.golds[p.Key()]))
	}
	return q, h, scores
}

// scored is how many different conversations of a pair are scored.
func (f *forecaster) scored() float64 {
	return max(1, float64(f.in.Config.Samples)*f.in.Shape.Complete*f.in.Shape.Distinct)
}

func (f *forecaster) iteration(n int) {
	cfg, shape := f.in.Config, f.in.Shape
	split := f.in.A
	if n%2 == 0 {
		split = f.in.B
	}
	stage := fmt.Sprintf("iteration %d", n)
	asks := Questioner
	if n > 1 {
		asks = f.tuned()
	}
	q, h, scores := f.conversations(split.Pairs, stage)
	f.line(stage+": simulate", asks, q, f.perTurn(h.calls, 2))
	f.line(stage+": simulate", Roleplayer, h, f.perTurn(h.calls, 2))
	f.line(stage+": select", Scorer, scores, per(shape.Seconds.Score, shape.Seconds.Scores, scores.calls))
	passes := float64(cfg.Tune.Epochs) * (1 - cfg.Tune.HeldOut)
	if f.in.Servers[Trainer] > 0 {
		passes += 2 * cfg.Tune.HeldOut // the loss on held-out examples, before and after
	}
	var r, tuned sum
	for _, p := range split.Pairs {
		k := stargate.Length(cfg.Seed, stage, p.Key(), cfg.MaxTurns)
		context := float64(f.static[p.Key()].response) + shape.Response[k-1].Added
		target := 0.0
		switch cfg.TrainOn {
		case stargate.OwnResponse:
			target = shape.Response[k-1].Out
			r.add(float64(cfg.TopK), context, target)
		case stargate.GoldResponse:
			target = float64(f.golds[p.Key()])
		}
		tuned.add(float64(cfg.TopK), (context+target)*passes, 0)
	}
	if r.calls > 0 {
		f.line(stage+": respond", asks, r, per(shape.Seconds.Respond, shape.Seconds.Responses, r.calls))
	}
	hours := per(shape.Seconds.Tune, shape.Seconds.TunedTokens, tuned.in*shape.In.of(Scorer))
	f.line(stage+": tune", Trainer, sum{1, tuned.in * shape.In.of(Scorer), 0}, hours)
}

func (f *forecaster) evaluation() error {
	cfg, shape, pairs := f.in.Config, f.in.Shape, f.in.Test.Pairs
	models := float64(cfg.Iterations + 1)
	q, h, scores := f.conversations(pairs, eval.Scope)
	f.split("evaluation: simulate", q, 1, models-1, f.perTurn(h.calls*models, 2))
	f.line("evaluation: simulate", Roleplayer, h.times(models), f.perTurn(h.calls*models, 2))
	all := scores.times(models)
	var controls, told, random sum
	byTask := map[string]int{}
	for _, p := range pairs {
		byTask[p.Task.ID]++
	}
	byLength := make([][]stargate.Pair, cfg.MaxTurns)
	for _, p := range pairs {
		st, gold := f.static[p.Key()], float64(f.golds[p.Key()])
		k := stargate.Length(cfg.Seed, eval.Scope, p.Key(), cfg.MaxTurns)
		byLength[k-1] = append(byLength[k-1], p)
		controls.add(1, float64(st.response), gold)
		controls.add(1, float64(st.knowing), gold)
		told.add(models*f.scored(), float64(st.knowing)+shape.Knowing[k-1], gold)
		if byTask[p.Task.ID] > 1 {
			random.add(models*f.scored(), float64(st.response)+shape.Response[k-1].Added, gold)
		}
	}
	for _, s := range []sum{controls, told, random} {
		all.calls, all.in, all.out = all.calls+s.calls, all.in+s.in, all.out+s.out
	}
	f.line("evaluation: gold log-probabilities", Scorer, all, per(shape.Seconds.Score, shape.Seconds.Scores, all.calls))
	if f.in.Optimum {
		f.line("evaluation: optimum", Roleplayer, h, f.perTurn(h.calls, 1))
		f.line("evaluation: optimum", Scorer, scores, per(shape.Seconds.Score, shape.Seconds.Scores, scores.calls))
	}
	if err := f.wins(byLength, models); err != nil {
		return err
	}
	if f.in.Credit {
		f.credit(models)
	}
	if f.in.RateTasks {
		return f.ratings()
	}
	return nil
}

// credit adds up the scores after every turn but the last, which is scored anyway.
func (f *forecaster) credit(models float64) {
	cfg, shape := f.in.Config, f.in.Shape
	var s sum
	for _, p := range f.in.Test.Pairs {
		prompt, gold := float64(f.static[p.Key()].response), float64(f.golds[p.Key()])
		for t := range stargate.Length(cfg.Seed, eval.Scope, p.Key(), cfg.MaxTurns) - 1 {
			s.add(models*f.scored(), prompt+shape.Response[t].Added, gold)
		}
	}
	f.line("evaluation: credit of questions", Scorer, s, per(shape.Seconds.Score, shape.Seconds.Scores, s.calls))
}

// ratings adds up one question for each task. An answer is taken to be as long as a verdict:
// both are a sentence or two of reasons.
func (f *forecaster) ratings() error {
	var s sum
	seen := map[string]bool{}
	for _, p := range f.in.Test.Pairs {
		if seen[p.Task.ID] {
			continue
		}
		seen[p.Task.ID] = true
		chat, err := eval.ModelRater{}.Chat(p.Task)
		if err != nil {
			return err
		}
		s.add(1, float64(f.in.Count.Chat(chat)), f.in.Shape.Judge)
	}
	f.line("evaluation: task ratings", Rater, s, per(f.in.Shape.Seconds.Judge, f.in.Shape.Seconds.Verdicts, s.calls))
	return nil
}

// wins adds up the responses and verdicts of the win rates: as many pairs of each length.
func (f *forecaster) wins(byLength [][]stargate.Pair, models float64) error {
	cfg, shape, in := f.in.Config, f.in.Shape, f.in
	orders := 2.0
	if in.OneOrder {
		orders = 1
	}
	var r, v sum // r: of one model
	for k := 1; k <= cfg.MaxTurns; k++ {
		share := in.WinPairs*k/cfg.MaxTurns - in.WinPairs*(k-1)/cfg.MaxTurns
		of := byLength[k-1]
		n := float64(min(share, len(of)))
		for _, p := range of { // any of them may be drawn
			weight := n / float64(len(of))
			r.add(weight, float64(f.static[p.Key()].response)+shape.Response[k-1].Added, shape.Response[k-1].Out)
			chat, err := in.Prompts.Judge(p.Persona.Name, p.Persona.Text, p.Task.Text, "", "")
			if err != nil {
				return err
			}
			v.add(weight*(models-1+float64(in.Baselines))*orders*float64(in.Judges), float64(in.Count.Chat(chat))+2*shape.Response[k-1].Out, shape.Judge)
		}
	}
	all := models + float64(in.Baselines)
	f.split("evaluation: win rates", r, 1+float64(in.Baselines), models-1, per(shape.Seconds.Respond, shape.Seconds.Responses, r.calls*all))
	if in.Judges > 0 {
		f.line("evaluation: win rates", Judge, v, per(shape.Seconds.Judge, shape.Seconds.Verdicts, v.calls))
	}
	return nil
}

// oracle adds up the gold responses that are still to be made.
func (f *forecaster) oracle() error {
	var g sum
	for _, p := range f.in.Missing {
		chat, err := f.in.Prompts.Oracle(p.Persona.Name, p.Persona.Text, p.Task.Text)
		if err != nil {
			return err
		}
		g.add(1, float64(f.in.Count.Chat(chat)), float64(f.in.Count.Text(p.Gold)))
	}
	f.line("data: gold responses", Oracle, g, 0)
	return nil
}

func (s sum) times(n float64) sum { return sum{s.calls * n, s.in * n, s.out * n} }

// per is the hours of n calls, where a pilot made some in seconds.
func per(seconds float64, made int, n float64) float64 {
	if made == 0 {
		return 0
	}
	return seconds / float64(made) * n / 3600
}

// tuned is the role of fine-tuned Questioners.
func (f *forecaster) tuned() string {
	if _, elsewhere := f.in.Servers[Sampled]; elsewhere {
		return Sampled
	}
	return Questioner
}

// split adds what each Questioner does in a stage: so many that are the base model, and so many
// fine-tuned ones.
func (f *forecaster) split(stage string, each sum, base, tuned, hours float64) {
	if f.tuned() == Questioner {
		base, tuned = base+tuned, 0
	}
	share := hours / (base + tuned)
	f.line(stage, Questioner, each.times(base), share*base)
	f.line(stage, Sampled, each.times(tuned), share*tuned)
}

// perTurn is the hours of a simulation's turns, shared between its roles.
func (f *forecaster) perTurn(turns, roles float64) float64 {
	return per(f.in.Shape.Seconds.Simulate, f.in.Shape.Seconds.Turns, turns) / roles
}

// line adds a line. Its hours are at least what the role's rate allows.
func (f *forecaster) line(stage, role string, s sum, hours float64) {
	if s.calls == 0 {
		return
	}
	measured := role
	if role == Sampled { // a pilot knows the base model only
		measured = Questioner
	}
	in, out := s.in*f.in.Shape.In.of(measured), s.out*f.in.Shape.Out.of(measured)
	player := f.player(stage, role)
	if rate := f.in.Rates[player]; rate.Requests > 0 {
		hours = max(hours, s.calls/rate.Requests/60)
	}
	if rate := f.in.Rates[player]; rate.Tokens > 0 {
		hours = max(hours, (in+out)/rate.Tokens/60)
	}
	l := Line{Stage: stage, Role: role, Calls: whole(s.calls), TokensIn: whole(in), TokensOut: whole(out), Hours: hours}
	l.Cost = f.in.Prices[player].Cost(l.TokensIn, l.TokensOut)
	if l.counted = f.in.Servers[player]; f.in.Servers == nil && role != Trainer {
		l.counted = 1
	}
	f.out.Lines = append(f.out.Lines, l)
}

// player is the name under which a line's prices, rates and servers are.
func (f *forecaster) player(stage, role string) string {
	if role != Roleplayer || !strings.HasPrefix(stage, "evaluation") {
		return role
	}
	if _, other := f.in.Servers[Evaluator]; !other {
		return role
	}
	return Evaluator
}

func whole(v float64) int64 { return int64(v + 0.5) }

func (f *forecaster) finish() {
	f.out.Known = f.in.Shape.Pairs > 0
	for _, l := range f.out.Lines {
		t := f.out.Roles[l.Role]
		t.Role = l.Role
		t.add(l)
		f.out.Roles[l.Role] = t
		f.out.Total.add(l)
		f.out.Known = f.out.Known && l.Hours > 0
	}
	f.out.Basis = []string{"tokens of prompts: " + f.in.Count.Name, "lengths: " + f.in.Shape.Source}
	if !f.in.Shape.Calibrated {
		f.out.Basis = append(f.out.Basis, "malformed turns and repeated calls: not known without a pilot, none assumed")
	}
	f.out.Basis = append(f.out.Basis, "all models speak as the base model does; a call that two of them repeat word for word is counted twice, and made once",
		"hours add up stages and roles as if none overlapped")
	f.out.Basis = append(f.out.Basis, f.in.Notes...)
	if !f.out.Known {
		f.out.Basis = append(f.out.Basis, "hours: only where a pilot or a rate limit tells; 0 is not known")
	}
}

func (l *Line) add(m Line) {
	l.Calls, l.TokensIn, l.TokensOut = l.Calls+m.Calls, l.TokensIn+m.TokensIn, l.TokensOut+m.TokensOut
	l.Cost, l.Hours = l.Cost+m.Cost, l.Hours+m.Hours
}

// RoleNames are the roles of a forecast, the dearest first.
func (f *Forecast) RoleNames() []string {
	var names []string
	for r := range f.Roles {
		names = append(names, r)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := f.Roles[a], f.Roles[b]
		return cmp.Or(cmp.Compare(y.Cost, x.Cost), cmp.Compare(y.TokensIn+y.TokensOut, x.TokensIn+x.TokensOut), cmp.Compare(a, b))
	})
	return names
}
