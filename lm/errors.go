package lm

import "errors"

// Errors callers branch on; drivers wrap them with what they know about the request.
var (
	// ErrContextLength: prompt (and target) do not fit the model's context.
	ErrContextLength = errors.New("the model's context is too short for this request")
	// ErrRefused: the provider declined to answer.
	ErrRefused = errors.New("the model refused")
	// ErrCannotScore: this model cannot give log-probabilities of a given text.
	ErrCannotScore = errors.New("this model cannot score a given text")
	// ErrEmptyTarget: an empty text has no score worth having (the authors' empty gold lifted every mean).
	ErrEmptyTarget = errors.New("nothing to score: the target is empty")
	// ErrNoLoss: a training example carries loss on no token.
	ErrNoLoss = errors.New("no token of the example carries loss")
	// ErrNonFinite: a loss or a gradient became NaN or infinite.
	ErrNonFinite = errors.New("loss or gradient is not finite")
)
