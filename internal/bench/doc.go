// Command bench prints one table: the speed and memory of the embedded engine on config S,
// beside a plain model in PyTorch (peer_torch.py) and OpenBLAS where the machine has them.
//
//	go run ./internal/bench                 two threads, five rounds
//	go run ./internal/bench -cpu            one thread, the processor's time: for a busy machine
//	go run ./internal/bench -only decode    some rows
//	go run ./internal/bench -models         shapes of published models, with their memory
//	go run ./internal/bench -large          a model larger than half of 24 GiB: open, two tokens
//	go run ./internal/bench -prefix         what the prefix cache saves of a nano iteration
//
// Each number is taken in a process of its own, ours and the peers' in turns; the table
// shows medians over the rounds, and a ratio is the median of the ratios within a round.
// The peer is PyTorch as it is. "Tuned" is the same with a malloc that keeps what it has
// freed and with OpenMP's threads asleep while OpenBLAS has work for its own: each helps it
// much. "met" is said of both. The peer of a product is OpenBLAS.
package main
