package plan

import (
	"errors"
	"fmt"

	"stargate/lm/remote"
)

// ErrTooMuch: a forecast exceeds the limits.
var ErrTooMuch = errors.New("the run is forecast to exceed its limits")

// Within checks a forecast against limits of money and tokens. It is a warning before a run
// begins; what is hard is the budget of lm/remote.
func (f *Forecast) Within(l remote.Limits) error {
	tokens, cost := paid(f.Lines)
	switch {
	case l.Cost > 0 && cost > l.Cost:
		return fmt.Errorf("%w: it costs about %.4g, and max_cost is %.4g", ErrTooMuch, cost, l.Cost)
	case l.Tokens > 0 && tokens > l.Tokens:
		return fmt.Errorf("%w: it takes about %d tokens, and max_tokens is %d", ErrTooMuch, tokens, l.Tokens)
	}
	return nil
}

// Paid is what the forecast counts against limits: the tokens of roles that servers play, and
// all that costs money.
func (f *Forecast) Paid() (tokens int64, cost float64) { return paid(f.Lines) }

// End is where limits stop a run.
type End struct {
	Stage string  `json:"stage"`
	Done  float64 `json:"done"`  // share of the stage that is done by then
	First bool    `json:"first"` // no stage before it costs anything
	// The stage itself.
	Tokens int64   `json:"tokens"`
	Cost   float64 `json:"cost"`
}

// EndsIn is the stage in which a run with these limits is forecast to stop; false if it comes
// to its end.
func (f *Forecast) EndsIn(l remote.Limits) (End, bool) {
	var tokens int64
	var cost float64
	for i := 0; i < len(f.Lines); {
		n := i
		for n < len(f.Lines) && f.Lines[n].Stage == f.Lines[i].Stage {
			n++
		}
		t, c := paid(f.Lines[i:n])
		done := 1.0
		if l.Tokens > 0 && tokens+t > l.Tokens {
			done = min(done, float64(l.Tokens-tokens)/float64(t))
		}
		if l.Cost > 0 && cost+c > l.Cost {
			done = min(done, (l.Cost-cost)/c)
		}
		if done < 1 {
			return End{Stage: f.Lines[i].Stage, Done: max(done, 0), First: tokens == 0 && cost == 0, Tokens: t, Cost: c}, true
		}
		tokens, cost, i = tokens+t, cost+c, n
	}
	return End{}, false
}

func paid(lines []Line) (tokens int64, cost float64) {
	for _, l := range lines {
		tokens += whole(float64(l.TokensIn+l.TokensOut) * l.counted)
		cost += l.Cost
	}
	return tokens, cost
}
