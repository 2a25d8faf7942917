// Package tinkertest is a server for tests that speaks the protocol of package tinker and really
// trains: low-rank adapters on a model of the embedded engine, with that engine's gradients and
// optimiser. A client that asks for the right things gets the embedded engine's fine-tune, bit
// for bit.
//
// [Server] can also speak the dialects that are about ([Dialect]) and fail in the ways that
// servers fail ([Server.Lose], [Server.Restart]).
package tinkertest
