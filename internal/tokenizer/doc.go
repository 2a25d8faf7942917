// Package tokenizer is byte-level BPE as GPT-2 introduced it: text is cut into words by a
// fixed pattern, the bytes of a word are spelled in 256 printable characters, and the
// characters are merged by a learned table of ranks.
//
// [Load] reads Hugging Face's tokenizer.json and [Tokenizer.MarshalJSON] writes it;
// [Train] learns a table. Added tokens (such as the markers of a chat template) are
// matched before anything else and are never split.
package tokenizer
