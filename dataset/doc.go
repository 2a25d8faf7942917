// Package dataset reads a user's tasks, personas and gold responses and makes the paper's
// three splits of them (§4): A and B to train on in turn, and test.
//
// Files are JSON arrays, JSONL, CSV or Parquet; the layout of the authors' repository is understood
// too (personas as an array of texts with their names beside them, gold responses as an
// object of "prompt-{i} persona-{j}" keys). Where a file gives its entries a split, [Given]
// keeps it; elsewhere [Make] deals. Nothing is skipped in silence: [Tasks] and
// [Personas] return what they dropped, and a pair without a gold response is an error.
package dataset
