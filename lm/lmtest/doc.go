// Package lmtest helps to test drivers of package lm, and code that uses models.
//
// [Conform] is the suite that every driver runs: it checks the contracts written in
// package lm. [Script] is a model whose answers are functions or tables, for tests that
// need a model but not a language model.
package lmtest
