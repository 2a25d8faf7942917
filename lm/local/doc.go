// Package local is the embedded engine as a driver: a Hugging Face directory that
// generates, scores and is fine-tuned on the machine's own processors.
//
// A [Model] takes one request per call, from any number of goroutines, and batches inside:
//
//   - An [Engine] is the set of workers. Models that share one take turns, step by step.
//   - A step is one pass over a model's weights for all of its running sequences: one token
//     of each that generates, a chunk of each that still reads its prompt. Sequences enter
//     and leave between steps (continuous batching, Yu et al. 2022).
//   - Keys and values live in pages of 16 positions (Kwon et al. 2023). Full pages stay in a
//     tree keyed by their tokens, where later requests with the same prefix find them: the
//     samples of a pair, the turns of a conversation, the scorings of one context.
//
// None of this shows in a result. A row's bits depend on its own tokens alone (package
// llama), draws come from the request's own seed, and what is found in the tree is what
// would have been computed.
package local
