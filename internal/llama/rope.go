package llama

import (
	"math"

	"stargate/internal/kernel"
)

// rope holds the rotary embedding's cosines and sines (Su et al. 2021, section 3.2.2), one
// row of HD/2 angles per position, in the half-split layout of Hugging Face: element i of a
// head is paired with element i+HD/2. Scaled frequencies may come with a factor for both
// ([Config.RopeScaling]).
//
// It is read-only after construction and shared by training and inference.
type rope struct {
	half     int       // HD/2
	cos, sin []float32 // (positions, HD/2)
}

// newRope tabulates positions 0..positions-1. Angles are computed in float64.
func newRope(c Config, positions int) *rope {
	frequencies, magnitude := c.frequencies()
	half := len(frequencies)
	r := &rope{half: half, cos: make([]float32, positions*half), sin: make([]float32, positions*half)}
	for i, w := range frequencies {
		for pos := range positions {
			sin, cos := math.Sincos(float64(pos) * w)
			r.cos[pos*half+i], r.sin[pos*half+i] = float32(cos*magnitude), float32(sin*magnitude)
		}
	}
	return r
}

// apply rotates x, a row of heads adjacent heads of headDim elements, to position pos.
// A sign of +1 rotates forward; -1 rotates back, which is the gradient.
func (r *rope) apply(x []float32, heads, headDim, pos int, sign float32) {
	at := pos * r.half
	kernel.Rotate(x, r.cos[at:at+r.half], r.sin[at:at+r.half], heads, headDim, sign)
}
