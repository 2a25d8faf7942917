// Package sample draws tokens from a model's predictions: temperature, top-k and top-p
// (nucleus) sampling, or the most probable token.
//
// Tokens are ordered by probability, equal ones by id, so that every cut is the same on
// every run; each request has a random stream of its own, named by its seed.
package sample

import (
	"math"
	"math/rand/v2"
	"slices"

	"stargate/internal/kernel"
	"stargate/lm"
)

// Greedy is the id with the largest logit; of several the lowest. ok is false when a logit
// is NaN or no logit is finite, which no sound model produces.
func Greedy(logits []float32) (id int32, ok bool) {
	best := float32(math.Inf(-1))
	for i, x := range logits {
		switch {
		case x > best:
			best, id = x, int32(i)
		case x != x:
			return 0, false
		}
	}
	return id, !math.IsInf(float64(best), 0)
}

// Sampler draws the tokens of one request. It is not for concurrent use.
type Sampler struct {
	temperature float64
	topK        int
	topP        float64
	random      *rand.Rand
	p           []float32 // scratch (V)
	order       []uint64  // scratch: candidates
}

// New makes the sampler of a request.
func New(s lm.Sampling) *Sampler {
	return &Sampler{temperature: s.Temperature, topK: s.TopK, topP: s.TopP, random: rand.New(rand.NewPCG(s.Seed, stream))}
}

// stream tells the generator of token draws from other uses of the same seed.
const stream = 0x5a4d50

// Next draws one token. logits (V) are not changed. ok is false when they are not finite.
//
// Temperature comes first, then top-k, then top-p of what is left, as in Hugging Face's
// chain of warpers; the draw is by inversion over the ordered candidates, so one random
// number makes one token.
func (s *Sampler) Next(logits []float32) (id int32, ok bool) {
	best, ok := Greedy(logits)
	if !ok || s.temperature <= 0 || s.topK == 1 {
		return best, ok
	}
	if cap(s.p) < len(logits) {
		s.p = make([]float32, len(logits))
	}
	p := s.p[:len(logits)]
	copy(p, logits)
	inverse := float32(1 / s.temperature)
	total := float64(kernel.ExpSum(p, inverse, inverse*logits[best]))
	u := s.random.Float64()
	if s.topK <= 0 && (s.topP <= 0 || s.topP >= 1) {
		return draw(p, u*total), true
	}
	keep := Nucleus(s.order[:0], p, total, s.topK, s.topP)
	s.order = keep
	mass := 0.0
	for _, c := range keep {
		mass += float64(p[uint32(c)])
	}
	u *= mass
	for _, c := range keep {
		if u -= float64(p[uint32(c)]); u < 0 {
			return int32(uint32(c)), true
		}
	}
	return int32(uint32(keep[len(keep)-1])), true // rounding
}

// draw inverts the cumulative sum of p in order of ids.
func draw(p []float32, u float64) int32 {
	last := 0
	for i, x := range p {
		if x > 0 {
			last = i
			if u -= float64(x); u < 0 {
				break
			}
		}
	}
	return int32(last)
}

// Nucleus appends to dst the tokens that top-k and top-p keep, most probable first, equal
// ones by id; the id is the low half of an element. p are probabilities up to the factor
// total, their sum. At least one token is kept.
//
// Top-p keeps the smallest set whose mass is at least topP of what top-k left (Holtzman et
// al. 2020, section 3.1). topK ≤ 0 and topP outside (0, 1) keep everything.
func Nucleus(dst []uint64, p []float32, total float64, topK int, topP float64) []uint64 {
	nucleus := topP > 0 && topP < 1
	least := float32(0)
	if nucleus && topK <= 0 {
		// All tokens below this together have less than 1-topP of the mass, so that the
		// nucleus lies above; sorting the rest would be wasted. Half leaves room for rounding.
		least = float32((1 - topP) * total / float64(len(p)) / 2)
	}
	for id, x := range p {
		if x >= least {
			// Ascending keys are descending probabilities: positive floats order as integers.
			dst = append(dst, uint64(^math.Float32bits(x))<<32|uint64(id))
		}
	}
	slices.Sort(dst)
	if topK > 0 && topK < len(dst) {
		dst = dst[:topK]
		total = 0
		for _, c := range dst {
			total += float64(p[uint32(c)])
		}
	}
	if nucleus {
		mass := 0.0
		for i, c := range dst {
			if mass += float64(p[uint32(c)]); mass >= topP*total {
				return dst[:i+1]
			}
		}
	}
	return dst
}
