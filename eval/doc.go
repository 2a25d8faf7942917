// Package eval is section 5 of the paper: what the test split says about the models of a
// run.
//
// Gold log-probabilities are measured under Q_BASE, whatever model asked, in five
// conditions (PROTOCOL §4): "neg" and "pos" are the controls without and with the persona,
// "qa" is Q-experimental (the conversation of the pair), "rand" is Q-random (the
// conversation another persona had about the task), "pos+qa" gives persona and
// conversation. Win rates compare each model's greedy response with m0's, on conversations
// of the same pair and length.
//
// Errors are honest: a pair is one observation however often it was sampled, and standard
// errors are clustered by task and by persona ([stats.Mean]).
package eval
