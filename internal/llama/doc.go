// Package llama is the embedded engine's decoder: RMSNorm, rotary positions, grouped-query
// attention and SwiGLU, as in Llama and Mistral, in float32.
//
// Training (forward and hand-derived backward over packed sequences) and inference (paged
// key/value cache, batches of spans) share the weights of one [Model]. The package knows
// token ids only; text is the business of lm/local.
package llama
