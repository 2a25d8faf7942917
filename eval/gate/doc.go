// Package gate decides whether a run is good enough to release: requirements over what it
// measured, such as
//
//	winrate.m2.lower > 0.5 and questions.last.relevant >= 0.8
//
// # Vocabulary
//
//   - [Values] are the numbers and truths of a run under dotted names ([Of]).
//   - A [Requirement] is an expression over names that is true or false: numbers, names,
//   - - * /, < <= > >= == !=, and, or, not, parentheses, abs, min and max. It has no
//     loops, no functions of its own and no way out; it is compiled by
//     github.com/expr-lang/expr after everything else was refused.
//   - A requirement that names something the run did not measure is neither met nor
//     missed: it cannot be decided ([ErrUndecided]), and a gate must not open.
package gate
