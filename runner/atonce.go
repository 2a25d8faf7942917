package runner

import (
	"cmp"

	"stargate"
	"stargate/plan"
)

// Pairs under way at once keep servers busy: each has as many conversations as there are samples,
// and each of those one call. Too few leave places empty; many more than there are places push
// each other's prompts out of the servers' caches. Both were measured (docs/bench/fleet.md).
const (
	mostPairs = 512
	// usualPlaces are what a server is taken to work on at once where its role does not say less:
	// vLLM's default on most GPUs. More made a simulated server with 1,024 places no faster.
	usualPlaces = 256
	// usualSampler is the default of a Tinker server's concurrency.
	usualSampler = 64
)

// pairsAtOnce is how many pairs are under way at once, unless the experiment names a number of
// its own: enough for the servers that play in conversations, and at least the default. It
// changes no result.
func (e Experiment) pairsAtOnce() int {
	usual := stargate.Paper().Concurrency
	if n := e.Algorithm.Concurrency; n != 0 && n != usual {
		return n
	}
	places := map[string]int{} // by address: a server may play several roles
	for _, role := range []string{plan.Questioner, plan.Scorer, plan.Roleplayer, plan.Evaluator} {
		for _, p := range e.playing(role) {
			if !p.isRemote() {
				continue
			}
			for _, a := range p.Addresses() {
				places[a] = max(places[a], min(cmp.Or(p.Concurrency, usualPlaces), usualPlaces))
			}
		}
	}
	all := 0
	for _, n := range places {
		all += n
	}
	if k := e.Trainer.Tinker; k != nil && k.Sample {
		all += min(cmp.Or(k.Concurrency, usualSampler), usualPlaces)
	}
	c := max(e.Algorithm.Samples, 1)
	return min(max(usual, (all+c-1)/c), mostPairs)
}
