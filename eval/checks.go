package eval

import "stargate/eval/stats"

// Paired compares two models of a run, or two runs, on the same pairs: the mean of the
// differences B − A, pair by pair.
type Paired struct {
	What string  `json:"what"` // a condition, "qa/top1", "gap" (Q-experimental less Q-random) or "win" (over m0)
	A    string  `json:"a"`
	B    string  `json:"b"`
	N    int     `json:"n"` // pairs that both have
	Diff float64 `json:"diff"`
	SEM  float64 `json:"sem"` // clustered by task and persona
	Low  float64 `json:"low"` // 95 % interval, clustered
	High float64 `json:"high"`
	P    float64 `json:"p"` // of no difference, clustered; of wins this is McNemar's test with clusters
	// Of the bootstrap over tasks and personas; absent where there is nothing to draw again.
	Boot *Boot `json:"boot,omitempty"`
	// Of wins: pairs that one model wins and the other does not, and McNemar's exact test,
	// which takes pairs as independent.
	OnlyA   *int     `json:"only_a,omitempty"`
	OnlyB   *int     `json:"only_b,omitempty"`
	McNemar *float64 `json:"mcnemar,omitempty"`
}

// Boot is what the studentised bootstrap over effects of tasks, personas and pairs gives.
type Boot struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	P    float64 `json:"p"`
}

// WinCheck is what else can be said of a win rate.
type WinCheck struct {
	Model        string  `json:"model"`
	WilsonLow    float64 `json:"wilson_low"` // 95 % interval as if comparisons were independent
	WilsonHigh   float64 `json:"wilson_high"`
	P            float64 `json:"p"`              // of one half, clustered
	Boot         *Boot   `json:"boot,omitempty"` // P: of one half
	DesignEffect float64 `json:"design_effect"`  // factor by which clustering raises the variance
	Tells        float64 `json:"tells"`          // half of the 95 % interval: a true difference this large is found every second time
	Detects      float64 `json:"detects"`        // found four times in five
	Asks         float64 `json:"asks"`           // share of the model's judged responses that ask instead of answering
}

// Wins and OverRandom are what [Paired] compares besides the conditions.
const (
	Wins       = "win"
	OverRandom = "gap"
)

// checks adds the tests that need no further model call.
func (e *Evaluation) checks(in Input) {
	e.pairedTests(in)
	e.winChecks(in)
	e.grounding(in)
	e.reliability(in)
	e.diversity(in)
}

// pairedTests compares the models with each other.
func (e *Evaluation) pairedTests(in Input) {
	e.winCells(in)
	last := len(in.Models) - 1
	for _, what := range []string{QExperimental, QExperimental + "/" + Top1, QRandom, OverRandom, PositiveExperiment, Wins} {
		for a := 0; a < last; a++ {
			for b := a + 1; b <= last; b++ {
				if in.Kind == Iterations && a > 0 && b > a+1 { // from m0 to each, and from each to the next
					continue
				}
				x, okX := e.cell(in.Models[a].Name, what)
				y, okY := e.cell(in.Models[b].Name, what)
				if !okX || !okY {
					continue
				}
				if p, ok := in.paired(what, in.Models[a].Name, in.Models[b].Name, x, y); ok {
					e.Result.Paired = append(e.Result.Paired, p)
				}
			}
		}
	}
}

// winChecks says what else can be said of the win rates.
func (e *Evaluation) winChecks(in Input) {
	for _, w := range e.Result.WinRate {
		if w.N == 0 {
			continue
		}
		c, _ := e.cell(w.Model, Wins)
		obs := c.observations(in, nil, 0)
		est := stats.Mean(obs)
		check := WinCheck{Model: w.Model, P: est.P(0.5), DesignEffect: est.DesignEffect(), Boot: boot(obs, 0.5, in.resampling(Wins, w.Model))}
		check.WilsonLow, check.WilsonHigh = stats.Wilson(est.Mean, est.N)
		power := stats.PowerOf(est, est.N)
		check.Tells, check.Detects = power.HalfWidth, power.Detectable
		check.Asks = e.asksInstead(in, w.Model)
		e.Result.WinChecks = append(e.Result.WinChecks, check)
	}
}

