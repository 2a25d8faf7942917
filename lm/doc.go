// Package lm is the vocabulary between Algorithm 1 and the models that play its roles.
//
// A [Chat] is a list of role-tagged [Message] values. A [Generator] continues a chat with
// an assistant message drawn according to [Sampling]; a [Scorer] gives the [LogProb] of a
// given assistant message; a [Tuner] fits weights to [Example] values. Each interface has
// one verb and takes one request per call: batching, prefix sharing and retrying are the
// business of the driver behind it (lm/local, lm/remote), never of its callers.
//
// Contracts that every driver keeps, and package lmtest checks:
//
//   - A result depends on the request alone: never on batch mates, on the number of
//     concurrent callers, or on what was asked before.
//   - Sampling at temperature 0 is greedy; at any temperature the same [Sampling.Seed]
//     gives the same completion.
//   - A log-probability is the natural logarithm of the probability of exactly the
//     target's tokens in the position where the chat template puts an assistant message;
//     no end-of-sequence token is counted.
//   - A model that cannot score says [ErrCannotScore]; nothing is ever scored 0 instead.
package lm
