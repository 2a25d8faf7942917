package llama

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// RopeScaling is "rope_scaling" of config.json: how rotary frequencies were changed for texts
// longer than those of the first training. Type says which of the fields count.
type RopeScaling struct {
	Type                          string  `json:"rope_type"` // one of ropeTypes
	Factor                        float64 `json:"factor,omitempty"`
	OriginalMaxPositionEmbeddings int     `json:"original_max_position_embeddings,omitempty"` // llama3, yarn
	LowFreqFactor                 float64 `json:"low_freq_factor,omitempty"`                  // llama3
	HighFreqFactor                float64 `json:"high_freq_factor,omitempty"`                 // llama3
	AttentionFactor               float64 `json:"attention_factor,omitempty"`                 // yarn
	BetaFast                      float64 `json:"beta_fast,omitempty"`                        // yarn: 32 when left out
	BetaSlow                      float64 `json:"beta_slow,omitempty"`                        // yarn: 1 when left out
	MScale                        float64 `json:"mscale,omitempty"`                           // yarn
	MScaleAllDim                  float64 `json:"mscale_all_dim,omitempty"`                   // yarn
	Truncate                      *bool   `json:"truncate,omitempty"`                         // yarn: true when left out
}

// ropeTypes are the kinds of scaling that this engine computes.
var ropeTypes = []string{"default", "linear", "dynamic", "yarn", "llama3"}

// ropeParameters is "rope_parameters", which holds the base too in newer files.
type ropeParameters struct {
	RopeScaling
	theta float64
}

// UnmarshalJSON reads rope_parameters; without a rope_type they are the default's.
func (r *ropeParameters) UnmarshalJSON(data []byte) error { return r.read(data, "default") }

// UnmarshalJSON accepts the older name "type" of rope_type.
func (r *RopeScaling) UnmarshalJSON(data []byte) error {
	var p ropeParameters
	if err := p.read(data, ""); err != nil {
		return fmt.Errorf("rope_scaling: %w", err)
	}
	*r = p.RopeScaling
	return nil
}

// read refuses a field it does not know: it may change what the model computes.
func (r *ropeParameters) read(data []byte, rope string) error {
	var kind struct {
		Type   string `json:"rope_type"`
		Legacy string `json:"type"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return err
	}
	for _, t := range []string{kind.Legacy, kind.Type} {
		if t != "" {
			rope = t
		}
	}
	if !slices.Contains(ropeTypes, rope) {
		return fmt.Errorf("%w: rope_type %q, only %q", ErrUnsupported, rope, ropeTypes)
	}
	type plain RopeScaling // without its methods
	var x struct {
		plain
		Legacy string  `json:"type"`
		Theta  float64 `json:"rope_theta"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		return fmt.Errorf("%w: rope_type %s: %w", ErrUnsupported, rope, err)
	}
	r.RopeScaling, r.theta = RopeScaling(x.plain), x.Theta
	r.Type = rope
	return nil
}

func (r *RopeScaling) validate() error {
	if r == nil {
		return nil
	}
	scaled := r.Type != "default"
	switch {
	case !slices.Contains(ropeTypes, r.Type):
		return fmt.Errorf("config: %w: rope_type %q, only %q", ErrUnsupported, r.Type, ropeTypes)
	case scaled && !(r.Factor >= 1 && r.Factor <= math.MaxInt32):
		return fmt.Errorf("config: rope_scaling: factor is %g, want a number from 1", r.Factor)
	case r.OriginalMaxPositionEmbeddings < 0, r.Type == "llama3" && r.OriginalMaxPositionEmbeddings == 0:
		return fmt.Errorf("config: rope_scaling: original_max_position_embeddings is %d, want a positive number", r.OriginalMaxPositionEmbeddings)
	case r.Type == "llama3" && !(r.LowFreqFactor > 0 && r.HighFreqFactor > r.LowFreqFactor):
		return fmt.Errorf("config: rope_scaling: low_freq_factor %g and high_freq_factor %g, want positive numbers, the second larger", r.LowFreqFactor, r.HighFreqFactor)
	case !(r.AttentionFactor >= 0), !(r.BetaFast >= 0), !(r.BetaSlow >= 0), !(r.MScale >= 0), !(r.MScaleAllDim >= 0):
		return fmt.Errorf("config: rope_scaling: a negative number in %+v", *r)
	}
	return nil
}

