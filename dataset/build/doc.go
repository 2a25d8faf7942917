// Package build makes the data of a run: tasks from files, personas and gold responses from
// models (paper §4).
//
// # Vocabulary
//
//   - A [Task] or [Persona] belongs to a split: A, B or test. Pairs exist within splits only,
//     so only they need a gold response: 25,500 instead of 60,500 at the paper's size.
//   - A source entry that is not kept is listed with its place and the reason. Nothing is
//     dropped in silence.
//   - Two texts are near-duplicates when the Jaccard similarity of their character shingles
//     reaches a threshold. A cluster of them is dealt to one split, never to two.
//   - A slot is a place for a persona. It is filled by the first draw without a [Flaw]; a
//     slot whose draws are used up stays open and is listed.
//   - A gold is excluded when every draw was empty, refused or truncated. An excluded pair
//     takes its whole task or persona out of a run, which is for the user to decide: the
//     pair is listed with every reason.
//
// # Money
//
// Models are asked through an [lm.Generator] that journals what it returns (package ledger),
// so that a killed build goes on where it was. What is drawn depends on the seed, the slot
// or pair, and the number of the draw alone; all of it can be asked for ahead of time, which
// is what [Ahead] is for: a batch API answers a wave of requests into the ledger, and the
// build then finds them there.
//
// # Directory
//
// A [Directory] holds tasks.jsonl, personas.jsonl and gold.jsonl, which stargate run reads,
// with a report beside each of them, and the ledger.
package build
