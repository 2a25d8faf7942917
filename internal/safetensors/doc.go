// Package safetensors reads and writes Hugging Face's safetensors files: eight bytes with
// the length of a JSON header, the header with type, shape and place of every tensor, and
// the tensors' bytes. Weights are float32 in memory; on disk they may be F32, F16 or BF16.
package safetensors
