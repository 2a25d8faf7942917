// Package tokenizer is byte-pair encoding as language models have it: text is normalized, cut
// into words, and the symbols of a word are merged by a learned table of ranks. The symbols
// are bytes spelled in 256 printable characters, as GPT-2 introduced it (Llama 3, Qwen,
// SmolLM), or characters with the bytes of unknown ones as a fallback, as SentencePiece does
// (Llama 2, Mistral, TinyLlama, Phi-3, Gemma).
//
// [Load] reads Hugging Face's tokenizer.json and refuses by name whatever it does not know;
// [Tokenizer.MarshalJSON] writes it; [Train] learns a table. Added tokens (such as the markers
// of a chat template) are matched before anything else and are never split.
//
// The ids are those of Hugging Face's Rust library: testdata/golden.json was frozen from it for
// the file this package writes and for the schemes of other byte-level models,
// testdata/sentencepiece_golden.json for those in the manner of SentencePiece, and
// testdata/foreign.mjs does the same for any model's file.
package tokenizer
