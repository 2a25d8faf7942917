package eval

import "stargate/eval/stats"

// cell collects one condition's value for each pair, in the order of the test split. A
// pair without a value is left out of the mean, and of differences from this cell.
type cell struct {
	value    []float64
	perToken []float64
	ok       []bool
	lost     []int // contexts that did not fit the base model, by pair
}

// cellKey names a cell: whose conversations, in what condition.
type cellKey struct{ model, condition, subset string }

func newCell(n int) cell {
	return cell{make([]float64, n), make([]float64, n), make([]bool, n), make([]int, n)}
}

func (c cell) set(i int, value float64, tokens int) {
	c.value[i], c.perToken[i], c.ok[i] = value, value/float64(max(tokens, 1)), true
}

// observations pairs c with base where both have a value; without base they are c's own.
// turns restricts them to one length of conversation; 0 takes all.
func (c cell) observations(in Input, base *cell, turns int) []stats.Observation {
	var obs []stats.Observation
	for i, ok := range c.ok {
		p := in.Test.Pairs[i]
		if !ok || base != nil && !base.ok[i] || turns > 0 && in.turns(p) != turns {
			continue
		}
		v := c.value[i]
		if base != nil {
			v -= base.value[i]
		}
		obs = append(obs, stats.Observation{Task: p.Task.ID, Persona: p.Persona.ID, Value: v})
	}
	return obs
}

// minus is c less another cell, where both have a value.
func (c cell) minus(other cell) cell {
	out := newCell(len(c.ok))
	for i := range c.ok {
		if c.ok[i] && other.ok[i] {
			out.set(i, c.value[i]-other.value[i], 1)
		}
	}
	return out
}

// meanPerToken is the mean over pairs of the mean log-probability of a token of the gold.
func (c cell) meanPerToken() float64 {
	sum, n := 0.0, 0
	for i, ok := range c.ok {
		if ok {
			sum, n = sum+c.perToken[i], n+1
		}
	}
	return sum / float64(max(n, 1))
}

func (c cell) totalLost() int {
	n := 0
	for _, l := range c.lost {
		n += l
	}
	return n
}