// Context is the most tokens a sequence may have: max_position_embeddings, times the factor
// where linear or yarn scaling stretches them.
//
// Frequencies of dynamic scaling depend on the length of the whole text once it is longer than
// max_position_embeddings, so that every new token would change all keys before it. Such texts
// are refused instead; up to that length, dynamic scaling changes nothing.
func (c Config) Context() int {
	r := c.RopeScaling
	if r == nil {
		return c.MaxPositionEmbeddings
	}
	stretched := func(n int) int { return int(min(float64(n)*r.Factor, math.MaxInt32)) }
	switch r.Type {
	case "linear":
		return stretched(c.MaxPositionEmbeddings)
	case "yarn":
		return max(c.MaxPositionEmbeddings, stretched(c.ropeOriginal()))
	}
	return c.MaxPositionEmbeddings
}

// ropeOriginal is the longest text of the training before scaling.
func (c Config) ropeOriginal() int {
	if n := c.RopeScaling.OriginalMaxPositionEmbeddings; n > 0 {
		return n
	}
	return c.MaxPositionEmbeddings
}

// frequencies are the angles, per position, of the HD/2 pairs of a head, and the factor of
// their cosines and sines.
func (c Config) frequencies() (w []float64, magnitude float64) {
	w = make([]float64, c.HeadDim/2)
	for i := range w {
		w[i] = math.Pow(c.RopeTheta, -float64(2*i)/float64(c.HeadDim))
	}
	r := c.RopeScaling
	if r == nil {
		return w, 1
	}
	switch r.Type {
	case "linear":
		for i := range w {
			w[i] /= r.Factor
		}
	case "llama3":
		for i := range w {
			w[i] = r.llama3(w[i])
		}
	case "yarn":
		c.yarn(w)
		return w, r.yarnMagnitude()
	}
	return w, 1
}

// llama3 divides frequencies with fewer than low_freq_factor turns in the original context by
// the factor, keeps those with more than high_freq_factor, and interpolates between (Llama 3.1).
func (r *RopeScaling) llama3(w float64) float64 {
	turns := float64(r.OriginalMaxPositionEmbeddings) * w / (2 * math.Pi)
	keep := (turns - r.LowFreqFactor) / (r.HighFreqFactor - r.LowFreqFactor)
	keep = min(max(keep, 0), 1)
	return keep*w + (1-keep)*w/r.Factor
}

// yarn divides slow frequencies by the factor and keeps fast ones (Peng et al. 2023, section
// 3.2). As in transformers, the ramp between is linear in the pair's number, from the pair that
// turns beta_fast times in the original context to that which turns beta_slow times.
func (c Config) yarn(w []float64) {
	r := c.RopeScaling
	pairOf := func(turns float64) float64 {
		return float64(c.HeadDim) * math.Log(float64(c.ropeOriginal())/(turns*2*math.Pi)) / (2 * math.Log(c.RopeTheta))
	}
	from, to := pairOf(orDefault(r.BetaFast, 32)), pairOf(orDefault(r.BetaSlow, 1))
	if r.Truncate == nil || *r.Truncate {
		from, to = math.Floor(from), math.Ceil(to)
	}
	from, to = max(from, 0), min(to, float64(c.HeadDim-1))
	if from == to {
		to += 0.001
	}
	for i := range w {
		slow := min(max((float64(i)-from)/(to-from), 0), 1)
		w[i] = slow*w[i]/r.Factor + (1-slow)*w[i]
	}
}

// yarnMagnitude is attention_factor, or what the paper's section 3.4 recommends for the factor.
func (r *RopeScaling) yarnMagnitude() float64 {
	recommended := func(m float64) float64 { return 0.1*m*math.Log(r.Factor) + 1 } // factor ≥ 1
	switch {
	case r.AttentionFactor > 0:
		return r.AttentionFactor
	case r.MScale > 0 && r.MScaleAllDim > 0:
		return recommended(r.MScale) / recommended(r.MScaleAllDim)
	}
	return recommended(1)
}

func orDefault(x, otherwise float64) float64 {
	if x == 0 {
		return otherwise
	}
	return x
}
