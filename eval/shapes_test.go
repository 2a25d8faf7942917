package eval

import (
	"strings"
	"testing"
)

// told builds a result from Q-experimental and Q-random by model and the last win rates.
func told(own, random []float64, wins ...WinRate) *Result {
	r := &Result{Experiment: "nano", WinRate: wins}
	for i := range own {
		m := "m" + string(rune('0'+i))
		r.Models = append(r.Models, m)
		r.GoldLogProb = append(r.GoldLogProb,
			GoldLogProb{Condition: QExperimental, Subset: All, Model: m, Mean: own[i], SEM: 0.5, Delta: own[i] - own[0], DeltaLow: own[i] - own[0] - 1, DeltaHigh: own[i] - own[0] + 1},
			GoldLogProb{Condition: QRandom, Subset: All, Model: m, Mean: random[i], SEM: 0.5, Delta: random[i] - random[0], DeltaLow: random[i] - random[0] - 1, DeltaHigh: random[i] - random[0] + 1})
	}
	return r
}

func seen(s Shape) string {
	switch {
	case s.Seen == nil:
		return "null"
	case *s.Seen:
		return "true"
	}
	return "false"
}

// The paper's own numbers show (a): −359.8 → −339.2 against −370.0 → −356.2.
func TestPaperShowsShapeA(t *testing.T) {
	s := Shapes(told([]float64{-359.8, -350.9, -344.7, -339.2}, []float64{-370.0, -363.5, -359.7, -356.2}), nil)[0]
	if seen(s) != "true" || !strings.Contains(s.Evidence, "gap 10.20 → 12.60 → 15.00 → 17.00") || !strings.Contains(s.Evidence, "gain 20.60 [19.60, 21.60] against 13.80 [12.80, 14.80]") {
		t.Errorf("%s: %s", seen(s), s.Evidence)
	}
}

func TestShapeA(t *testing.T) {
	flat := []float64{-20, -20, -20}
	gaps := func(high ...float64) *Optimum {
		o := &Optimum{GoldLogProb: -8, Reached: "m1"}
		for i, h := range high {
			o.Gaps = append(o.Gaps, Gap{Model: "m" + string(rune('0'+i)), High: h})
		}
		return o
	}
	for name, c := range map[string]struct {
		r       *Result
		optimum *Optimum
		want    string
	}{
		"rises":                         {told([]float64{-18, -12, -9}, flat), nil, "true"},
		"falls once":                    {told([]float64{-18, -9, -12}, flat), nil, "false"},
		"stays at the optimum":          {told([]float64{-18, -8, -8.1}, flat), gaps(-9, 0.1, 0.1), "true"},
		"falls from the optimum":        {told([]float64{-18, -8, -12}, flat), gaps(-9, 0.1, -3), "false"},
		"the random gap does not widen": {told([]float64{-18, -12, -9}, []float64{-20, -12, -9}), nil, "false"},
		"one model":                     {told([]float64{-18}, []float64{-20}), nil, "null"},
		"random not measured":           {&Result{Models: []string{"m0", "m1"}}, nil, "null"},
	} {
		c.r.Optimum = c.optimum
		if s := Shapes(c.r, nil)[0]; seen(s) != c.want {
			t.Errorf("%s: %s, want %s (%s)", name, seen(s), c.want, s.Evidence)
		}
	}
}

func TestShapesOfWinRates(t *testing.T) {
	up, down := []float64{-18, -9}, []float64{-20, -20}
	win := func(rate, low, high float64) WinRate {
		return WinRate{Model: "m1", Rate: rate, Low: low, High: high, N: 100}
	}
	main := told(up, down, win(0.7, 0.6, 0.8))
	ablations := map[string]*Result{
		"no-regularization": told(up, down, win(0.23, 0.18, 0.28)),
		"gold-response":     told([]float64{-18, -8.5}, down, win(0.45, 0.4, 0.5)),
		"response-model":    told(up, down, win(0.54, 0.49, 0.6)),
	}
	for id, want := range map[string]string{"b": "true", "c": "true", "d": "true", "e": "true", "f": "null"} {
		for _, s := range Shapes(main, ablations) {
			if s.ID == id && seen(s) != want {
				t.Errorf("(%s) with ablations: %s, want %s (%s)", id, seen(s), want, s.Evidence)
			}
		}
	}
	for _, s := range Shapes(main, nil)[2:] {
		if s.Seen != nil || !strings.HasPrefix(s.Evidence, "needs") {
			t.Errorf("(%s) without ablations: %s (%s)", s.ID, seen(s), s.Evidence)
		}
	}
	// An interval that holds one half shows neither (b) nor (c).
	unsure := told(up, down, win(0.55, 0.45, 0.65))
	if s := Shapes(unsure, map[string]*Result{"no-regularization": unsure}); seen(s[1]) != "false" || seen(s[2]) != "false" {
		t.Errorf("unsure: %+v", s[1:3])
	}
	// A run that is an ablation is judged as one; (d) needs the main run beside it.
	self := told(up, down, win(0.23, 0.18, 0.28))
	self.Experiment = "nano+no-regularization"
	if s := Shapes(self, nil)[2]; seen(s) != "true" {
		t.Errorf("the ablation itself: %s (%s)", seen(s), s.Evidence)
	}
	self.Experiment = "nano+gold-response"
	if s := Shapes(self, nil)[3]; seen(s) != "null" {
		t.Errorf("gold-response alone: %s (%s)", seen(s), s.Evidence)
	}
	if s := Shapes(told(up, down), map[string]*Result{"no-regularization": told(up, down)}); seen(s[1]) != "null" || seen(s[2]) != "null" {
		t.Errorf("nothing judged: %+v", s[1:3])
	}
}
