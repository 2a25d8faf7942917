// Package tinker trains over HTTP, with a server that speaks the protocol of the Tinker service:
// Tinker itself, SkyRL on one's own GPUs, and others. No Python is involved, and the loss is
// weighted token by token, so masks are exact and rewards can weigh.
//
// # Protocol
//
// All routes are below /api/v1. A session holds models; a model is a low-rank adapter on a base
// model that the server knows by name. forward_backward adds the gradient of a batch, optim_step
// applies it with the learning rate of that step. Every such request is answered with an id, and
// retrieve_future with that id is asked until the result is there: status 408, or a body of type
// "try_again", means not yet. Requests of a model are numbered (seq_id), so that one sent twice
// is done once. save_weights keeps weights and optimiser for load_weights, which is how a
// training goes on in another session; save_weights_for_sampler makes the adapter that is
// sampled from and downloaded. asample draws from it ([Sampler]).
//
// The service takes money by the token: of what is trained on, of prompts, and of what is drawn. A
// job's purse ([stargate/trainer.Purse]) pays for the first before it is sent; calls of a sampler are
// the caller's to count.
//
// The facts are from the source of the public client (tinker, d595dc2b, 2026-08-08) and of
// SkyRL's server (a9564572, 2026-08-21).
//
// # Dialects
//
// Servers differ where the protocol does not say. What matters is found out at the start:
//
//   - The loss. Tinker and SkyRL's PyTorch backends sum the weighted losses of a batch; with
//     weights of 1/n that is the mean over its n trained tokens, as in the embedded engine.
//     SkyRL's JAX backend divides by each sequence's weights and averages sequences. A probe
//     with doubled weights tells the two apart, and the result has a note where the mean is
//     another.
//   - Requests sent twice. Where the server does not recognise them, a request whose answer was
//     lost is not repeated: training goes back to the last checkpoint instead.
//   - Losses of held-out rows need the route forward; where it is missing they are not told.
//   - alpha, and which optimiser settings are honoured, are the server's (SkyRL: alpha 32;
//     clipping and betas from its own configuration). A note says where the adapter differs from
//     what was asked for.
package tinker
