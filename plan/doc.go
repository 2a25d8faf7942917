// Package plan forecasts what a run will cost before anything is spent: calls, tokens,
// money and hours, per stage and role.
//
// What is known is counted, not guessed: the number of turns of every pair's conversations
// is drawn from the run's seed, and the first prompt of every pair is rendered and counted.
// What the models will say is not known. A [Shape] says how long it is, per turn: assumed
// ([Assume]) or measured on a few pairs ([Pilot]). A forecast lists what it rests on.
//
// A pilot knows the base model only. Models that have learned may ask longer or shorter
// questions, and repeat themselves more: calls that repeat are made once.
package plan
