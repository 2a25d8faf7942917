// Package stargate is STaR-GATE: Teaching Language Models to Ask Clarifying Questions
// (Andukuri, Fränken, Gerstenberg, Goodman, 2024), Algorithm 1 as a Go function.
//
// The vocabulary is the paper's. A [Questioner] asks a [Roleplayer] about a task; the
// Roleplayer answers from a [Persona] that the Questioner cannot see. A [Conversation] is
// worth what the frozen base model [Base] makes of it: the log-probability of the [Pair]'s
// gold response. The best conversations, with the model's own greedy responses, become the
// [lm.Example] values a new model is tuned on — always from [Base].
//
// Three of the paper's conditions are types here, so that breaking them does not compile:
//
//   - [Questioner.Ask] has no parameter for a persona;
//   - only [Base] can score and be tuned, a policy is a plain [lm.Generator];
//   - a [Roleplayer] is a value of [Input], the same for every iteration.
//
// The package does no input or output and reads no clock: models come in as interfaces of
// package lm, and everything random is a hash of names ([Seed]). Read [Run] first.
package stargate
