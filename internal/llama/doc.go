// Package llama is the embedded engine's decoder: RMSNorm, rotary positions, grouped-query
// attention and SwiGLU in float32, as in Llama 2 and 3, Mistral, Qwen2 and Qwen3, and in models
// of their shapes such as TinyLlama and SmolLM2. What distinguishes the families (biases, norms
// of heads, sliding windows, scaled rotations) are switches of [Config].
//
// Training (forward and hand-derived backward over packed sequences) and inference (paged
// key/value cache, batches of spans) share the weights of one [Model]. The package knows
// token ids only; text is the business of lm/local.
package llama
