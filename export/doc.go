// Package export writes training examples for other people's trainers, and proves for every row
// that the trainer will train on the tokens that the example says and on no others.
//
// # Vocabulary
//
//   - An [Example] is canonical: messages, the tokens they become in the model's chat template,
//     and a weight for each token. Weight i is that of predicting token i from those before it;
//     0 is not trained. [Encode] makes one of an [stargate/lm.Example], [Writer] and [Reader] keep
//     them in lines (docs/example.schema.json), the format "parquet" in columns.
//   - A [Format] is a trainer's kind of file. [Write] derives its rows from examples.
//   - Rules say what a trainer makes of a row (package readback). Write reads every row again by
//     the rules of its trainer, and [Compare] holds the result against the example.
//   - A [Difference] is where the two are not the same. An export with one is refused with
//     [ErrLossy] and the reason, unless the caller wants it all the same.
//   - [Audit] asks whether examples may be trained on at all: nothing cut off, no end of a turn
//     lost, no weight on a prompt. [Look] asks it of a file in a trainer's own format. [Drawing]
//     shows a mask.
//   - A [Weighting] makes better conversations count more; a [Preference] is a choice between two
//     questions. Both go beyond the paper, and are off unless asked for.
//
// Everything streams: files of any length are written, read and audited with one example in
// memory, and 24 bytes for each key. The same examples give the same bytes.
package export
