// Package lora is low-rank adaptation (Hu et al., 2021): a matrix W of a frozen model becomes
// W + s·B·A, where A is (r, in), B is (out, r) and the scale s is alpha/r. Only A and B are
// trained.
//
// An [Adapter] knows nothing of a network. It reads matrices by Hugging Face's names, writes
// the adapted ones into a second set ([Adapter.Merge]), and turns the derivatives of those into
// derivatives of A and B ([Adapter.Gradient], the definition; package llama trains A and B
// without the derivatives of W). The files are those of Hugging Face's PEFT
// library ([Adapter.Save], [Open]), so that vLLM, SGLang and transformers load what was trained
// here.
package lora
