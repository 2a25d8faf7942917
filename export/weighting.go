package export

import (
	"fmt"
	"math"
)

// Weighting is how much each example counts. The paper's choice, and the default, is [Uniform]:
// every selected conversation counts the same, and how much better than the others it was is
// forgotten. The other two keep that. They go beyond the paper.
type Weighting struct {
	Kind        string  // "uniform", "margin" or "exp"
	Temperature float64 // of exp, in nats per gold token
	Most        float64 // no example counts more than so many times the mean, before the last normalisation
}

// Uniform is the paper's weighting.
var Uniform = Weighting{Kind: "uniform"}

// Weightings are the kinds.
func Weightings() []string { return []string{"uniform", "margin", "exp"} }

// String says what was done, for an example's provenance; "" for the default.
func (w Weighting) String() string {
	switch w.Kind {
	case "margin":
		return fmt.Sprintf("margin, at most %g", w.Most)
	case "exp":
		return fmt.Sprintf("exp(margin/%g), at most %g", w.Temperature, w.Most)
	}
	return ""
}

func (w Weighting) validate() error {
	switch w.Kind {
	case "uniform":
		return nil
	case "margin", "exp":
	default:
		return fmt.Errorf("weights %q: the kinds are %v", w.Kind, Weightings())
	}
	switch {
	case !(w.Most >= 1):
		return fmt.Errorf("the most an example may count is %g times the mean, want at least 1", w.Most)
	case w.Kind == "exp" && !(w.Temperature > 0):
		return fmt.Errorf("the temperature of exp is %g, want a number above 0", w.Temperature)
	}
	return nil
}

// leastWeight keeps an example that was no better than its fellows in the file, with hardly an
// effect: every selected conversation stays visible.
const leastWeight = 1e-3

// Of gives a weight for each example, of mean 1, so that the learning rate keeps its meaning.
// A margin is how much better the chosen conversation was than the mean of its pair's, in nats
// per token of the gold response: comparable between golds of any length.
//
//	uniform  1
//	margin   in proportion to the margin, as in reward-weighted regression (Peters and Schaal, 2007)
//	exp      in proportion to exp(margin/Temperature), as in advantage-weighted regression (Peng et al., 2019)
func (w Weighting) Of(margins []float64) ([]float64, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	out := make([]float64, len(margins))
	top := math.Inf(-1)
	for i, m := range margins {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return nil, fmt.Errorf("margin %d is %g, want a number", i, m)
		}
		top = max(top, m)
	}
	for i, m := range margins {
		switch w.Kind {
		case "margin":
			out[i] = max(m, 0)
		case "exp":
			out[i] = math.Exp((m - top) / w.Temperature) // the scale goes in the normalisation
		default:
			out[i] = 1
		}
	}
	if w.Kind == "uniform" {
		return out, nil
	}
	if !normalise(out) { // no margin is above 0: nothing to tell them apart by
		for i := range out {
			out[i] = 1
		}
		return out, nil
	}
	for i := range out {
		out[i] = min(max(out[i], leastWeight), w.Most)
	}
	normalise(out)
	return out, nil
}

// normalise divides by the mean; false if that is 0.
func normalise(xs []float64) bool {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	if !(sum > 0) {
		return false
	}
	for i := range xs {
		xs[i] *= float64(len(xs)) / sum
	}
	return true
}