// asksInstead is the share of a model's responses that ask.
func (e *Evaluation) asksInstead(in Input, model string) float64 {
	asks, n := 0, 0
	for m := range in.Models {
		if in.Models[m].Name != model {
			continue
		}
		for _, c := range e.compared {
			if c.responses[m] == "" {
				continue
			}
			n++
			if _, ok := in.asks(c.responses[m]); ok {
				asks++
			}
		}
	}
	return float64(asks) / float64(max(n, 1))
}

// reliability measures the reward on the test split, where nothing is trained on it.
func (e *Evaluation) reliability(in Input) {
	neg := e.cells[cellKey{in.Models[0].Name, Negative, All}]
	for m, model := range in.Models {
		r := ReliabilityOf(model.Name, in.Test.Name, in.Config.Seed, in.Truth, e.Rated[m], func(i int) (float64, bool) { return neg.value[i], neg.ok[i] })
		if r.Pairs > 0 {
			e.Result.Reliability = append(e.Result.Reliability, r)
		}
	}
}

// cell looks a quantity of a model up; the gap is made of two.
func (e *Evaluation) cell(model, what string) (cell, bool) {
	switch what {
	case OverRandom:
		own, okOwn := e.cells[cellKey{model, QExperimental, All}]
		other, okOther := e.cells[cellKey{model, QRandom, All}]
		if !okOwn || !okOther {
			return cell{}, false
		}
		return own.minus(other), true
	case QExperimental + "/" + Top1:
		c, ok := e.cells[cellKey{model, QExperimental, Top1}]
		return c, ok
	}
	c, ok := e.cells[cellKey{model, what, All}]
	return c, ok
}

// winCells puts the verdicts beside the conditions: 1, ½ or 0 for each judged pair.
func (e *Evaluation) winCells(in Input) {
	for m := range in.Models {
		if m == 0 || len(e.compared) == 0 {
			continue
		}
		c := newCell(len(in.Test.Pairs))
		pairs, verdicts := e.verdicts(in, m)
		for k, v := range verdicts {
			if value, ok := in.counted(v); ok {
				c.set(pairs[k], value, 1)
			}
		}
		e.cells[cellKey{in.Models[m].Name, Wins, All}] = c
	}
}

func (in Input) paired(what, a, b string, x, y cell) (Paired, bool) {
	obs := y.observations(in, &x, 0)
	if len(obs) == 0 {
		return Paired{}, false
	}
	p := pairedOf(what, a, b, obs, in.resampling("paired", what, a, b))
	if what == Wins {
		p.discordant(x, y)
	}
	return p, true
}

func pairedOf(what, a, b string, differences []stats.Observation, r stats.Resampling) Paired {
	est := stats.Mean(differences)
	p := Paired{What: what, A: a, B: b, N: est.N, Diff: est.Mean, SEM: est.SEM, P: est.P(0), Boot: boot(differences, 0, r)}
	p.Low, p.High = est.Interval()
	return p
}

// discordant counts the pairs that one wins and the other does not.
func (p *Paired) discordant(x, y cell) {
	onlyA, onlyB := 0, 0
	for i := range x.ok {
		if !x.ok[i] || !y.ok[i] {
			continue
		}
		switch a, b := x.value[i] == 1, y.value[i] == 1; {
		case a && !b:
			onlyA++
		case b && !a:
			onlyB++
		}
	}
	exact := stats.NewMcNemar(onlyA, onlyB).Exact
	p.OnlyA, p.OnlyB, p.McNemar = &onlyA, &onlyB, &exact
}

func boot(obs []stats.Observation, null float64, r stats.Resampling) *Boot {
	interval, p, ok := stats.Cross(obs).Studentised(r, null)
	if !ok {
		return nil
	}
	return &Boot{interval.Low, interval.High, p}
}
