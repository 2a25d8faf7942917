package main

import "fmt"

// unit says how a row's numbers compare.
type unit string

const (
	tokens    unit = "tok/s"
	gflops    unit = "GFLOP/s"
	mebibytes unit = "MiB"
	percent   unit = "%"
)

// row is a line of the table: what is measured and what it must reach.
type row struct {
	name    string
	unit    unit
	what    string  // the words for measure and for peer_torch.py
	packed  bool    // ours has the right-hand matrix packed before
	atLeast float64 // × the faster peer; 0: no demand
	atMost  float64 // MiB
	reaches float64 // %, of ours alone
}

// rows are those of the engine's requirements. A train step's share of the speed of sgemm is
// taken in one process, a step and products in turns, each for about a second.
var rows = []row{
	{name: "train step", unit: tokens, what: "train 3", atLeast: 2},
	{name: "train step, peak memory", unit: mebibytes, what: "train 3", atMost: 300},
	{name: "train step, of sgemm beside it", unit: percent, what: "train-share 8", reaches: 75},
	{name: "forward, all logits", unit: tokens, what: "forward 4", atLeast: 2.8},
	{name: "decode batch 1", unit: tokens, what: "decode 1 2", atLeast: 1},
	{name: "decode batch 8", unit: tokens, what: "decode 8 2", atLeast: 2.5},
	{name: "decode batch 32", unit: tokens, what: "decode 32 1", atLeast: 2},
	{name: "decode batch 128", unit: tokens, what: "decode 128 1", atLeast: 3},
	product(4096, 256, 2048, false, 0.95),
	product(4096, 256, 2048, true, 0.95),
	product(512, 512, 512, false, 0.95),
	product(512, 512, 512, true, 0.95),
	product(8, 512, 2048, false, 0),
	product(8, 512, 2048, true, 0),
	product(32, 256, 688, false, 0),
	product(32, 256, 688, true, 0),
}

func product(m, k, n int, packed bool, atLeast float64) row {
	r := row{name: fmt.Sprintf("sgemm %d×%d×%d", m, k, n), unit: gflops, what: fmt.Sprintf("sgemm %d %d %d", m, k, n),
		packed: packed, atLeast: atLeast}
	if packed {
		r.name += ", packed once"
	}
	return r
}
