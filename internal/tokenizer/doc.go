// Package tokenizer is byte-level BPE as GPT-2 introduced it: text is cut into words by a
// fixed pattern, the bytes of a word are spelled in 256 printable characters, and the
// characters are merged by a learned table of ranks.
//
// [Load] reads Hugging Face's tokenizer.json as GPT-2, Llama-3, Qwen2 and SmolLM have it, and
// [Tokenizer.MarshalJSON] writes it; [Train] learns a table. Added tokens (such as the markers
// of a chat template) are matched before anything else and are never split.
//
// The ids are those of Hugging Face's Rust library: testdata/golden.json was frozen from it,
// for the file this package writes as well as for the schemes of other models.
package tokenizer
