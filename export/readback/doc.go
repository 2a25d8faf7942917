// Package readback says what other trainers make of a row of data: which tokens they put
// together, and which of them they train on. It is how an export is checked before anybody pays
// for a training run, and how a file of any of these formats is looked at afterwards.
//
// The rules are those of the trainers' documentation and source, each named where it is
// applied, at these versions:
//
//	TRL            f2cd5771 (2026-07-24)   docs/source/{sft_trainer,dataset_formats}.md, trl/trainer/{sft,dpo}_trainer.py
//	axolotl        067b021c (2026-07-24)   docs/dataset-formats/{conversation,tokenized}.qmd, prompt_strategies/chat_template.py
//	LLaMA-Factory  ff6d4d12 (2026-08-18)   data/README.md, src/llamafactory/data/{converter,template,processor/supervised}.py
//	OpenAI         API reference 2.3.0     FineTuneChatRequestInput: messages, and weight 0 or 1 of an assistant message
//
// They are about rows that are trained on alone. Packing, shuffling and padding change which
// rows share a batch, not which tokens are trained.
//
// # Vocabulary
//
//   - A [Row] is tokens with their weights in the loss: Weights[i] is the weight of predicting
//     IDs[i] from the tokens before it, 0 for none. So the first is always 0.
//   - A row that a trainer leaves out, or stops at, is an error: [ErrDropped] or [ErrRefused].
//   - A tail is what a template puts behind the token that ends a turn, usually a line break. A
//     model in use never has to write it, yet most trainers train on it.
package readback
