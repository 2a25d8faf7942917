// Package stats is what an evaluation says about chance.
//
// # Vocabulary
//
//   - An [Observation] is one value of one pair. It belongs to a task and to a persona, and
//     values that share either go together: they are crossed clusters.
//   - An [Estimate] is a mean with its clustered standard error; [Estimate.Interval] is its
//     95 % interval by Student's t.
//   - A [Crossed] holds observations for resampling. For a mean the effects of tasks, of
//     personas and of pairs are drawn again ([Crossed.Studentised]), for any other statistic
//     the tasks and personas themselves ([Crossed.Percentile]); never single values.
//   - A comparison of two systems is paired: the difference is taken pair by pair first.
//     [McNemar] is the paired test for yes-or-no outcomes as if pairs were independent; the
//     clustered one is [Estimate.P] of the differences.
//   - Raters agree more or less: [Ratings] has Cohen's and Fleiss' κ and Krippendorff's α.
//
// Everything is deterministic: resampling draws from streams named by seed and replicate,
// so that the number of processors changes no digit.
//
// How often the intervals cover the truth is measured in docs/bench/coverage.md.
package stats
