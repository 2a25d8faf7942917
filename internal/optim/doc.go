// Package optim updates parameters from gradients: AdamW with decoupled weight decay
// (Loshchilov & Hutter 2019), clipping by the global norm (Pascanu et al. 2013) and a
// cosine learning rate with linear warm-up.
//
// It knows slices, not models. Updates have the same bits for any number of workers.
package optim
