package plan

import (
	"stargate"
	"stargate/prompt"
)

// Spent is what the roles of a pilot really took, by the models' own counts.
type Spent struct{ Calls, TokensIn, TokensOut int64 }

// Calibrate sets what a counted token is really worth, by role: it forecasts the pilot
// itself and compares with what it took. Roles that are not in spent stay as they are, and
// so does a shape that was not measured.
func Calibrate(s Shape, cfg stargate.Config, set *prompt.Set, count Counter, a stargate.Split, spent map[string]Spent) (Shape, error) {
	pairs := PilotInput{Config: cfg, A: a, Pairs: s.Pairs}.choose()
	f := &forecaster{in: Input{Config: cfg, Prompts: set, A: stargate.Split{Pairs: pairs}, Count: count, Shape: s}, out: &Forecast{}, static: map[string]static{}, golds: map[string]int{}}
	f.in.Shape.In, f.in.Shape.Out = Factors{}, Factors{}
	if err := f.read(); err != nil {
		return s, err
	}
	q, h, scores := f.conversations(pairs, pilotScope)
	for _, p := range pairs { // the responses
		k := stargate.Length(cfg.Seed, pilotScope, p.Key(), cfg.MaxTurns)
		q.add(float64(cfg.TopK), float64(f.static[p.Key()].response)+s.Response[k-1].Added, s.Response[k-1].Out)
	}
	s.In, s.Out = Factors{}, Factors{}
	for role, counted := range map[string]sum{Questioner: q, Roleplayer: h, Scorer: scores} {
		real, ok := spent[role]
		if !ok || real.Calls == 0 || counted.in == 0 || counted.out == 0 {
			continue
		}
		s.In[role] = float64(real.TokensIn) / float64(real.Calls) / (counted.in / counted.calls)
		s.Out[role] = float64(real.TokensOut) / float64(real.Calls) / (counted.out / counted.calls)
	}
	s.Calibrated = true
	return s, nil
}
