// Package kernel holds the arithmetic of the embedded engine: float32 matrix products on
// packed panels, and the vector functions of a decoder.
//
// Matrices are row-major with a row stride ("leading dimension", ld) in elements. A
// right-hand matrix is packed once into panels of [PanelWidth] columns ([Packed]); weights
// are packed when a model is loaded, and after every optimiser step. Weights that shall not be
// in memory twice stay as their file holds them, also in 16 bits ([Stored]).
//
// Every kernel exists twice. The functions in *_ref.go are the specification: obvious
// loops. On amd64 the same functions run assembly that avogen/ writes, chosen at run time
// ([Level]): AVX2 with FMA, and products in AVX-512 where the processor has it. Both give
// the same bits. Elsewhere, or with STARGATE_KERNEL=portable in the environment, the loops
// themselves run. Tests and fuzzers hold the two together.
//
// The contract that makes scores reproducible: an element of a product is one chain of
// fused multiply-adds over k, cut into blocks by a function of K alone. Its bits do not
// depend on how many rows are computed at once, on their neighbours, on the range of
// panels, or on the number of workers.
package kernel
