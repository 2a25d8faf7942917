// Package command is the trainer that is any program: TRL, axolotl, LLaMA-Factory, a script of
// the user's under torchrun, `stargate tune`, here or as a Slurm job.
//
// # Vocabulary
//
//   - A [Template] is a directory of files that says how to run a program: template.yaml, and
//     configuration files with Go's text/template in them. Several are built in ([Templates]).
//   - [Fields] are what a template may use: paths, hyperparameters, the user's options. A name
//     that is not among them is an error, and so is an option that nobody gave.
//   - An attempt is one start of the program. An attempt that fails is followed by another,
//     which goes on from the last complete checkpoint where the program can.
//   - A launcher starts attempts, looks for them, and ends them: as a process group on this
//     machine, or as a Slurm job.
//
// # What a program gets
//
// The training set is written in tokens with the labels of the tokens to train on, so no
// program renders a chat template or builds a mask of its own: it is exactly the embedded
// engine's mask, whatever the framework. Each template says how that reaches the program
// (its field mask). Held-out rows are a file of their own.
//
// # What survives
//
// A program runs under a small shell script that writes down its exit status, and logs into a
// file; nothing of it hangs on this process. After kill -9 of this process Train finds the
// program, or what it left, and goes on watching it: it is never started twice. A process on
// this machine is found by a file lock that it and everything it starts hold, a Slurm job by
// its id, or by a unique name where the id was not yet written down.
//
// When the context ends, the program is ended with all that it started: SIGTERM, a time to
// settle, SIGKILL; processes that left its process group too.
package command
