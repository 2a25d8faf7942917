// Package gguf reads GGUF files, versions 2 and 3: the format of llama.cpp, in which one file
// holds a model's settings, its vocabulary and its weights, often quantised.
//
// [Read] opens a file and [File.Decode] gives a tensor in float32, whatever it is stored as.
// [File.Model] shows the same file as a Hugging Face directory would: config.json,
// tokenizer.json and the tensors under the names and in the row order of transformers. What
// a model predicts then is what the quantised model predicts: close to, and not the same as,
// what the weights it was made of do.
//
// Formats: github.com/ggml-org/ggml/blob/master/docs/gguf.md (layout and metadata keys),
// ggml/src/ggml-common.h (blocks of quantised weights).
package gguf
