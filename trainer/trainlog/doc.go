// Package trainlog reads the output of training programs: which step they are at, its loss and
// learning rate, and the losses on held-out data.
//
// A [Parser] is fed lines and keeps an [lm.TuneLog]. It knows
//
//   - the dictionaries that transformers' Trainer prints, and with it TRL, axolotl and
//     LLaMA-Factory: {'loss': 1.23, 'grad_norm': 0.5, 'learning_rate': 1e-05, 'epoch': 0.1};
//   - JSON lines with "step" (or "global_step", "current_steps") and "loss", as `stargate tune
//     --json` and LLaMA-Factory's trainer_log.jsonl have them;
//   - tqdm's bars ("12/185 [00:31<…"), for the step that a dictionary does not say;
//   - any other line through regular expressions of the user's with the groups step, total,
//     loss, lr, grad_norm and eval_loss.
//
// transformers also leaves the whole history in trainer_state.json, which is exact where a
// printed line is rounded; [ReadState] reads it.
package trainlog
