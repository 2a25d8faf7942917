// Package trainer fine-tunes with whatever the user trusts: the embedded engine
// (trainer/embedded), any program (trainer/command, with templates for TRL, axolotl,
// LLaMA-Factory, torchrun and Slurm), or a server that speaks Tinker's protocol
// (trainer/tinker).
//
// # Vocabulary
//
//   - A [Job] is one fine-tune: a base model, a training set in tokens (package trainset), and
//     hyperparameters. Which tokens carry loss is decided before a trainer sees the job.
//   - A [Trainer] makes a [Result] of a job: a directory with either a whole model in Hugging
//     Face's layout or a low-rank adapter in PEFT's. The directory appears whole or not at all.
//   - The work directory ([Work]) is where a trainer keeps everything until then: dataset,
//     configuration, log, checkpoints. It belongs to one job, named by a hash of all that
//     determines the result, and to one process at a time. Train with the same job again goes
//     on where an earlier process was stopped, kill -9 included, and returns a finished result
//     at once.
//   - A [Tuner] wraps a trainer as an [lm.Tuner].
package trainer
